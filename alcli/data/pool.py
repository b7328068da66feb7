"""A pool: Parquet files with one row per item, read in blocks.

Reading follows the measurements behind the layout that `embed` writes: one row group's pages at a time through a small buffer, never a
whole table, so memory stays at a few blocks whatever the size of the row groups. Checksums of pages are verified where a file has them.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alcli.arrays import Array, Floats, Int64, Keys
from alcli.data.fingerprint import add, as_text, fingerprint
from alcli.data.files import DataFile, find_files, one_type
from alcli.data.ids import Ids, to_ids
from alcli.data.schema import Columns, features_column, pool_metadata, require, same_features
from alcli.data.vectors import bad_rows, storage_type, to_matrix, vector_length
from alcli.errors import BusyError, DataError, MemoryLimitError, printable

T = TypeVar("T")
BLOCK_BYTES = 16 << 20
_OPEN = {"pre_buffer": False, "buffer_size": 1 << 20, "page_checksum_verification": True}
_LIMITS = {"thrift_string_size_limit": 32 << 20, "thrift_container_size_limit": 50_000}


@dataclass(frozen=True)
class Shard:
    """One file of a pool: its rows are numbered from `first`."""

    file: DataFile
    first: int
    n: int
    features: str
    schema: pa.Schema
    stamp: Any

    def describe(self, row: int, column: str | None = None) -> str:
        shown = f"{self.file.name}: " + (f"column '{printable(column)}', " if column else "")
        return f"{shown}row {row}"


def _open(file: DataFile) -> pq.ParquetFile:
    """Open a file and read its footer. Raises DataError with pyarrow's reason on one line."""
    try:
        return pq.ParquetFile(file.open(), **_OPEN, **_LIMITS)
    except (DataError, MemoryError):
        raise
    except (pa.ArrowException, OSError, ValueError, IndexError, KeyError, RuntimeError) as error:
        raise _damaged(file, error) from error


def _damaged(file: DataFile, error: Exception) -> DataError:
    text = printable(str(error).split("\n")[0].strip().rstrip("."))
    if "encrypted" in text.lower():
        return DataError(f"{file.name}: the file is encrypted, expected plain Parquet")
    if "size limit" in text.lower() or "exceeded" in text.lower():
        return DataError(f"{file.name}: too many columns or too much metadata: {text}")
    return DataError(f"{file.name}: not readable as Parquet: {text}")


def open_pool(spec: str, columns: Columns = Columns(), *, bad_rows: str = "error", max_memory: int | None = None) -> Pool:
    """Find the files of a pool and check their schemas; no row is read yet.

    bad_rows: "error", or "skip" to leave out rows without a usable vector. max_memory: bytes beyond which features that are needed
    at random are kept in a memory-mapped temporary file. Raises InputError, DataError, NewerFormatError.
    """
    files, notes = find_files(spec)
    shards: list[Shard] = []
    first = 0
    for file in files:
        stamp = file.stamp()
        parquet = _open(file)
        with parquet:
            schema = parquet.schema_arrow
            features = features_column(schema, file.name, columns.features)
            shards.append(Shard(file, first, parquet.metadata.num_rows, features, schema, stamp))
            first += parquet.metadata.num_rows
    return Pool(spec, shards, columns, notes, bad_rows == "skip", max_memory)


class Pool:
    """The rows of a pool by number, in the order of the files. Memory: the ids, and two blocks while reading.

    `n` counts rows, `dim` is D, `dtype` float32 or float64, `metadata` what embed wrote, `notes` remarks for the user.
    """

    def __init__(self, name: str, shards: list[Shard], columns: Columns, notes: list[str], skip_bad: bool, max_memory: int | None) -> None:
        self.name = printable(name)
        self.notes = notes
        self._shards = shards
        self._columns = columns
        self._skip_bad = skip_bad
        self._max_memory = max_memory
        self.n = sum(s.n for s in shards)
        self.dim = self._common_dim()
        self.metadata = self._common_metadata()
        kinds = {s.file.name: str(storage_type(s.schema.field(s.features).type).value_type) for s in shards}
        self.dtype = np.float64 if "double" in kinds.values() else np.float32

    def _common_dim(self) -> int:
        found: dict[str, str] = {}
        for shard in self._shards:
            length = vector_length(shard.schema.field(shard.features).type)
            if length is None and shard.n:
                batch = next(self._batches(shard, [shard.features], 1))
                column = batch.column(0)
                if column.null_count:
                    raise DataError(f"{shard.describe(0, shard.features)}: the vector is null")
                length = len(column[0])
            if length is not None:
                found[shard.file.name] = f"{length} dimensions"
        if not found:
            return 0
        dim = int(one_type(found, "the length of the vectors").split()[0])
        if dim == 0:
            raise DataError(f"{self._shards[0].file.name}: column '{printable(self._shards[0].features)}' holds vectors of length 0")
        return dim

    def _common_metadata(self) -> dict[str, Any]:
        first: dict[str, Any] = {}
        for shard in self._shards:
            found = pool_metadata(shard.schema, shard.file.name)
            difference = same_features(found, first)
            if difference:
                raise DataError(f"{shard.file.name}: its features have {difference} as in {self._shards[0].file.name}")
            first = first or found
        return first

    # -- small columns, whole -------------------------------------------------------------------------------------------------

    @cached_property
    def ids(self) -> Ids:
        """The id column, checked: strings or integers, no null, no empty string, no duplicate."""
        name = self._columns.id or "id"
        types = {}
        for shard in self._shards:
            kind = require(shard.schema, shard.file.name, name).type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            types[shard.file.name] = "integer" if pa.types.is_integer(kind) else str(kind).replace("large_", "").replace("_view", "")
        one_type(types, f"the type of column '{printable(name)}'")
        blocks = []
        for shard in self._shards:
            start = 0
            for batch in self._batches(shard, [name], 1 << 17):
                blocks.append(to_ids(batch.column(0), lambda row, s=shard, at=start: s.describe(at + row, name)))  # type: ignore[misc]
                start += len(batch)
        ids = Ids(pa.concat_arrays(blocks) if blocks else pa.array([], pa.large_string()))
        ids.check_unique(lambda row: self._place(row, name) + f" (id '{printable(ids[row])}')")
        return ids

    def column(self, name: str) -> pa.Array | None:
        """A whole column, dictionaries decoded; a hive partition key counts as a column of strings. None where no file has it."""
        if not any(name in s.schema.names or name in s.file.partition for s in self._shards):
            return None
        blocks: list[pa.Array] = []
        for shard in self._shards:
            if name in shard.file.partition:
                if name in shard.schema.names:
                    raise DataError(f"{shard.file.name}: '{printable(name)}' is both a column and a partition folder, expected one of them")
                blocks.append(pa.array([shard.file.partition[name]] * shard.n, pa.string()))
            elif name not in shard.schema.names:
                blocks.append(pa.nulls(shard.n))
            else:
                require(shard.schema, shard.file.name, name)
                blocks.extend(_decoded(b.column(0)) for b in self._batches(shard, [name], 1 << 17))
        kinds = {b.type for b in blocks if not pa.types.is_null(b.type)}
        if len(kinds) > 1:
            if not all(pa.types.is_string(k) or pa.types.is_large_string(k) for k in kinds):
                raise DataError(f"{self.name}: column '{printable(name)}' is of type {' and '.join(sorted(map(str, kinds)))} in different files, expected one type")
            kinds = {pa.large_string()}
        kind = kinds.pop() if kinds else pa.null()
        return pa.concat_arrays([b.cast(kind) for b in blocks]) if blocks else None

    @property
    def label_column(self) -> str:
        return self._columns.label or "label"

    def labels(self) -> pa.Array | None:
        """The label column, None when there is none. Raises DataError when the user named one that is not there."""
        if self._columns.label is not None:
            for shard in self._shards:
                if self._columns.label not in shard.file.partition:
                    require(shard.schema, shard.file.name, self._columns.label)
        return self.column(self.label_column)

    @cached_property
    def is_test(self) -> Array:
        """A mask of the rows whose `split` is test; shape [N]."""
        split = self.column(self._columns.split)
        if split is None or pa.types.is_null(split.type):
            return np.zeros(self.n, bool)
        return pc.equal(split.cast(pa.large_string()), "test").fill_null(False).to_numpy(zero_copy_only=False)  # type: ignore[no-any-return]

    @cached_property
    def is_bad(self) -> Array:
        """A mask of the rows that are left out because their vector cannot be used; all False unless bad rows are skipped."""
        bad_N = np.zeros(self.n, bool)
        if self._skip_bad:
            for shard, row, column in self._feature_columns():
                try:
                    to_matrix(column, self.dim, lambda r: "")
                except DataError:
                    bad_N[shard.first + row : shard.first + row + len(column)] = bad_rows(column, self.dim)
        return bad_N

    # -- features, in blocks --------------------------------------------------------------------------------------------------

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """(number of the first row, X_BD) over all rows. Reading and checking run one block ahead, in a thread of their own."""
        return _ahead(self._feature_blocks())

    def take(self, rows: Int64) -> Floats:
        """The features of `rows`, in that order: in memory, or memory-mapped from a temporary file beyond the memory limit.

        One pass over the row groups that hold any of them. Memory: the result and two blocks.
        """
        rows = np.asarray(rows, np.int64)
        out = self._allocate((len(rows), self.dim))
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        for first, X_BD in _ahead(self._feature_blocks(ordered)):
            a, b = np.searchsorted(ordered, [first, first + len(X_BD)])
            if b > a:
                out[order[a:b]] = X_BD[ordered[a:b] - first]
        return out

    def _allocate(self, shape: tuple[int, int]) -> Floats:
        size = int(np.prod(shape)) * np.dtype(self.dtype).itemsize
        limit = self._max_memory if self._max_memory is not None else _half_of_memory()
        if size <= limit:
            try:
                return np.empty(shape, self.dtype)
            except MemoryError:
                raise MemoryLimitError(f"{self.name}: no memory for {size >> 20} MiB of features", hint="use --candidates, or --max-memory to keep them on disk") from None
        with tempfile.TemporaryFile(prefix="alcli-features-") as file:
            file.truncate(size)
            return np.memmap(file, self.dtype, "r+", shape=shape)

    def _feature_blocks(self, ordered: Int64 | None = None) -> Iterator[tuple[int, Floats]]:
        zeroed = self.is_bad if self._skip_bad else None
        for shard, row, column in self._feature_columns(ordered):
            first = shard.first + row
            if zeroed is not None and zeroed[first : first + len(column)].any():
                yield first, self._without_bad(column, zeroed[first : first + len(column)])
                continue

            def where(r: int, shard: Shard = shard, row: int = row) -> str:
                return self._place(shard.first + row + r, shard.features) + f" (id '{printable(self.ids[shard.first + row + r])}')"

            yield first, to_matrix(column, self.dim, where)

    def _without_bad(self, column: pa.Array, bad_B: Array) -> Floats:
        """A block whose unusable rows are zero; they are never candidates."""
        good = np.flatnonzero(~bad_B)
        X_BD = np.zeros((len(column), self.dim), self.dtype)
        X_BD[good] = to_matrix(pa.concat_arrays([column.take(pa.array(good))]), self.dim, lambda r: "")
        return X_BD

    def _feature_columns(self, ordered: Int64 | None = None) -> Iterator[tuple[Shard, int, pa.Array]]:
        """(shard, row within it, vectors) over all rows, or over the row groups that hold one of `ordered` (sorted) row numbers."""
        item = np.dtype(self.dtype).itemsize
        height = 1 << max(6, min(13, int(np.log2(BLOCK_BYTES / max(1, self.dim * item)))))
        for shard in self._shards:
            wanted = None
            if ordered is not None:
                a, b = np.searchsorted(ordered, [shard.first, shard.first + shard.n])
                if a == b:
                    continue
                wanted = ordered[a:b] - shard.first
            for row, batch in self._numbered_batches(shard, [shard.features], height, wanted):
                yield shard, row, batch.column(0)
            if shard.stamp is not None and shard.file.stamp() != shard.stamp:
                raise BusyError(f"{shard.file.name}: changed while it was read", hint="try again when its writer has finished")

    def _numbered_batches(self, shard: Shard, columns: list[str], height: int, wanted: Int64 | None) -> Iterator[tuple[int, pa.RecordBatch]]:
        if wanted is None:
            row = 0
            for batch in self._batches(shard, columns, height):
                yield row, batch
                row += len(batch)
            return
        sizes = self._row_group_sizes(shard)
        starts = np.concatenate([[0], np.cumsum(sizes)])
        groups = np.unique(np.searchsorted(starts, wanted, side="right") - 1)
        for run in np.split(groups, np.flatnonzero(np.diff(groups) > 1) + 1):
            row = int(starts[run[0]])
            for batch in self._batches(shard, columns, height, run.tolist()):
                yield row, batch
                row += len(batch)

    def _row_group_sizes(self, shard: Shard) -> list[int]:
        with _open(shard.file) as parquet:
            return [parquet.metadata.row_group(g).num_rows for g in range(parquet.metadata.num_row_groups)]

    def _batches(self, shard: Shard, columns: list[str], height: int, groups: list[int] | None = None) -> Iterator[pa.RecordBatch]:
        with _open(shard.file) as parquet:
            batches = parquet.iter_batches(height, row_groups=groups, columns=columns, use_threads=False)
            while True:
                try:
                    batch = next(batches)
                except StopIteration:
                    return
                except MemoryError:
                    raise
                except (pa.ArrowException, OSError, ValueError, IndexError, KeyError, RuntimeError) as error:
                    raise _damaged(shard.file, error) from error
                yield batch

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
        shard = next(s for s in self._shards if s.first <= row < s.first + s.n)
        return shard.describe(row - shard.first, column)

    def fingerprint(self) -> str:
        """16 hexadecimal digits that follow from ids and features alone, not from their order or the layout of the files.

        Taken from the metadata where `embed` left it; else one pass over the features.
        """
        stored = self.metadata.get("fingerprint")
        if isinstance(stored, str):
            return stored
        parts = (fingerprint(self.ids.arrow(np.arange(first, first + len(X_BD))), X_BD) for first, X_BD in self.blocks())
        return as_text(add(*parts))


def _decoded(column: pa.Array) -> pa.Array:
    return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column


def _half_of_memory() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def _ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one being made in a thread while the current one is used."""
    end = object()
    step: Callable[[], Any] = lambda: next(items, end)
    with ThreadPoolExecutor(1, "alcli-read") as reader:
        pending = reader.submit(step)
        while (item := pending.result()) is not end:
            pending = reader.submit(step)
            yield item
