"""Rows of an embedding that is a Kronecker product of factors, represented by inner products.

The inner product of rows i and j is the product over the factors F of (F_i . F_j + offset). Plain features are one
factor. Features with a bias column are one factor with offset 1. The gradient of a linear layer has two factors,
(p - e) (x) [h; 1], and its rows need not be written out. Distances follow from inner products:
|i - j|^2 = |i|^2 + |j|^2 - 2 i.j.

Letters: M rows that others are multiplied with, R numbers in a row that is written out.
Source: textbook.
Cost: 2 N M D flops for the inner products of N rows with M rows, summed over the factors.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.block_array import BlockArray, UnitRows, blocks_of
from alcli.numerics.blocks import BLOCK_ROWS, Spread, alone
from alcli.numerics.factors import AnyFactor, Factor, safe_exponent

# Squared lengths that differ from 1 by at most this many machine epsilons count as 1.
_ROUNDINGS = 8


class Rows:
    """N rows of an embedding. Memory: the factors (not copied) and O(N).

    scale: a distance between scaled rows times `scale` is the distance between the rows themselves.
    """

    def __init__(self, *factors: AnyFactor) -> None:
        self.factors: Any = factors
        self.n, self.scale = factors[0].n, 2.0 ** sum(f.exponent for f in factors)

    def _know(self, sq_norms_N: Float64, marks_N: Float64, scale: float) -> None:
        """Set the norms, the scale and the marks of rows that are known by other means."""
        self.n, self.sq_norms, self.scale = len(sq_norms_N), sq_norms_N, scale
        self.marks = sq_norms_N + 1j * marks_N

    def measure(self, spread: Spread) -> None:
        """Compute the norms and marks with several threads, before anybody asks for them. Cost: one pass."""
        if "marks" not in self.__dict__:
            norms, marks = zip(*(f.sq_norms_and_marks(spread) for f in self.factors))
            self._know(np.prod(norms, axis=0), np.sum(marks, axis=0), self.scale)

    @cached_property
    def sq_norms(self) -> Float64:
        """The squared norms of the scaled rows, float64 [N]."""
        self.measure(alone)
        return self.__dict__["sq_norms"]

    @cached_property
    def marks(self) -> Array:
        """A complex number for each row [N], equal for equal rows only."""
        self.measure(alone)
        return self.__dict__["marks"]

    @cached_property
    def first_equal(self) -> Int64:
        """The first row that equals each row, int64 [N]."""
        _, first, place = np.unique(self.marks, return_index=True, return_inverse=True)
        return first[place]

    @cached_property
    def _copies(self) -> Int64:
        """The rows that equal an earlier row."""
        return np.flatnonzero(self.first_equal != np.arange(self.n))

    @property
    def can_be_cut(self) -> bool:
        """True where rows first..last alone are known by their factors."""
        return type(self) is Rows and all(type(factor) is Factor for factor in self.factors)

    def cut(self, first: int, last: int) -> Rows:
        """Rows first..last, of which nothing is computed yet; `first` is where a block starts."""
        return Rows(*(factor.cut(first, last) for factor in self.factors)) if self.can_be_cut else self

    def columns(self, index_M: Int64) -> Any:
        """Rows index_M, as `products` takes them; a list of arrays [D, M], one a factor, for rows that can be cut."""
        return [f.columns(index_M) for f in self.factors] if self.can_be_cut else index_M

    def products(self, columns: Any, spread: Spread) -> Array:
        """The inner products of all rows with the rows that `columns` was made of, [M, N]: each column is contiguous.

        For rows that can be cut, equal rows at different places of a block may differ in their last bit.
        """
        if not self.can_be_cut:
            return np.ascontiguousarray(self.inner_with(self, columns, spread).T)
        out_MN = np.empty((columns[0].shape[1], self.n), self.factors[0].dtype)

        def keep(a: int, b: int, part_BM: Array) -> None:
            out_MN[:, a:b] = part_BM.T

        self.each_product(columns, spread, keep)
        return out_MN

    def each_product(self, columns: list[Array], spread: Spread, work: Callable[[int, int, Array], None]) -> None:
        """Call work(a, b, products), with several threads, for the products of rows a..b with `columns`, [B, M].

        For rows that can be cut. Memory: a block of products for each thread.
        """

        def some(first: int, last: int) -> None:
            parts = [np.empty((BLOCK_ROWS, columns[0].shape[1]), f.dtype) for f in self.factors]
            for a in range(first, last, BLOCK_ROWS):
                b = min(a + BLOCK_ROWS, last)
                for factor, columns_M, part_BM in zip(self.factors, columns, parts):
                    factor.product(columns_M, a, b, part_BM)
                for part_BM in parts[1:]:
                    parts[0] *= part_BM
                work(a, b, parts[0][: b - a])

        spread(self.n, some)

    def inner_with(self, others: Rows, index_M: Sequence[int] | Int64, spread: Spread) -> Array:
        """Compute the inner products of all rows with rows `index_M` of `others`. Cost: 2 N M sum(D) flops.

        Returns [N, M] in the dtype of the first factor. Equal rows get equal bits. This is enforced, because some BLAS
        kernels (Haswell's) round differently by the place of a row in its block.
        """
        columns = [f.columns(index_M) for f in others.factors]
        return self.same_for_copies(self._products(columns, len(index_M), spread))

    def _products(self, columns: list[Any], M: int, spread: Spread) -> Array:
        padded = -(-self.n // BLOCK_ROWS) * BLOCK_ROWS
        parts = [np.empty((padded, M), f.dtype) for f in self.factors]

        def work(first: int, last: int) -> None:
            whole = slice(first, padded if last == self.n else last)
            for factor, columns_M, part_NM in zip(self.factors, columns, parts):
                factor.product(columns_M, first, last, part_NM[whole])
            for part_NM in parts[1:]:
                parts[0][whole] *= part_NM[whole]

        spread(self.n, work)
        return parts[0][: self.n]

    @property
    def width(self) -> float:
        """The length of a row when it is written out; infinity for rows that cannot be written out."""
        return float(math.prod(f.width for f in self.factors))

    def written_out(self, first: int, last: int) -> Float64:
        """Write out the scaled rows first..last, float64 [B, width]: the Kronecker products of their factors."""
        E_BR = np.ones((last - first, 1))
        for f in self.factors:
            E_BR = np.einsum("br,bd->brd", E_BR, f.written_out(first, last)).reshape(last - first, -1)
        return E_BR

    def among(self, left: slice, right: slice) -> Float64:
        """The inner products of a few scaled rows with a few others, float64 [B, M]."""
        return np.prod([f.among(left, right) for f in self.factors], axis=0)

    def same_for_copies(self, values_N: Array) -> Array:
        """Overwrite the values of each copy with the bits of the first row that it equals.

        values_N: [N, ...], in place.
        """
        values_N[self._copies] = values_N[self.first_equal[self._copies]]
        return values_N

    def inner(self, i: int, spread: Spread) -> Array:
        """Compute the inner products of all rows with row i, shape [N]: one GEMV pass over the factors."""
        return self.inner_with(self, [i], spread)[:, 0]


def sq_norms(X_ND: BlockArray) -> Float64:
    """Compute the squared norms of rows, float64 [N], the same bits for equal rows. Memory: one block of rows."""
    out_N = np.empty(len(X_ND))
    for a, X_BD in blocks_of(X_ND):
        out_N[a : a + BLOCK_ROWS] = np.square(X_BD.astype(np.float64)).sum(axis=1)
    return out_N


def feature_rows(*matrices: BlockArray) -> list[Rows]:
    """Turn feature matrices into rows that share one scale, so that distances between the matrices are comparable."""
    exponent = safe_exponent(*matrices)
    return [Rows(Factor(X_ND, exponent=exponent)) for X_ND in matrices]


def sq_distances(sq_norms_N: Float64, inner_N: Array, sq_norm: float, self_inner: float | None = None) -> Float64:
    """Compute the squared distances of N rows to one row, float64 [N], at least 0.

    sq_norm: the squared norm of the one row. inner_N: its inner products with the N rows.
    self_inner: its product with itself, by the kernel that made `inner_N`. With it the rounding of the kernel
    cancels for copies of the row, and their distance is exactly 0. Without it copies keep noise of 1e-7 |i|^2.
    """
    out = np.subtract(sq_norm if self_inner is None else self_inner, inner_N, dtype=np.float64)
    out *= 2.0
    out += sq_norms_N
    out -= sq_norm
    return np.maximum(out, 0.0, out=out)


def unit_rows(X_ND: Floats) -> Floats:
    """Divide rows by their lengths, because most measures of coverage assume rows of length one.

    Returns the dtype of X_ND. Rows of zeros stay zero. If all rows have length one, X_ND itself is returned.
    Cost: one pass, and a copy of the rows unless all have length one.
    """
    lengths_N = _lengths(X_ND)
    if lengths_N is None:
        return X_ND
    out_ND = np.empty_like(X_ND)
    for a in range(0, len(X_ND), BLOCK_ROWS):
        out_ND[a : a + BLOCK_ROWS] = X_ND[a : a + BLOCK_ROWS] / lengths_N[a : a + BLOCK_ROWS, None]
    return out_ND


def stored_unit_rows(X_ND: BlockArray) -> BlockArray:
    """The rows of `unit_rows`; those of a file are divided when they are read. Cost: one pass."""
    if isinstance(X_ND, np.ndarray):
        return unit_rows(X_ND)
    lengths_N = _lengths(X_ND)
    return X_ND if lengths_N is None else UnitRows(X_ND, lengths_N)


def _lengths(X_ND: BlockArray) -> Float64 | None:
    """The lengths of rows, 1 for a row of zeros; None where all have length one, up to rounding."""
    sq_N = sq_norms(X_ND)
    if (np.abs(sq_N - 1.0) <= _ROUNDINGS * np.finfo(X_ND.dtype).eps).all():
        return None
    return np.sqrt(np.where(sq_N > 0.0, sq_N, 1.0))
