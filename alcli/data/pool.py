"""A pool: Parquet files with one row per item, or several that make one, read in blocks.

Reading follows the measurements behind the layout that `embed` writes: a few pages at a time through a small buffer, never a whole
table, so memory stays at a few blocks whatever the size of the row groups. Checksums of pages are verified where a file has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alcli.arrays import Array, Floats, Int64, Keys
from alcli.data.fingerprint import add, as_text, fingerprint
from alcli.data.groups import NO_GROUPS, Groups, find_groups
from alcli.data.ids import Ids, to_ids
from alcli.data.reading.files import shown
from alcli.data.reading.isolate import check_unchanged, decode_alone
from alcli.data.reading.pool_files import PoolFile, check_id_types, common_dim, common_metadata, open_files
from alcli.data.reading.scratch import ahead, allocate
from alcli.data.reading.vectors import bad_rows, to_matrix
from alcli.data.schema import FEATURE_NAMES, Columns
from alcli.errors import DataError, printable
from alcli.remarks import Note, silence

BLOCK_BYTES = 16 << 20
LARGE = 1e18  # the squares of larger float32 numbers are infinite


def open_pool(
    spec: str, columns: Columns = Columns(), *, bad_rows: str = "error", max_memory: int | None = None, hive: bool = False, isolate: bool = False,
    note: Note = silence,
) -> Pool:
    """Find the files of a pool and check their schemas; no row is read yet.

    bad_rows: "error", or "skip" to leave out rows without a usable vector. max_memory: bytes beyond which features that are needed
    at random are kept in a memory-mapped temporary file, and which no page may exceed. hive: whether `key=value` folders are columns.
    isolate: whether a child process decodes everything first (see `isolate.decode_alone`). Raises InputError, DataError, BusyError,
    MemoryLimitError, NewerFormatError, UnavailableError.
    """
    how = How(bad_rows == "skip", max_memory, hive, isolate)
    usual = [*([columns.features] if columns.features else FEATURE_NAMES), *columns.single]
    seen = decode_alone(spec, usual, max_memory) if isolate else {}
    files, notes = open_files(spec, columns, use_hive=hive, limit=max_memory)
    if isolate:
        check_unchanged(files, seen)
    for text in notes:
        note(text)
    return Pool(spec, files, columns, how, note)


@dataclass(frozen=True)
class How:
    """How a pool is read; see `open_pool`."""

    skip_bad: bool
    max_memory: int | None
    hive: bool
    isolate: bool


class Pool:
    """The rows of a pool by number, in the order of the files. Memory: the ids, and two blocks while reading.

    `n` counts rows, `dim` is D, `dtype` float32 or float64, `metadata` what embed wrote. note: told of what reading finds odd.
    """

    def __init__(self, spec: str, files: list[PoolFile], columns: Columns, how: How, note: Note = silence) -> None:
        self.name = shown(spec)
        self._spec = spec
        self._note = note
        self._remarked = False
        self._files = files
        self._columns = columns
        self._how = how
        self.n = sum(f.n for f in files)
        self.dim = common_dim(files)
        self.metadata = common_metadata(files)
        wide = any(pa.types.is_float64(f.feature_type.value_type) for f in files)
        self.dtype = np.float64 if wide else np.float32

    @property
    def paths(self) -> list[str]:
        """The local files that it consists of."""
        return [f.file.path for f in self._files if f.file.filesystem is None]

    def read_alike(self, spec: str) -> Pool:
        """Another pool, with the same names of columns and the same limits. Raises InputError, DataError, NewerFormatError."""
        how = self._how
        return open_pool(spec, self._columns, bad_rows="skip" if how.skip_bad else "error", max_memory=how.max_memory, hive=how.hive, isolate=how.isolate, note=self._note)

    def require_rows(self, hint: str = "") -> None:
        """Raise DataError for a pool of 0 rows. hint: what the user can do."""
        if self.n == 0:
            raise DataError(f"{self.name}: the pool has 0 rows, expected at least one", hint=hint)

    # -- small columns, whole -------------------------------------------------------------------------------------------------

    @cached_property
    def ids(self) -> Ids:
        """The id column, checked: strings or integers, no null, no empty string, no duplicate."""
        name = self._columns.id or "id"
        check_id_types(self._files, name)
        blocks = []
        for file in self._files:
            for start, values in file.values(name):
                blocks.append(to_ids(values, lambda row, file=file, start=start: file.describe(start + row, name)))  # type: ignore[misc]
        ids = Ids(pa.concat_arrays(blocks) if blocks else pa.array([], pa.large_string()))
        ids.check_unique(lambda row: self._place(row, name) + f" (id '{printable(ids[row])}')")
        return ids

    def column(self, name: str) -> pa.Array | None:
        """A whole column of plain type, null in files that do not have it; None where no file does.

        Raises DataError when it is of different types in different files.
        """
        if self._how.isolate and name not in self._columns.single:
            check_unchanged(self._files, decode_alone(self._spec, [name], self._how.max_memory))
        blocks = [block for file in self._files for _, block in file.values(name)]
        kinds = {b.type for b in blocks if not pa.types.is_null(b.type)}
        if not kinds:
            return pa.nulls(self.n) if any(f.has(name) for f in self._files) else None
        if len(kinds) > 1:
            if not all(pa.types.is_string(k) or pa.types.is_large_string(k) for k in kinds):
                found = " and ".join(sorted(map(str, kinds)))
                raise DataError(f"{self.name}: column '{printable(name)}' is of type {found} in different files, expected one type")
            kinds = {pa.large_string()}
        kind = kinds.pop()
        return pa.concat_arrays([b.cast(kind) for b in blocks])

    @property
    def label_column(self) -> str:
        return self._columns.label or "label"

    def labels(self) -> pa.Array | None:
        """The label column, None when there is none. Raises DataError when the user named one that is not there."""
        if self._columns.label is not None:
            self._require(self._columns.label)
        return self.column(self.label_column)

    @property
    def label_place(self) -> str:
        """How messages call the label column."""
        return f"{self.name}: column '{printable(self.label_column)}'"

    def _require(self, column: str) -> None:
        """Raise DataError for a file that has no such column."""
        for file in self._files:
            file.require(column)

    @cached_property
    def is_test(self) -> Array:
        """A mask of the rows whose `split` is test; shape [N]. A column `split` of numbers has no such rows."""
        split = self.column(self._columns.split)
        text = split is not None and (pa.types.is_string(split.type) or pa.types.is_large_string(split.type))
        octets = split is not None and (pa.types.is_binary(split.type) or pa.types.is_large_binary(split.type))  # how some writers store strings
        if not (text or octets):
            return np.zeros(self.n, bool)
        return pc.equal(split, "test" if text else b"test").fill_null(False).to_numpy(zero_copy_only=False)

    @cached_property
    def is_bad(self) -> Array:
        """A mask of the rows that are left out because their vector cannot be used; all False unless bad rows are skipped."""
        bad_N = np.zeros(self.n, bool)
        if self._how.skip_bad:
            for first, _, column in self._feature_columns():
                bad_N[first : first + len(column)] = bad_rows(column, self.dim)
        return bad_N

    @cached_property
    def groups(self) -> Groups | None:
        """The items that its rows make, None where every row is one. Raises DataError for a row without a group beside others that have one."""
        wanted = self._columns.group
        if wanted == NO_GROUPS:
            return None
        if wanted is not None:
            self._require(wanted)
        name = wanted or "group"
        column = self.column(name)
        if column is None or (wanted is None and column.null_count == len(column)):
            return None
        return find_groups(column, name, lambda row: self._place(row, name) + f" (id '{printable(self.ids[row])}')")

    # -- features, in blocks --------------------------------------------------------------------------------------------------

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """(number of the first row, X_BD) over all rows. Reading and checking run one block ahead, in a thread of their own."""
        return ahead(self._feature_blocks())

    def take(self, rows: Int64) -> Floats:
        """The features of `rows`, in that order: in memory, or memory-mapped from a temporary file beyond the memory limit.

        One pass over the row groups that hold any of them. Memory: the result and two blocks.
        """
        rows = np.asarray(rows, np.int64)
        out = allocate((len(rows), self.dim), self.dtype, self._how.max_memory, self.name)
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        for first, X_BD in ahead(self._feature_blocks(ordered)):
            a, b = np.searchsorted(ordered, [first, first + len(X_BD)])
            if b > a:
                out[order[a:b]] = X_BD[ordered[a:b] - first]
        return out

    def _feature_blocks(self, ordered: Int64 | None = None) -> Iterator[tuple[int, Floats]]:
        """Blocks with their first row. Rows that cannot be used are zero where they are skipped; they are never candidates."""
        skipped = self.is_bad if self._how.skip_bad else np.zeros(0, bool)
        for first, file, column in self._feature_columns(ordered):
            bad_B = skipped[first : first + len(column)]
            if bad_B.any():
                good = np.flatnonzero(~bad_B)
                X_BD: Floats = np.zeros((len(column), self.dim), self.dtype)
                X_BD[good] = to_matrix(column.take(pa.array(good)), self.dim, str)
                yield first, X_BD
                continue

            def where(row: int, file: PoolFile = file, first: int = first) -> str:
                return f"{file.describe(first + row - file.first, file.features)} (id '{printable(self.ids[first + row])}')"

            X_BD = to_matrix(column, self.dim, where)
            self._remark_on_size(first, X_BD)
            yield first, X_BD

    def _remark_on_size(self, first: int, X_BD: Floats) -> None:
        """One note, naming the first row whose features are so large that their squares leave float32; they are computed with all the same."""
        if self._remarked or not X_BD.size or max(float(X_BD.max()), -float(X_BD.min())) < LARGE:
            return
        self._remarked = True
        row = int(np.flatnonzero((np.abs(X_BD) >= LARGE).any(axis=1))[0])
        self._note(f"{self.describe(first + row)}: features beyond {LARGE:g}; is their scale right?")

    def _feature_columns(self, ordered: Int64 | None = None) -> Iterator[tuple[int, PoolFile, pa.Array]]:
        """(number of the first row, file, vectors) over all rows, or the row groups that hold one of `ordered` (ascending)."""
        row_bytes = max(1, self.dim) * np.dtype(self.dtype).itemsize
        height = 1 << int(np.clip(np.log2(BLOCK_BYTES / row_bytes), 6, 13))
        for file in self._files:
            rows = None
            if ordered is not None:
                a, b = np.searchsorted(ordered, [file.first, file.first + file.n])
                rows = ordered[a:b] - file.first
                if a == b:
                    continue
            for row, column in file.numbered(file.features, height, rows):
                yield file.first + row, file, column

    # -- what a view asks of a source ------------------------------------------------------------------------------------------

    def sort_keys(self, rows: Int64) -> Array:
        return self.ids.keys(rows)

    def sorted_by_id(self, rows: Int64) -> Int64:
        return self.ids.order(rows)

    def row_keys(self, rows: Int64) -> Keys:
        return self.ids.hashes(rows)

    def describe(self, row: int) -> str:
        return self._place(row) + f" (id '{printable(self.ids[row])}')"

    def _place(self, row: int, column: str | None = None) -> str:
        file = next(f for f in self._files if f.first <= row < f.first + f.n)
        return file.describe(row - file.first, column)

    def without_checksums(self) -> list[str]:
        """The files whose features carry no checksums: damage inside their pages cannot be seen. One short read a file."""
        return [f.name for f in self._files if f.n and not f.has_checksums()]

    def fingerprint(self) -> str:
        """16 hexadecimal digits that follow from ids and features alone, not from their order or the layout of the files.

        Taken from the metadata where `embed` left it; else one pass over the features.
        """
        stored = self.metadata.get("fingerprint")
        if isinstance(stored, str):
            return stored
        parts = (fingerprint(self.ids.arrow(np.arange(first, first + len(X_BD))), X_BD) for first, X_BD in self.blocks())
        return as_text(add(*parts))
