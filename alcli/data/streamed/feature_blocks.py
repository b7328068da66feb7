"""The features of the files of a pool, block by block, and ranges of them that other processes read.

The blocks of a file begin at multiples of one height, which follows from the length of a vector, whatever the row
groups are. So whoever reads rows first..last, where both are among `cuts`, gets the blocks of a pass over all rows. A
range begins at the first block that begins in a row group: no other row group before it is decoded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from copy import copy

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alcli.arrays import Array, Floats, Int64
from alcli.data.ids import to_ids
from alcli.data.reading.pool_files import PoolFile, holding
from alcli.data.reading.vectors import bad_rows, to_matrix
from alcli.errors import printable
from alcli.numerics.column_scales import FEWEST_ROWS, uneven_columns
from alcli.remarks import Note, silence

BLOCK_BYTES = 16 << 20
# The squares of larger float32 numbers are infinite.
LARGE = 1e18
# Ranges are made of at most so many pieces, each about as long as another.
_MOST_PIECES = 256


class FeatureBlocks:
    """The vectors of some files, all of length `dim`, as arrays of `dtype`.

    name: the pool in messages. id: the name of the id column. skip_bad: rows without a usable vector are zeros. note:
    told of oddities in the features while they are read. Memory: a block. Raises DataError for a vector that is not
    usable, and what reading files raises.
    """

    def __init__(
        self, name: str, files: list[PoolFile], dim: int, dtype: npt.DTypeLike, id: str, skip_bad: bool, note: Note
    ) -> None:
        self._name, self._files, self._id, self._skip_bad, self._note = name, files, id, skip_bad, note
        self.dim, self.dtype = dim, np.dtype(dtype)
        row_bytes = max(1, dim) * self.dtype.itemsize
        self._height = 1 << int(np.clip(np.log2(BLOCK_BYTES / row_bytes), 6, 13))
        # What was told, by kind, so that it is told once.
        self.told: dict[str, str] = {}
        self._watches_scales = False

    def columns(self, ordered: Int64 | None = None) -> Iterator[tuple[int, PoolFile, pa.Array]]:
        """Yield (number of the first row, file, vectors).

        ordered: row numbers, ascending; only row groups that hold one of them are read. None: all.
        """
        for file, rows in holding(self._files, ordered):
            for row, column in file.numbered(file.features, self._height, rows):
                yield file.first + row, file, column

    def blocks(self, ordered: Int64 | None = None, bad_N: Array | None = None) -> Iterator[tuple[int, Floats]]:
        """Yield (number of the first row, X_BD). ordered: as in `columns`.

        bad_N: the rows without a usable vector, where they are known and skipped; nobody selects these rows.
        """
        return self._checked(self.columns(ordered), bad_N)

    # -- ranges for other processes -----------------------------------------------------------------------------------

    def cuts(self) -> list[int]:
        """Row numbers where a block and a range can begin, ascending; the last one is the number of all rows.

        Cost: the footers of the files.
        """
        starts = [file.first + row for file in self._files for row in _starts(file, self._height)]
        n = max((file.first + file.n for file in self._files), default=0)
        wanted = np.searchsorted(starts, n * np.arange(_MOST_PIECES) // _MOST_PIECES)
        return sorted({*np.array([*starts, n])[wanted].tolist(), n})

    def cut(self, first: int, last: int) -> FeatureBlocks:
        """The blocks of rows first..last, where both are among `cuts`; picklable, and told by nobody but `told`."""
        part = copy(self)
        part._files = [file for file in self._files if file.first < last and file.first + file.n > first]
        part._note, part.told = silence, dict(self.told)
        part._watches_scales = self._watches_scales and first == 0
        return part

    def between(self, first: int, last: int) -> Iterator[tuple[int, Floats]]:
        """Yield what `blocks` does for rows first..last, where both are among `cuts`."""
        return self._checked(self._columns_between(first, last), None)

    def hear(self, told: Iterable[dict[str, str]]) -> None:
        """Tell what the readers of ranges would have told, in the order of the ranges."""
        for one in told:
            for kind, text in one.items():
                self._tell(kind, text)
        self._watches_scales = False

    def describe(self, row: int) -> str:
        """Name a row for messages: its file, its number in it, and its id, which is read from the file."""
        file = next(f for f in self._files if f.first <= row < f.first + f.n)
        return f"{file.describe(row - file.first)} (id '{self._id_of(row)}')"

    def _columns_between(self, first: int, last: int) -> Iterator[tuple[int, PoolFile, pa.Array]]:
        for file in self._files:
            start, stop = max(first - file.first, 0), min(last - file.first, file.n)
            if start == 0 and stop == file.n:
                found = file.numbered(file.features, self._height)
            else:
                some = [start, *(row for row in file.group_starts() if start < row < stop)]
                columns = file.numbered(file.features, self._height, np.array(some))
                found = _recut(columns, start, stop, self._height)
            for row, column in found:
                yield file.first + row, file, column

    # -- checks and remarks -------------------------------------------------------------------------------------------

    def _checked(
        self, columns: Iterator[tuple[int, PoolFile, pa.Array]], bad_N: Array | None
    ) -> Iterator[tuple[int, Floats]]:
        for first, file, column in columns:
            if self._skip_bad:
                bad_B = bad_rows(column, self.dim) if bad_N is None else bad_N[first : first + len(column)]
                if bad_B.any():
                    good = np.flatnonzero(~bad_B)
                    X_BD: Floats = np.zeros((len(column), self.dim), self.dtype)
                    X_BD[good] = to_matrix(column.take(pa.array(good)), self.dim, str)
                    self._remark_on_scales(X_BD[good])
                    yield first, X_BD
                    continue

            def where(row: int, file: PoolFile = file, first: int = first) -> str:
                place = file.describe(first + row - file.first, file.features)
                return f"{place} (id '{self._id_of(first + row)}')"

            X_BD = to_matrix(column, self.dim, where)
            self._remark_on_size(first, X_BD)
            self._remark_on_scales(X_BD)
            yield first, X_BD

    def _id_of(self, row: int) -> str:
        """The id of a row as messages show it."""
        file = next(f for f in self._files if f.first <= row < f.first + f.n)
        at = row - file.first
        file.require(self._id)
        for start, values in file.values(self._id, np.array([at])):
            if start <= at < start + len(values):
                return printable(to_ids(values.slice(at - start, 1), file.describe)[0].as_py())
        return ""

    def watch_scales(self) -> None:
        """Look at the next block of features that is read, and tell if the scales of its columns differ vastly.

        It is told once. Cost: at most 1,024 rows of a block that is read anyway.
        """
        self._watches_scales = "scales" not in self.told

    def _tell(self, kind: str, text: str) -> None:
        if kind not in self.told:
            self.told[kind] = text
            self._note(text)

    def _remark_on_scales(self, X_BD: Floats) -> None:
        """Tell of columns whose scales differ by orders of magnitude, if somebody wants to know."""
        if not self._watches_scales or len(X_BD) < FEWEST_ROWS:
            return
        self._watches_scales = False
        found = uneven_columns(X_BD)
        if found is None:
            return
        large, small = f"{found.large} varies by {found.large_scale:.3g}", f"{found.small} by {found.small_scale:.3g}"
        what = f"the scales of features differ by orders of magnitude (dimension {large}, dimension {small})"
        remedy = "'alcli embed -m identity --standardize' makes all vary by 1"
        self._tell("scales", f"{self._name}: {what}, so heads and distances hardly see the small ones: {remedy}")

    def _remark_on_size(self, first: int, X_BD: Floats) -> None:
        """Tell once of the first row whose features are so large that their squares leave float32.

        They are used all the same. Cost: one pass, a product of the block with itself: where the sum of all squares is
        small, each is.
        """
        if "size" in self.told or float(np.vdot(X_BD, X_BD)) < LARGE**2:
            return
        is_large_B = (np.abs(X_BD) >= LARGE).any(axis=1)
        if not is_large_B.any():
            return
        row = int(np.flatnonzero(is_large_B)[0])
        self._tell("size", f"{self.describe(first + row)}: features beyond {LARGE:g}; is their scale right?")


def _starts(file: PoolFile, height: int) -> list[int]:
    """The rows of a file where a range can begin: the first block that begins in each row group."""
    starts = np.asarray(file.group_starts())
    rows = np.unique(-(-starts // height) * height)
    return rows[rows < file.n].tolist()


def _recut(
    columns: Iterator[tuple[int, pa.Array]], start: int, stop: int, height: int
) -> Iterator[tuple[int, pa.Array]]:
    """Cut columns that follow each other into blocks that begin at `start` and end at `stop`."""
    rest: pa.Array | None = None
    row = start
    for at, column in columns:
        end = at + len(column)
        skipped = min(max(start - at, 0), len(column))
        column = column.slice(skipped, max(min(stop, end) - at - skipped, 0))
        rest = column if rest is None or not len(rest) else pa.concat_arrays([rest, column])
        while len(rest) >= height:
            yield row, rest.slice(0, height)
            row, rest = row + height, rest.slice(height)
        if end > stop:
            break
    if rest is not None and len(rest):
        yield row, rest
