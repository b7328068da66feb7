"""A pool in memory: arrays and Arrow tables that answer as a Parquet file with the same columns does.

The class `Pool` does all of the work: ids, labels, split, groups, blocks and refusals. It asks its files for
columns, and `TablePart` gives it columns of a table where `PoolFile` reads columns of a file. Both sources
therefore agree by construction. No Parquet buffer lies between: encoding the table would double the memory
and cost a decoding pass for each pass over the features. NumPy arrays of features are not copied if they are
contiguous.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from alcli.arrays import Int64
from alcli.data.pool import Pool
from alcli.data.reading.data_file import DataFile
from alcli.data.reading.parquet import plain
from alcli.data.reading.pool_files import PoolFile, ReadOptions
from alcli.data.schema import Columns, features_column
from alcli.errors import UsageError, printable
from alcli.remarks import Note, silence


def pool_of(
    columns: Mapping[str, Any] | pa.Table,
    names: Columns = Columns(),
    *,
    name: str = "pool",
    bad_rows: str = "error",
    max_memory: int | None = None,
    note: Note = silence,
) -> Pool:
    """Make a pool of columns of equal length, which nobody changes while the pool is in use.

    columns: an Arrow table, or by name sequences, NumPy arrays and Arrow arrays; a 2-D array is a column of
    vectors [N, D]. names: which columns are the id, the features, the label. name: of the pool, in messages
    and in the provenance of heads. bad_rows, max_memory: as for `open_pool`. Raises UsageError for columns
    that make no table, DataError for the wrong types.
    """
    table = columns if isinstance(columns, pa.Table) else _table(columns, name)
    features = features_column(table.schema, printable(name), names.features)
    part = TablePart(DataFile(name, IN_MEMORY), 0, len(table), features, table.schema, None, {}, None, table)
    return Pool(name, [part], names, ReadOptions(bad_rows == "skip", max_memory), note)


class _InMemory:
    """The file system of a table, so that nobody looks for the table on the disk."""


IN_MEMORY = _InMemory()


@dataclass(frozen=True)
class TablePart(PoolFile):
    """Rows of a table in the place of a file."""

    table: pa.Table

    def numbered(self, column: str, height: int, rows: Int64 | None = None) -> Iterator[tuple[int, pa.Array]]:
        """Yield (first row, values) of a column in blocks of at most `height` rows: all, or the blocks that
        hold one of `rows`.

        rows: ascending. No value is copied.
        """
        first = 0
        for chunk in self.table.column(self.table.schema.get_field_index(column)).chunks:
            for start in range(0, len(chunk), height):
                block = chunk.slice(start, height)
                if rows is None or np.searchsorted(rows, first) < np.searchsorted(rows, first + len(block)):
                    yield first, plain(block)
                first += len(block)

    def has_checksums(self) -> bool:
        """True: memory has no pages to protect."""
        return True


def _table(columns: Mapping[str, Any], name: str) -> pa.Table:
    arrays = {key: _column(values, f"{printable(name)}: column '{printable(key)}'") for key, values in columns.items()}
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        shown = ", ".join(f"'{printable(key)}' {length}" for key, length in lengths.items())
        raise UsageError(f"{printable(name)}: the columns have different numbers of rows: {shown}")
    return pa.table(arrays)


def _column(values: Any, what: str) -> pa.Array:
    """One column as an Arrow array. None and, in columns of single values, NaN is null: nothing is known of
    that row.
    """
    try:
        if isinstance(values, (pa.Array, pa.ChunkedArray)):
            return values
        if getattr(values, "ndim", 1) == 2:
            return _vectors(np.asarray(values))
        return pa.array(values, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        reason = printable(next(iter(str(error).splitlines()), type(error).__name__)).rstrip(". ")
        raise UsageError(
            f"{what} cannot be read: {reason}", hint="expected a sequence of one type, or an array of numbers [N, D]"
        ) from None


def _vectors(X_ND: Any) -> pa.Array:
    """Rows of an array as fixed-size lists."""
    values = pa.array(np.ascontiguousarray(X_ND).reshape(-1))
    return pa.FixedSizeListArray.from_arrays(values, X_ND.shape[1])
