"""Rows that are sums of other rows, such as the gradient of an item that is the sum of the gradients of its parts.

The rows of an item lie one after another, and the items follow each other. `Sums` serves wherever `Rows` serve,
`GradientSums` wherever `GradientRows` serve. Letters: R rows that are summed, N sums, M columns.
Two items are known to be equal where they have equal rows in the same order.
Cost: the inner products with an item of n rows cost what those with n rows cost. To begin with, the sum of n^2
products over the items. Where that takes no more memory than the factors of the rows, the sums are written out instead.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.factors import Factor
from alcli.numerics.gradients.combined_rows import SumRows
from alcli.numerics.gradients.gradient_rows import GradientRows, Terms
from alcli.numerics.rows import Rows
from alcli.numerics.segments import places_of, runs, segment_sums, sizes_of

R = TypeVar("R", bound=Rows)

# Columns of rows that are held at a time: R times as many numbers.
_WIDTH = 64
# Numbers of the factors that are widened to float64 at a time.
_PIECE = 1 << 24
# Rows of small items whose products among themselves are taken together.
_TOGETHER = 128


class Sums(Rows):
    """N sums of rows; the rows of item i begin at starts_N[i]. Memory: the rows (not copied) and O(N).

    lengths: float64 [N], the sum of the norms of each item's rows. Sums that cancel are shorter; rounding does not
    cancel.
    """

    def __init__(self, rows: Rows, starts_N: Int64) -> None:
        self.factors = ()
        self._rows, self._starts_N, self._sizes_N = rows, starts_N, sizes_of(starts_N, rows.n)
        marks_N = segment_sums(rows.marks.imag * (1.0 + rows.sq_norms), starts_N)
        self._know(np.maximum(_sq_norms(rows, starts_N), 0.0), marks_N, rows.scale)

    @property
    def lengths(self) -> Float64:
        return segment_sums(np.sqrt(self._rows.sq_norms), self._starts_N)

    @property
    def width(self) -> float:
        return self._rows.width

    def inner_with(self, others: Rows, index_M: Sequence[int] | Int64, spread: Spread) -> Array:
        assert isinstance(others, Sums)
        index_M = np.asarray(index_M, np.int64)
        sizes_M = others._sizes_N[index_M]
        parts, ends_M = places_of(others._starts_N, others._sizes_N, index_M), np.cumsum(sizes_M)
        out_NM = np.zeros((self.n, len(index_M)))
        column_of = np.repeat(np.arange(len(index_M)), sizes_M)
        for a in range(0, int(ends_M[-1]) if len(ends_M) else 0, _WIDTH):
            inner_RB = self._rows.inner_with(others._rows, parts[a : a + _WIDTH], spread)
            columns, first = np.unique(column_of[a : a + _WIDTH], return_index=True)
            by_item_RB = np.add.reduceat(inner_RB, first, axis=1, dtype=np.float64)
            out_NM[:, columns] += segment_sums(by_item_RB, self._starts_N)
        return self.same_for_copies(out_NM)

    def written_out(self, first: int, last: int) -> Float64:
        return _written_out(self._rows, self._starts_N[first:last], self._sizes_N[first:last])


class GradientSums(Sums, GradientRows):
    """N sums of gradients. A product with a point costs what it costs for all their rows."""

    _rows: GradientRows

    def __init__(self, rows: GradientRows, starts_N: Int64) -> None:
        super().__init__(rows, starts_N)
        self.K, self.D1, self.dtype, self.rounding = rows.K, rows.D1, rows.dtype, rows.rounding
        self._at_once = max(1, BLOCK_ROWS * self.n // rows.n)

    def terms_at(self, rows_M: Int64) -> Terms:
        parts = places_of(self._starts_N, self._sizes_N, rows_M)
        sizes_M = self._sizes_N[rows_M]
        return Terms(*self._rows.factors_at(parts), np.cumsum(sizes_M) - sizes_M)

    def correlate(self, point_KD1: Float64, spread: Spread) -> Float64:
        return self.same_for_copies(segment_sums(self._rows.correlate(point_KD1, spread), self._starts_N))

    def combine(self, weights_N: Float64, spread: Spread) -> Float64:
        return self._rows.combine(np.repeat(weights_N, self._sizes_N), spread)


def summed(rows: R, starts_N: Int64) -> R | Rows:
    """Sum the rows of each item; `rows` itself where every item is one row, `GradientRows` of `GradientRows`.

    Sums are written out where they take no more numbers than the factors of the rows.
    """
    if len(starts_N) == rows.n:
        return rows
    gradients = isinstance(rows, GradientRows)
    widths = [factor.full_width for factor in rows.factors]
    if widths and rows.scale == 1.0 and len(starts_N) * math.prod(widths) <= rows.n * sum(widths):
        dtype = np.result_type(*(factor.dtype for factor in rows.factors))
        E_NW = _written_out(rows, starts_N, sizes_of(starts_N, rows.n)).astype(dtype)
        return GradientRows(E_NW) if gradients else Rows(Factor(E_NW))
    return GradientSums(rows, starts_N) if isinstance(rows, GradientRows) else Sums(rows, starts_N)


def _written_out(rows: Rows, starts_B: Int64, sizes_B: Int64) -> Float64:
    """The sums of B items that follow each other, float64 [B, width]. Memory: the result and `_PIECE` numbers."""
    parts = [f.written_out for f in rows.factors] or [rows.written_out]
    widths = [f.full_width for f in rows.factors] or [int(rows.width)]
    out_BW, step = np.zeros((len(starts_B), math.prod(widths))), max(1, min(BLOCK_ROWS, _PIECE // sum(widths)))
    for a, b in runs(sizes_B, step):
        first, last = int(starts_B[a]), int(starts_B[b - 1] + sizes_B[b - 1])
        for i in range(first, last, step):  # more than one step for a single item only
            left_RW, *right = (part(i, min(i + step, last)) for part in parts)
            if not right:
                out_BW[a:b] += segment_sums(left_RW, starts_B[a:b] - first)
                continue
            for item in range(a, b):
                own = slice(max(int(starts_B[item]), i) - i, int(starts_B[item] + sizes_B[item]) - i)
                out_BW[item] += (left_RW[own].T @ right[0][own]).ravel()
    return out_BW


def _sq_norms(rows: Rows, starts_N: Int64) -> Float64:
    """The squared norm of each sum, float64 [N], from the inner products of an item's rows with each other."""
    if isinstance(rows, SumRows):
        return np.asarray(sum(share * _sq_norms(term, starts_N) for share, term in zip(rows.shares, rows.terms)))
    out_N, sizes_N = np.empty(len(starts_N)), sizes_of(starts_N, rows.n)
    for a, b in runs(sizes_N, _TOGETHER):
        first, last = int(starts_N[a]), int(starts_N[b - 1] + sizes_N[b - 1])
        if b - a == 1:
            out_N[a] = _sum_of_products(rows, first, last)
            continue
        starts_B = starts_N[a:b] - first
        by_row_RB = np.add.reduceat(rows.among(slice(first, last), slice(first, last)), starts_B, axis=1)
        item_R = np.repeat(np.arange(b - a), sizes_N[a:b])
        out_N[a:b] = segment_sums(by_row_RB[np.arange(last - first), item_R], starts_B)
    return out_N


def _sum_of_products(rows: Rows, first: int, last: int) -> float:
    """The sum of all products of rows first..last with each other, a block of pairs at a time."""
    blocks = [slice(a, min(a + BLOCK_ROWS, last)) for a in range(first, last, BLOCK_ROWS)]
    return float(sum(rows.among(one, other).sum() for one in blocks for other in blocks))
