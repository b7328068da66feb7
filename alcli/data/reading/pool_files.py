"""The files of a pool: each knows which rows of the pool it holds, and all hold the same kind of features."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from alcli.arrays import Int64
from alcli.data.advice.embedding import other_kind
from alcli.data.fingerprint import add, as_text
from alcli.data.ids import id_type
from alcli.data.reading import hive
from alcli.data.reading.data_file import DataFile, shown
from alcli.data.reading.find import find_files
from alcli.data.reading.pages import has_checksums
from alcli.data.reading.parquet import count_rows, open_parquet, plain_type, read_runs, reading
from alcli.data.reading.vectors import storage_type, usual_length, vector_length
from alcli.data.schema import FEATURE_NAMES, Columns, features_column, pool_metadata, require, same_features
from alcli.errors import BusyError, DataError, printable
from alcli.remarks import Note, silence, steps

# Rows from which the length of the vectors is taken where the type does not tell it.
_FIRST_ROWS = 1024
# Rows of a column of single values that are read at once.
_SMALL = 1 << 17


@dataclass(frozen=True)
class ReadOptions:
    """The way a pool is read.

    skip_bad: rows without a usable vector are left out, not refused. max_memory: bytes for features, and for one
    page; None takes the defaults of scratch.py. hive: `key=value` folders are columns. isolate: a child process
    decodes the files first. cache_dir: a folder that keeps features which lie in a file.
    """

    skip_bad: bool = False
    max_memory: int | None = None
    hive: bool = False
    isolate: bool = False
    cache_dir: str | None = None


@dataclass(frozen=True)
class PoolFile:
    """One file of a pool: its `n` rows are numbered from `first`.

    features: the name of its vector column. stamp: the file's stamp when its footer was read. hive: columns whose
    value is in the names of its folders. limit: bytes for one page.
    """

    file: DataFile
    first: int
    n: int
    features: str
    schema: pa.Schema
    stamp: tuple[int, int, int] | None
    hive: dict[str, str | None]
    limit: int | None

    @property
    def name(self) -> str:
        """The path as messages show it."""
        return self.file.name

    @property
    def feature_type(self) -> pa.DataType:
        """The list type of the vectors."""
        return storage_type(self.schema.field(self.schema.get_field_index(self.features)).type)

    def has(self, column: str) -> bool:
        """Return True when the file or its folders have the column."""
        return column in self.hive or column in self.schema.names

    def require(self, column: str) -> pa.DataType:
        """Return the type of a column. Raises DataError where there is no such column, or several."""
        if column in self.hive:
            return pa.string()
        try:
            return require(self.schema, self.name, column).type
        except DataError as error:
            in_path = column in hive.keys(self.file.path)
            missing = column == "id" and not error.hint
            hint = "--id-col names the column of the ids" if missing else error.hint
            hint = f"--hive makes a column of the folders {printable(column)}=..." if in_path else hint
            raise DataError(error.message, hint=hint) from None

    def values(self, column: str, rows: Int64 | None = None) -> Iterator[tuple[int, pa.Array]]:
        """Yield (row within this file, values) of a column of single values; nulls where there is no such column.

        rows: as in `numbered`.
        """
        if column in self.hive:
            yield 0, pa.repeat(pa.scalar(self.hive[column], pa.string()), self.n)
        elif not self.has(column):
            yield 0, pa.nulls(self.n)
        else:
            self.require(column)
            total = self.n if rows is None else None
            blocks = self.numbered(column, _SMALL, rows)
            yield from steps(blocks, f"column {column}", total, lambda block: len(block[1]))

    def has_checksums(self) -> bool:
        """True where the pages of its features carry checksums."""
        with reading(self.file), open_parquet(self.file) as parquet:
            return has_checksums(self.file, parquet, self.features)

    def describe(self, row: int, column: str | None = None) -> str:
        """Name a row of this file, counted from 0, for messages."""
        shown = f"{self.name}: " + (f"column '{printable(column)}', " if column else "")
        return f"{shown}row {row}"

    def numbered(self, column: str, height: int, rows: Int64 | None = None) -> Iterator[tuple[int, pa.Array]]:
        """Yield (row within this file, values) of a column.

        rows: numbers within this file, ascending; only row groups that hold one of them are read. None: all. Raises
        DataError for values that cannot be read, BusyError when the file changed meanwhile.
        """
        runs = None if rows is None else self._runs(rows)
        yield from read_runs(self.file, column, height, runs, self.limit)
        if self.file.stamp() != self.stamp:
            raise BusyError(f"{self.name}: changed while it was read", hint="try again when its writer has finished")

    def group_starts(self) -> list[int]:
        """The first row of each row group. Cost: the footer."""
        with open_parquet(self.file) as parquet:
            sizes = [parquet.metadata.row_group(g).num_rows for g in range(parquet.metadata.num_row_groups)]
        return list(itertools.accumulate(sizes, initial=0))[:-1]

    def _runs(self, rows: Int64) -> list[list[int]]:
        """The runs of adjacent row groups that hold any of `rows`."""
        groups = np.unique(np.searchsorted([*self.group_starts(), self.n], rows, side="right") - 1)
        return [run.tolist() for run in np.split(groups, np.flatnonzero(np.diff(groups) > 1) + 1)]


def open_files(spec: str, columns: Columns, options: ReadOptions, note: Note = silence) -> list[PoolFile]:
    """Find the files that `spec` names, read their footers, and find their columns.

    note: told of files and folders that the user may misjudge. Raises InputError, DataError, UnavailableError.
    """
    files = find_files(spec, note)
    if not options.hive:
        hive.remark_on_folders(files, columns.single, note)
    opened: list[PoolFile] = []
    first = 0
    for file in files:
        stamp = file.stamp()
        try:
            with reading(file), open_parquet(file) as parquet:
                schema, n = parquet.schema_arrow, count_rows(parquet, file)
        except DataError as error:
            raise _of_other_kind(file) or error from error
        if n == 0 and len(files) > 1 and not _has_types(schema, columns):
            continue
        features = features_column(schema, file.name, columns.features)
        folders = _folders(file, schema) if options.hive else {}
        opened.append(PoolFile(file, first, n, features, schema, stamp, folders, options.max_memory))
        _remark_on_extension(opened[-1], note)
        first += n
    if not opened:
        raise DataError(f"{shown(spec)}: no file has rows or types", hint="make one with 'alcli embed'")
    return opened


def _of_other_kind(file: DataFile) -> DataError | None:
    """The error for a local file of another kind, with the command that makes a pool of it."""
    other = other_kind(file.path) if file.filesystem is None else None
    if other is None:
        return None
    return DataError(f"{file.name}: not readable as Parquet: it is {other[0]}", hint=other[1])


def _has_types(schema: pa.Schema, columns: Columns) -> bool:
    """False for a file that a frame without rows left: its columns of features are of no type, or not there."""
    names = FEATURE_NAMES if columns.features is None else [columns.features]
    return any(name in names and not pa.types.is_null(kind) for name, kind in zip(schema.names, schema.types))


def _folders(file: DataFile, schema: pa.Schema) -> dict[str, str | None]:
    """The columns that the folders of a file make. Raises DataError where the file has one of the columns as well."""
    found = hive.values(file)
    for name in found:
        if name in schema.names:
            what = f"{file.name}: '{printable(name)}' is both a column and a partition folder, expected one of them"
            raise DataError(what, hint="drop the column, rename the folder, or leave --hive out")
    return found


def _remark_on_extension(file: PoolFile, note: Note) -> None:
    """Tell of an extension type that pyarrow does not know, and so shows as the type it is stored as."""
    field = file.schema.field(file.schema.get_field_index(file.features))
    kind = (field.metadata or {}).get(b"ARROW:extension:name")
    if kind is not None:
        unknown = f"is of the unknown type '{printable(kind.decode(errors='replace'))}'"
        note(f"{file.name}: column '{printable(file.features)}' {unknown}, read as what it is stored as")


def holding(files: Iterable[PoolFile], ordered: Int64 | None) -> Iterator[tuple[PoolFile, Int64 | None]]:
    """Yield each file that holds one of the rows `ordered`, with these rows as numbers in the file; None is all rows.

    ordered: row numbers of the pool, ascending.
    """
    for file in files:
        if ordered is None:
            yield file, None
            continue
        low, high = np.searchsorted(ordered, [file.first, file.first + file.n])
        if low < high:
            yield file, ordered[low:high] - file.first


def common_dim(files: list[PoolFile]) -> int:
    """D, which all files must share; 0 where no file has a row or a fixed-size list.

    Raises DataError that names two files of different D.
    """
    found: dict[str, str] = {}
    for file in files:
        length = vector_length(file.feature_type)
        if length is None and file.n:
            _, vectors = next(file.numbered(file.features, _FIRST_ROWS))
            length = usual_length(vectors)
            if length is None:
                raise DataError(f"{file.describe(0, file.features)}: the vector is null, as are those that follow")
        if length == 0:
            raise DataError(f"{file.name}: column '{printable(file.features)}' holds vectors of length 0")
        if length is not None:
            found[file.name] = str(length)
    return int(_one(found, "the length of the vectors")) if found else 0


def common_metadata(files: list[PoolFile]) -> dict[str, Any]:
    """The metadata that embed wrote about the features, with the fingerprint of all files together where each has one.

    Raises DataError when the metadata of two files describe different features.
    """
    found = [pool_metadata(file.schema, file.name) for file in files]
    first = next((f for f in found if f), {})
    for file, about in zip(files, found):
        difference = same_features(about, first)
        if difference:
            raise DataError(f"{file.name}: its features have {difference} as in {files[0].name}")
    whole = {key: value for key, value in first.items() if key not in ("rows", "fingerprint")}
    marks = [_fingerprint(file, about) for file, about in zip(files, found)]
    return whole if None in marks else whole | {"fingerprint": as_text(add(*(m for m in marks if m is not None)))}


def _fingerprint(file: PoolFile, about: dict[str, Any]) -> int | None:
    """The fingerprint that embed wrote for one file; None without one, or if it is of other rows or another column."""
    try:
        return int(about["fingerprint"], 16) if about["rows"] == file.n and file.features == "features" else None
    except (KeyError, TypeError, ValueError):
        return None


def check_id_types(files: list[PoolFile], column: str) -> None:
    """Raise DataError when the ids are integers in one file and strings in another, or the column is missing."""
    found: dict[str, str] = {}
    for file in files:
        kind = plain_type(file.require(column))
        if file.n == 0:
            # A file without rows often has no type either.
            continue
        found[file.name] = id_type(kind) or str(kind)
    if found:
        _one(found, f"the type of column '{printable(column)}'")


def _one(found: dict[str, str], what: str) -> str:
    """Return the value that all files have. Raises DataError that names two files of different values."""
    values = sorted(set(found.values()))
    if len(values) > 1:
        a, b = (next(f for f, v in found.items() if v == value) for value in values[:2])
        raise DataError(f"{what} differs between files: {values[0]} in {a}, {values[1]} in {b}")
    return values[0]
