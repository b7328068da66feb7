"""The columns of single values of a pool, each held whole: ids, labels, the split, groups, and others by name."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from copy import copy
from functools import cached_property
from typing import Any, Self

import numpy as np
import pyarrow as pa

from alcli.arrays import Array, Int64
from alcli.data.groups import NO_GROUPS, Groups, find_groups
from alcli.data.ids import Ids, id_type, to_ids
from alcli.data.reading.data_file import shown
from alcli.data.reading.isolate import check_unchanged, decode_alone
from alcli.data.reading.joined import joined
from alcli.data.reading.parquet import plain_type
from alcli.data.reading.pool_files import PoolFile, ReadOptions, check_id_types, holding
from alcli.data.schema import Columns, near_columns
from alcli.data.spellings.splits import is_test_row, near_test
from alcli.data.streamed.stored_ids import MOST_READS, StoredIds
from alcli.data.text.rows import RowSource
from alcli.errors import printable


class PoolColumns:
    """The rows of a pool without their features, by number, in the order of the files.

    Memory: the columns that were asked for. `name` is the pool as messages show it, `n` the number of rows.
    """

    def __init__(self, spec: str, files: list[PoolFile], columns: Columns, options: ReadOptions) -> None:
        self.name = shown(spec)
        self._spec = spec
        self._files = files
        self._columns = columns
        self._options = options
        self.n = sum(f.n for f in files)
        # Files of the labels of more test rows, see `with_test`.
        self.test_sources: tuple[RowSource, ...] = ()

    @property
    def paths(self) -> list[str]:
        """The local files that the pool consists of, and the folder where the pool is one."""
        folder = [self._spec] if os.path.isdir(self._spec) else []
        return [*(f.file.path for f in self._files if f.file.filesystem is None), *folder]

    def stamps(self) -> list[tuple[str, int, int, int]] | None:
        """(path, inode, size, time of the last change) of each file; None where a file is not local."""
        found = [(os.path.abspath(f.file.path), *(f.stamp or ())) for f in self._files]
        return None if any(len(stamp) < 4 for stamp in found) else found

    @property
    def skips_bad(self) -> bool:
        """True where rows without a usable vector are left out."""
        return self._options.skip_bad

    @property
    def columns(self) -> Columns:
        """The names of the columns, as the user or a head gave them."""
        return self._columns

    @property
    def n_files(self) -> int:
        """The number of files."""
        return len(self._files)

    def column_types(self) -> dict[str, str]:
        """The type of each column of the first file, and of each folder that is a column."""
        first = self._files[0]
        return {name: str(kind) for name, kind in zip(first.schema.names, first.schema.types)} | dict.fromkeys(
            first.hive, "folder"
        )

    @cached_property
    def ids(self) -> Ids:
        """The id column, checked: strings or integers, no null, no empty string, no duplicate. Raises DataError."""
        name = self._columns.id or "id"
        check_id_types(self._files, name)
        kinds = (id_type(plain_type(file.require(name))) for file in self._files if file.n)
        is_remote = any(file.file.filesystem is not None for file in self._files)
        ids = StoredIds(self._read_ids, self.n, next(kinds, "string") == "string", 0 if is_remote else MOST_READS)
        ids.check_unique(lambda row: self._place(row, name) + f" (id '{printable(ids[row])}')")
        return ids

    def _read_ids(self, ordered: Int64 | None) -> Iterator[tuple[int, pa.Array]]:
        """Yield (number of the first row, ids), typed as `Ids` holds them. ordered: see `PoolFile.values`."""
        name = self._columns.id or "id"
        for file, rows in holding(self._files, ordered):
            for start, values in file.values(name, rows):

                def where(row: int, file: PoolFile = file, start: int = start) -> str:
                    return file.describe(start + row, name)

                yield file.first + start, to_ids(values, where)

    def column(self, name: str) -> pa.Array | None:
        """Return a whole column of plain type, null in files that lack the column; None where no file has it.

        Numbers of different types in different files become the type that holds all of them. Raises DataError for
        other differences of type.
        """
        if self._options.isolate and name not in self._columns.single:
            check_unchanged(self._files, decode_alone(self._spec, [], [name], self._options.max_memory))
        blocks = [block for file in self._files for _, block in file.values(name)]
        if all(pa.types.is_null(b.type) for b in blocks):
            return pa.nulls(self.n) if any(f.has(name) for f in self._files) else None
        return joined(blocks, f"{self.name}: column '{printable(name)}'")

    def values_at(self, name: str, rows: Int64) -> list[Any]:
        """Return the values of a column at some rows, in their order. Raises DataError where no file has the column.

        Memory: one block of the column, and the values.
        """
        self._require(name)
        order = np.argsort(rows, kind="stable")
        ascending = rows[order]
        found: list[Any] = [None] * len(rows)
        first = 0
        for file in self._files:
            for start, values in file.values(name):
                low, high = np.searchsorted(ascending, [first + start, first + start + len(values)])
                inside = pa.array(ascending[low:high] - first - start)
                for k, value in zip(order[low:high], values.take(inside).to_pylist()):
                    found[k] = value
            first += file.n
        return found

    def types_of(self, name: str) -> set[pa.DataType]:
        """The plain types of a column in the files that have rows and the column; no value is read."""
        return {plain_type(file.require(name)) for file in self._files if file.n and file.has(name)}

    @property
    def label_column(self) -> str:
        """The name of the label column."""
        return self._columns.label or "label"

    @property
    def label_place(self) -> str:
        """The label column as messages name it, with its pool."""
        return f"{self.name}: column '{printable(self.label_column)}'"

    def labels(self) -> pa.Array | None:
        """Return the label column, None where there is none.

        Raises DataError when the user named a column that is not there.
        """
        if self._columns.label is not None:
            self._require(self._columns.label)
        return self.column(self.label_column)

    @cached_property
    def is_test(self) -> Array:
        """A mask [N] of the rows whose `split` is test, in any spelling of `is_test_row`."""
        return self._split[0]

    def with_test(self, rows: Int64, sources: Sequence[RowSource]) -> Self:
        """Return the pool with more test rows. sources: files that hold their labels, as `test_sources`."""
        found = copy(self)
        found.test_sources = tuple(sources)
        found.is_test = self.is_test.copy()
        found.is_test[rows] = True
        return found

    @property
    def near_test(self) -> list[str]:
        """The values of `split` that are not test but may have been meant to."""
        return self._split[1]

    @cached_property
    def _split(self) -> tuple[Array, list[str]]:
        split = self.column(self._columns.split)
        return (np.zeros(self.n, bool), []) if split is None else (is_test_row(split), near_test(split))

    def near_names(self) -> dict[str, str]:
        """The columns that no file has by their usual name, each with a column that is called nearly so."""
        usual = [n for n in ("label", "split", "group") if n in self._columns.unnamed]
        there = [name for file in self._files for name in (*file.schema.names, *file.hive)]
        return near_columns(usual, there)

    @cached_property
    def groups(self) -> Groups | None:
        """The groups of rows that are one item each; None where every row is an item.

        Raises DataError for a row without a group beside rows that have one.
        """
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

    def describe(self, row: int) -> str:
        """Name a row for messages: its file, its number in it, and its id."""
        return self._place(row) + f" (id '{printable(self.ids[row])}')"

    def _place(self, row: int, column: str | None = None) -> str:
        """Name a row for messages where its id may be unknown: its file and its number in it."""
        file = next(f for f in self._files if f.first <= row < f.first + f.n)
        return file.describe(row - file.first, column)

    def _require(self, column: str) -> None:
        """Raise DataError for a file that lacks the column."""
        for file in self._files:
            file.require(column)
