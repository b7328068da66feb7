"""The columns of single values of a pool, each held whole: ids, labels, the split, groups, and others by name."""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alcli.arrays import Array
from alcli.data.groups import NO_GROUPS, Groups, find_groups
from alcli.data.ids import Ids, to_ids
from alcli.data.reading.data_file import shown
from alcli.data.reading.isolate import check_unchanged, decode_alone
from alcli.data.reading.pool_files import PoolFile, ReadOptions, check_id_types
from alcli.data.schema import Columns
from alcli.errors import DataError, printable


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

    @property
    def paths(self) -> list[str]:
        """The local files that the pool consists of."""
        return [f.file.path for f in self._files if f.file.filesystem is None]

    @cached_property
    def ids(self) -> Ids:
        """The id column, checked: strings or integers, no null, no empty string, no duplicate. Raises DataError."""
        name = self._columns.id or "id"
        check_id_types(self._files, name)
        blocks = []
        for file in self._files:
            for start, values in file.values(name):

                def where(row: int, file: PoolFile = file, start: int = start) -> str:
                    return file.describe(start + row, name)

                blocks.append(to_ids(values, where))
        ids = Ids(pa.concat_arrays(blocks) if blocks else pa.array([], pa.large_string()))
        ids.check_unique(lambda row: self._place(row, name) + f" (id '{printable(ids[row])}')")
        return ids

    def column(self, name: str) -> pa.Array | None:
        """Return a whole column of plain type, null in files that lack the column; None where no file has it.

        Raises DataError when it is of different types in different files.
        """
        if self._options.isolate and name not in self._columns.single:
            check_unchanged(self._files, decode_alone(self._spec, [name], self._options.max_memory))
        blocks = [block for file in self._files for _, block in file.values(name)]
        kinds = {b.type for b in blocks if not pa.types.is_null(b.type)}
        if not kinds:
            return pa.nulls(self.n) if any(f.has(name) for f in self._files) else None
        if len(kinds) > 1:
            if not all(pa.types.is_string(k) or pa.types.is_large_string(k) for k in kinds):
                found = " and ".join(sorted(map(str, kinds)))
                what = f"{self.name}: column '{printable(name)}' is of type {found} in different files"
                raise DataError(f"{what}, expected one type")
            kinds = {pa.large_string()}
        kind = kinds.pop()
        return pa.concat_arrays([b.cast(kind) for b in blocks])

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
        """A mask [N] of the rows whose `split` is test. A column `split` of numbers has no such rows."""
        split = self.column(self._columns.split)
        return np.zeros(self.n, bool) if split is None else is_test_row(split)

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


def is_test_row(split: pa.Array | pa.ChunkedArray) -> Array:
    """A mask of the rows of a column `split` that are test. A column of numbers has no such rows."""
    # Some writers store strings as bytes.
    octets = pa.types.is_binary(split.type) or pa.types.is_large_binary(split.type)
    if not (octets or pa.types.is_string(split.type) or pa.types.is_large_string(split.type)):
        return np.zeros(len(split), bool)
    found = pc.equal(split, b"test" if octets else "test").fill_null(False)
    return np.asarray(found.to_numpy(zero_copy_only=False) if isinstance(found, pa.Array) else found.to_numpy())
