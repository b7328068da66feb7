"""A factor of rows that are Kronecker products: a matrix in memory, or in a file that is read block by block.

Letters: M rows that others are multiplied with, R numbers in a row that is written out.
Source: textbook.
Cost: 2 N M D flops for the products of N rows with M rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from copy import copy
from typing import Any, Protocol

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.numerics.block_array import BlockArray, peak_of, run, scaled
from alcli.numerics.blocks import BLOCK_ROWS, Spread, alone

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

    def sq_norms_and_marks(self, spread: Spread = alone) -> tuple[Float64, Float64]:
        """Compute the squared norms, and marks that tell different rows apart.

        Equal rows have equal norms and marks.
        """


class Factor:
    """A factor F_ND with an offset. F_ND is in memory, or in a file that is read block by block.

    exponent: values are divided by 2^exponent, which is exact and prevents overflow.
    """

    def __init__(self, F_ND: BlockArray, offset: float = 0.0, exponent: int | None = None) -> None:
        exponent = safe_exponent(F_ND, floor=math.sqrt(offset)) if exponent is None else exponent
        self.exponent = exponent
        self.offset = math.ldexp(offset, -2 * exponent)
        self.F_ND: Any = scaled(F_ND, -exponent)
        self.width: float = F_ND.shape[1] + (offset > 0.0)
        self.full_width = int(self.width)
        n = len(F_ND)
        self._whole = n - n % BLOCK_ROWS
        # The last block is padded to full height, because a row's product must not depend on how many rows follow it.
        self._tail = np.zeros((BLOCK_ROWS if n % BLOCK_ROWS else 0, F_ND.shape[1]), self.F_ND.dtype)
        self._tail[: n % BLOCK_ROWS] = self.F_ND[self._whole :]

    def cut(self, first: int, last: int) -> Factor:
        """Rows first..last; `first` is where a block starts."""
        part = copy(self)
        part.F_ND = run(self.F_ND, first, last)
        part._whole = (n := last - first) - n % BLOCK_ROWS
        part._tail = np.zeros((BLOCK_ROWS if n % BLOCK_ROWS else 0, self.F_ND.shape[1]), self.F_ND.dtype)
        part._tail[: n % BLOCK_ROWS] = part.F_ND[part._whole :]
        return part

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

    def sq_norms_and_marks(self, spread: Spread = alone) -> tuple[Float64, Float64]:
        """Compute the squared norms, and the projections on one random direction as marks.

        Equal rows get equal numbers.
        """
        norms, marks = np.empty((2, len(self.F_ND)))
        direction_D = np.random.default_rng(0).standard_normal(self.F_ND.shape[1])

        def work(first: int, last: int) -> None:
            for i in range(first, last, BLOCK_ROWS):
                rows = slice(i, min(i + BLOCK_ROWS, last))
                block = self.F_ND[rows].astype(np.float64)
                marks[rows] = (block * direction_D).sum(axis=1)
                norms[rows] = np.square(block, out=block).sum(axis=1)

        spread(len(norms), work)
        return norms + self.offset, marks


def safe_exponent(*arrays: BlockArray, floor: float = 0.0) -> int:
    """Choose an exponent e such that the values / 2^e are at most 1 in magnitude; 0 for values of ordinary size.

    floor: a magnitude that is counted among the values.
    """
    peak = max([floor, *(peak_of(array) for array in arrays)])
    exponent = math.frexp(peak)[1]
    return exponent if peak and abs(exponent) > _SAFE_EXPONENT else 0
