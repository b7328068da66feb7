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
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread

# Squared lengths that differ from 1 by at most this many machine epsilons count as 1.
_ROUNDINGS = 8
# With values up to 2^20, the product of two float32 factors of 10^4 columns stays far below overflow.
_SAFE_EXPONENT = 20


class AnyFactor(Protocol):
    """A factor of rows, as `Rows` uses it. Inner products are computed from the values divided by 2^exponent.

    width: the length of a row of the factor when it is written out; infinity where a row alone is too long for that.
    full_width: the length of a row that `written_out` gives.
    """

    exponent: int
    width: float

    @property
    def n(self) -> int: ...
    @property
    def full_width(self) -> int: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def columns(self, index_M: Sequence[int] | Int64) -> Any:
        """Prepare rows index_M as the second argument of a product, in any form that `product` understands."""

    def product(self, columns_M: Any, first: int, last: int, out_BM: Array) -> None:
        """Write the inner products of rows first..last with the rows of `columns_M` into out_BM.

        The range is whole blocks: `first` is where a block starts, and out_BM has room for the last block at full
        height.
        """

    def written_out(self, first: int, last: int) -> Float64:
        """Return the values of rows first..last, float64 [B, full_width]."""

    def among(self, left: slice, right: slice) -> Float64:
        """Return the inner products of a few rows with a few others, float64 [B, M]."""

    def sq_norms_and_marks(self) -> tuple[Float64, Float64]:
        """Compute the squared norms, and marks that tell different rows apart.

        Equal rows have equal norms and marks.
        """


class Factor:
    """A factor F_ND with an offset.

    exponent: values are divided by 2^exponent, which is exact and prevents overflow.
    """

    def __init__(self, F_ND: Floats, offset: float = 0.0, exponent: int | None = None) -> None:
        exponent = safe_exponent(F_ND, floor=math.sqrt(offset)) if exponent is None else exponent
        self.exponent = exponent
        self.offset = math.ldexp(offset, -2 * exponent)
        self.F_ND = np.ldexp(F_ND, -exponent) if exponent else F_ND
        self.width: float = F_ND.shape[1] + (offset > 0.0)
        self.full_width = int(self.width)
        n = len(F_ND)
        self._whole = n - n % BLOCK_ROWS
        # The last block is padded to full height, because a row's product must not depend on how many rows follow it.
        self._tail = np.zeros((BLOCK_ROWS if n % BLOCK_ROWS else 0, F_ND.shape[1]), self.F_ND.dtype)
        self._tail[: n % BLOCK_ROWS] = self.F_ND[self._whole :]

    @property
    def n(self) -> int:
        return len(self.F_ND)

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.F_ND.dtype

    def columns(self, index_M: Sequence[int] | Int64) -> Array:
        return np.ascontiguousarray(self.F_ND[index_M].T)

    def product(self, V_DM: Array, first: int, last: int, out_BM: Array) -> None:
        """Write rows first..last times V_DM, plus the offset, into out_BM (whole blocks; a block starts at `first`)."""
        whole = min(last, self._whole)
        for a in range(first, whole, BLOCK_ROWS):
            np.dot(self.F_ND[a : a + BLOCK_ROWS], V_DM, out=out_BM[a - first : a - first + BLOCK_ROWS])
        if last > self._whole:
            np.dot(self._tail, V_DM, out=out_BM[self._whole - first :])
        if self.offset:
            out_BM += out_BM.dtype.type(self.offset)

    def written_out(self, first: int, last: int) -> Float64:
        F_BD = self.F_ND[first:last].astype(np.float64)
        return np.pad(F_BD, ((0, 0), (0, 1)), constant_values=math.sqrt(self.offset)) if self.offset else F_BD

    def among(self, left: slice, right: slice) -> Float64:
        return self.F_ND[left].astype(np.float64) @ self.F_ND[right].astype(np.float64).T + self.offset

    def sq_norms_and_marks(self) -> tuple[Float64, Float64]:
        """Compute the squared norms, and the projections on one random direction as marks.

        Equal rows get equal numbers.
        """
        norms, marks = np.empty((2, len(self.F_ND)))
        direction_D = np.random.default_rng(0).standard_normal(self.F_ND.shape[1])
        for i in range(0, len(norms), BLOCK_ROWS):
            block = self.F_ND[i : i + BLOCK_ROWS].astype(np.float64)
            marks[i : i + BLOCK_ROWS] = (block * direction_D).sum(axis=1)
            norms[i : i + BLOCK_ROWS] = np.square(block, out=block).sum(axis=1)
        return norms + self.offset, marks


class Rows:
    """N rows of an embedding. Memory: the factors (not copied) and O(N).

    sq_norms: float64 [N], the squared norms of the scaled rows. marks: complex [N], equal for equal rows only.
    first_equal: int64 [N], the first row that equals each row.
    scale: a distance between scaled rows times `scale` is the distance between the rows themselves.
    """

    def __init__(self, *factors: AnyFactor) -> None:
        self.factors: Any = factors
        norms, marks = zip(*(f.sq_norms_and_marks() for f in factors))
        self._know(np.prod(norms, axis=0), np.sum(marks, axis=0), 2.0 ** sum(f.exponent for f in factors))

    def _know(self, sq_norms_N: Float64, marks_N: Float64, scale: float) -> None:
        """Set the norms, the scale and the marks, and find the copies: rows that equal an earlier row."""
        self.n, self.sq_norms, self.scale = len(sq_norms_N), sq_norms_N, scale
        self.marks = sq_norms_N + 1j * marks_N
        _, first, place = np.unique(self.marks, return_index=True, return_inverse=True)
        self.first_equal = first[place]
        self._copies = np.flatnonzero(self.first_equal != np.arange(self.n))

    def inner_with(self, others: Rows, index_M: Sequence[int] | Int64, spread: Spread) -> Array:
        """Compute the inner products of all rows with rows `index_M` of `others`. Cost: 2 N M sum(D) flops.

        Returns [N, M] in the dtype of the first factor. Equal rows get equal bits. This is enforced, because some BLAS
        kernels (Haswell's) round differently by the place of a row in its block.
        """
        columns = [f.columns(index_M) for f in others.factors]
        padded = -(-self.n // BLOCK_ROWS) * BLOCK_ROWS
        parts = [np.empty((padded, len(index_M)), f.dtype) for f in self.factors]

        def work(first: int, last: int) -> None:
            whole = slice(first, padded if last == self.n else last)
            for factor, columns_M, part_NM in zip(self.factors, columns, parts):
                factor.product(columns_M, first, last, part_NM[whole])
            for part_NM in parts[1:]:
                parts[0][whole] *= part_NM[whole]

        spread(self.n, work)
        return self.same_for_copies(parts[0][: self.n])

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


def safe_exponent(*arrays: Array, floor: float = 0.0) -> int:
    """Choose an exponent e such that the values / 2^e are at most 1 in magnitude; 0 for values of ordinary size.

    floor: a magnitude that is counted among the values.
    """
    peak = max([floor, *(max(float(a.max()), -float(a.min())) for a in arrays if a.size)])
    exponent = math.frexp(peak)[1]
    return exponent if peak and abs(exponent) > _SAFE_EXPONENT else 0


def sq_norms(X_ND: Floats) -> Float64:
    """Compute the squared norms of rows, float64 [N], the same bits for equal rows. Memory: one block of rows."""
    out_N = np.empty(len(X_ND))
    for a in range(0, len(X_ND), BLOCK_ROWS):
        out_N[a : a + BLOCK_ROWS] = np.square(X_ND[a : a + BLOCK_ROWS].astype(np.float64)).sum(axis=1)
    return out_N


def feature_rows(*matrices: Floats) -> list[Rows]:
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
    sq_N = sq_norms(X_ND)
    if (np.abs(sq_N - 1.0) <= _ROUNDINGS * np.finfo(X_ND.dtype).eps).all():
        return X_ND
    lengths_N = np.sqrt(np.where(sq_N > 0.0, sq_N, 1.0))
    out_ND = np.empty_like(X_ND)
    for a in range(0, len(X_ND), BLOCK_ROWS):
        out_ND[a : a + BLOCK_ROWS] = X_ND[a : a + BLOCK_ROWS] / lengths_N[a : a + BLOCK_ROWS, None]
    return out_ND
