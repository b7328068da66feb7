"""A pool: Parquet files with one row per item, or several rows that make one item, read in blocks.

Reading follows the measurements behind the layout that `embed` writes: a few pages at a time through a small buffer,
never a whole table, so memory stays at a few blocks whatever the size of the row groups. Checksums of pages are
verified where a file has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from alcli.arrays import Array, Floats, Int64, Keys
from alcli.data.cached.feature_store import in_file, stored_features
from alcli.data.cached.folder import Folder
from alcli.data.cached.scratch import ahead, allocate, memory_limit
from alcli.data.fingerprint import add, as_text, fingerprint
from alcli.data.pool_columns import PoolColumns
from alcli.data.reading.find import find_files
from alcli.data.reading.isolate import check_unchanged, decode_alone
from alcli.data.reading.parquet import open_parquet, reading
from alcli.data.reading.pool_files import PoolFile, ReadOptions, common_dim, common_metadata, open_files
from alcli.data.reading.vectors import bad_rows, faults
from alcli.data.schema import FEATURE_NAMES, Columns
from alcli.data.streamed.feature_blocks import FeatureBlocks
from alcli.data.streamed.pool_part import PoolPart
from alcli.errors import DataError, OutputError
from alcli.numerics.block_array import BlockArray
from alcli.numerics.teams import current_engine
from alcli.remarks import Note, silence, steps


def open_pool(
    spec: str,
    columns: Columns = Columns(),
    *,
    bad_rows: str = "error",
    max_memory: int | None = None,
    hive: bool = False,
    isolate: bool = False,
    cache_dir: str | None = None,
    remembered: Mapping[str, str] | None = None,
    note: Note = silence,
) -> Pool:
    """Find the files of a pool and check their schemas; no row is read yet.

    bad_rows: "error", or "skip" to leave out rows without a usable vector. max_memory: bytes beyond which features
    that are read again lie in a temporary file, and which no page may exceed. hive: `key=value` folders are columns.
    isolate: a child process decodes everything first (see `isolate.decode_alone`). cache_dir: a folder that keeps
    features which lie in a file. remembered: names of columns for those that `columns` does not name, by the usual
    name; they count as far as the first file has such columns. note: told of oddities in the pool, now and when rows
    are read. Raises InputError, DataError, BusyError, MemoryLimitError, NewerFormatError, UnavailableError.
    """
    return _open(
        spec, columns, ReadOptions(bad_rows == "skip", max_memory, hive, isolate, cache_dir), note, remembered or {}
    )


def _open(
    spec: str, columns: Columns, options: ReadOptions, note: Note, remembered: Mapping[str, str] | None = None
) -> Pool:
    known = dict(remembered or {})
    vectors = [columns.features] if columns.features else [*FEATURE_NAMES, known.get("features", FEATURE_NAMES[0])]
    single = [*columns.single, *(name for usual, name in known.items() if usual != "features")]
    seen = decode_alone(spec, vectors, single, options.max_memory) if options.isolate else {}
    if known:
        file = find_files(spec)[0]
        with reading(file), open_parquet(file) as parquet:
            columns = columns.filled(known, parquet.schema_arrow.names)
    files = open_files(spec, columns, options, note)
    if options.isolate:
        check_unchanged(files, seen)
    return Pool(spec, files, columns, options, note)


class Pool(PoolColumns):
    """The rows of a pool with their features.

    Memory: 8 bytes a row for the hashes of the ids (streamed/stored_ids.py), and two blocks while features are read. A
    query by scores takes some 20 bytes a row in all: the hashes, the numbers of the candidates, and masks.

    `dim` is D, `dtype` float32 or float64, `stored_dtype` float16 where the files have no more, `metadata` what embed
    wrote about the features. note: told of oddities in the features while they are read.
    """

    def __init__(
        self, spec: str, files: list[PoolFile], columns: Columns, options: ReadOptions, note: Note = silence
    ) -> None:
        super().__init__(spec, files, columns, options)
        self._note = note
        self.dim = common_dim(files)
        self.metadata = common_metadata(files)
        kinds = [file.feature_type.value_type for file in files]
        self.dtype = np.float64 if any(map(pa.types.is_float64, kinds)) else np.float32
        self.stored_dtype = np.float16 if kinds and all(map(pa.types.is_float16, kinds)) else self.dtype
        self._features = FeatureBlocks(
            self.name, files, self.dim, self.dtype, columns.id or "id", options.skip_bad, note
        )

    def read_alike(self, spec: str, columns: Columns | None = None) -> Pool:
        """Open another pool with the same limits. columns: their names; None takes those of this pool.

        Raises what `open_pool` does.
        """
        return _open(spec, self._columns if columns is None else columns, self._options, self._note)

    def require_rows(self, hint: str = "") -> None:
        """Raise DataError for a pool of 0 rows. hint: the user's way out."""
        if self.n == 0:
            raise DataError(f"{self.name}: the pool has 0 rows, expected at least one", hint=hint)

    @cached_property
    def is_bad(self) -> Array:
        """A mask [N] of rows that are left out for an unusable vector; all False unless bad rows are skipped."""
        bad_N = np.zeros(self.n, bool)
        if self._options.skip_bad:
            for first, _, column in self._features.columns():
                bad_N[first : first + len(column)] = bad_rows(column, self.dim)
        return bad_N

    def bad_counts(self) -> dict[str, int]:
        """The rows without a usable vector by the fault. Cost: one pass over the features."""
        found = {"null_vectors": 0, "vectors_of_another_length": 0, "vectors_not_finite": 0}
        for _, _, column in self._features.columns():
            null, other, not_finite = faults(column, self.dim)
            found["null_vectors"] += null
            found["vectors_of_another_length"] += other
            found["vectors_not_finite"] += not_finite
        return found

    # -- features, in blocks ------------------------------------------------------------------------------------------

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Yield (number of the first row, X_BD) over all rows. A thread reads and checks one block ahead."""
        return steps(ahead(self._feature_blocks()), "reading", self.n, lambda block: len(block[1]))

    def take(self, rows: Int64) -> Floats:
        """Return the features of `rows`, in that order.

        They are in memory, or beyond the limit memory-mapped from a temporary file. Cost: one pass over the row
        groups that hold any of the rows. Memory: the result and two blocks.
        """
        rows = np.asarray(rows, np.int64)
        out = allocate((len(rows), self.dim), self.dtype, self._options.max_memory, self.name)
        order = np.argsort(rows, kind="stable")
        ordered = rows[order]
        total = self.n if len(rows) == self.n else None
        for first, X_BD in steps(ahead(self._feature_blocks(ordered)), "reading", total, lambda block: len(block[1])):
            a, b = np.searchsorted(ordered, [first, first + len(X_BD)])
            if b > a:
                out[order[a:b]] = X_BD[ordered[a:b] - first]
        return out

    def stored(self, rows: Int64) -> BlockArray:
        """The features of `rows`, which are in the order of their ids: in memory, or in a file that is read in blocks.

        They are in a file beyond the memory limit, and where other processes read them. Cost: as `take`.
        """
        size = len(rows) * self.dim * np.dtype(self.dtype).itemsize
        if in_file(size, memory_limit(self._options.max_memory)):
            try:
                return stored_features(self, rows, self._folder, self._options.cache_dir)
            except OutputError:
                # Where the disk has no room, memory may have, unless other processes are to read the features.
                if current_engine().apart:
                    raise
        return self.take(rows)

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """An array to be filled by `write(first, rows)`, in a file where `stored` says so; None where it fits."""
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        return self._folder.room(shape, dtype) if in_file(size, memory_limit(self._options.max_memory)) else None

    @cached_property
    def _folder(self) -> Folder:
        return Folder(self._options.cache_dir)

    def _feature_blocks(self, ordered: Int64 | None = None) -> Iterator[tuple[int, Floats]]:
        return self._features.blocks(ordered, self.is_bad if self._options.skip_bad else None)

    def watch_scales(self) -> None:
        """Look at the next block of features that is read, and tell if the scales of its columns differ vastly."""
        self._features.watch_scales()

    # -- what a view asks of a source ---------------------------------------------------------------------------------

    def sort_keys(self, rows: Int64) -> Array:
        """Numbers of `rows` that sort as their ids do, int64."""
        return self.ids.ranks(rows)

    def sorted_by_id(self, rows: Int64) -> Int64:
        """Return `rows` in ascending order of their ids."""
        return self.ids.order(rows)

    def row_keys(self, rows: Int64) -> Keys:
        """A 64-bit hash of the id of each of `rows`, uint64."""
        return self.ids.hashes(rows)

    def cuts(self) -> list[int] | None:
        """The row numbers between which other processes can read ranges; None for a pool that is not in local files."""
        is_local = all(file.file.filesystem is None for file in self._files)
        return self._features.cuts() if is_local else None

    def part(self, first: int, last: int, *, with_keys: bool) -> PoolPart:
        """Rows first..last for another process; both are among `cuts`. with_keys: with the hashes of their ids."""
        keys = self.ids.hashes()[first:last] if with_keys else None
        return PoolPart(self._features.cut(first, last), first, last, keys)

    def hear(self, told: list[dict[str, str]]) -> None:
        """Tell what the readers of `part`s found odd, in the order of their rows."""
        self._features.hear(told)

    def without_checksums(self) -> list[str]:
        """The files whose features carry no checksums: damage inside their pages cannot be seen.

        Cost: one short read a file.
        """
        return [f.name for f in self._files if f.n and not f.has_checksums()]

    def fingerprint(self) -> str:
        """Return 16 hexadecimal digits that follow from ids and features alone.

        The order of the rows and the layout of the files do not matter. The fingerprint in the metadata of the files is
        not believed: writers copy the metadata of a table whose features they replace. Cost: one pass over the
        features.
        """
        hashes = self.ids.hashes()
        parts = (fingerprint(hashes[first : first + len(X_BD)], X_BD) for first, X_BD in self.blocks())
        return as_text(add(*parts))
