"""Arrays that are read in blocks: in memory, or in a file that is larger than memory.

A choice that passes over its rows block by block takes a `BlockArray`, and so has no need of all rows in memory. A
NumPy array is one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS

Some: TypeAlias = "slice | Int64"


class BlockArray(Protocol):
    """Rows of numbers [N, ...], of which a few are read at a time. Nobody may write to what was read."""

    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    def __len__(self) -> int: ...
    def __getitem__(self, rows: Any, /) -> Array:
        """Some rows: a slice of step 1, or row numbers in any order."""


class _Derived:
    """Rows that are made of other rows when they are read."""

    source: BlockArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.source.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        return self.source.dtype

    def __len__(self) -> int:
        return len(self.source)


@dataclass(frozen=True)
class Run(_Derived):
    """Rows first..last of an array that lies in a file."""

    source: BlockArray
    first: int
    last: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.last - self.first, *self.source.shape[1:])

    def __len__(self) -> int:
        return self.last - self.first

    def __getitem__(self, rows: Some) -> Array:
        if isinstance(rows, slice):
            start, stop, _ = rows.indices(len(self))
            return self.source[self.first + start : self.first + max(start, stop)]
        return self.source[self.first + np.asarray(rows)]


@dataclass(frozen=True)
class Chosen(_Derived):
    """Some rows of an array that lies in a file, in a given order. rows_N: int64 row numbers."""

    source: BlockArray
    rows_N: Int64

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.rows_N), *self.source.shape[1:])

    def __len__(self) -> int:
        return len(self.rows_N)

    def __getitem__(self, rows: Some) -> Array:
        wanted = self.rows_N[rows]
        if not len(wanted):
            return self.source[0:0]
        low, high = int(wanted.min()), int(wanted.max()) + 1
        if high - low > 2 * len(wanted):
            return self.source[wanted]
        # One read of neighbouring rows is faster than many.
        return (
            self.source[low:high]
            if high - low == len(wanted) and _ascend(wanted)
            else self.source[low:high][wanted - low]
        )


@dataclass(frozen=True)
class UnitRows(_Derived):
    """The rows of an array divided by their lengths. lengths_N: float64, 1 for a row of zeros."""

    source: BlockArray
    lengths_N: Float64

    def __getitem__(self, rows: Some) -> Floats:
        return (self.source[rows] / self.lengths_N[rows][:, None]).astype(self.dtype, copy=False)


@dataclass(frozen=True)
class Scaled(_Derived):
    """The rows of an array times 2^exponent, which is exact."""

    source: BlockArray
    exponent: int

    def __getitem__(self, rows: Some) -> Floats:
        return np.ldexp(self.source[rows], self.exponent)


@dataclass(frozen=True)
class Mapped(_Derived):
    """The values of a function of the rows of an array, computed when they are read.

    function: from B rows to an array of their shape and dtype; picklable, and its values of a row follow from the row.
    """

    source: BlockArray
    function: Callable[[Array], Array]

    def __getitem__(self, rows: Some) -> Array:
        return self.function(self.source[rows])


def mapped(array: BlockArray, function: Callable[[Array], Array]) -> BlockArray:
    """The values of a function of the rows of an array: at once in memory, or when they are read; see `Mapped`."""
    return function(array) if isinstance(array, np.ndarray) else Mapped(array, function)


def scaled(array: BlockArray, exponent: int) -> BlockArray:
    """An array times 2^exponent: at once in memory, or when it is read."""
    if not exponent:
        return array
    return np.ldexp(array, exponent) if isinstance(array, np.ndarray) else Scaled(array, exponent)


def run(array: BlockArray, first: int, last: int) -> BlockArray:
    """Rows first..last of an array, which are read when somebody asks for them."""
    if isinstance(array, np.ndarray):
        return array[first:last]
    if isinstance(array, UnitRows):
        return UnitRows(run(array.source, first, last), array.lengths_N[first:last])
    if isinstance(array, Mapped):
        return Mapped(run(array.source, first, last), array.function)
    if isinstance(array, Scaled):
        return Scaled(run(array.source, first, last), array.exponent)
    if isinstance(array, Chosen):
        return Chosen(array.source, array.rows_N[first:last])
    if isinstance(array, Run):
        return Run(array.source, array.first + first, array.first + last)
    return Run(array, first, last)


def blocks_of(array: BlockArray) -> Any:
    """Yield (number of the first row, rows) in blocks of `BLOCK_ROWS`."""
    for a in range(0, len(array), BLOCK_ROWS):
        yield a, array[a : a + BLOCK_ROWS]


def peak_of(array: BlockArray) -> float:
    """The largest magnitude of the numbers of an array, 0 for none. Cost: one pass. Memory: one block."""
    if isinstance(array, np.ndarray):
        return max(float(array.max()), -float(array.min())) if array.size else 0.0
    return max((peak_of(rows) for _, rows in blocks_of(array)), default=0.0)


def _ascend(wanted: Int64) -> bool:
    """True where each number is the one before it and 1."""
    return bool((np.diff(wanted) == 1).all())
