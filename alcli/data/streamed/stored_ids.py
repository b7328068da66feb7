"""The ids of a pool in files, of which a command keeps 64-bit hashes and reads the ids of a few rows again.

A query writes some hundred ids and looks up some more; a string of every row in memory would cost several times its
features in small pools. Labels and exclusions find their rows by hash, and the ids of these rows are then read and
compared, so that a collision of hashes is no match. A command that asks again and again gets the column in memory.
Memory: 8 bytes a row for the hashes, 8 more while they are checked. The column adds its own size once it is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np
import pyarrow as pa

from alcli.arrays import Int64
from alcli.data.fingerprint import id_keys
from alcli.data.ids import Id, Ids

# Ascending row numbers, None for all -> (number of the first row, ids) of blocks that hold these rows.
IdReader: TypeAlias = Callable[[Int64 | None], Iterator[tuple[int, pa.Array]]]

# The column is kept when it is read once more often than this.
MOST_READS = 8


class StoredIds(Ids):
    """The ids of n rows that `read` gives, in any number of blocks. most_reads: see `MOST_READS`.

    Cost: one read of the column, and one of some row groups whenever ids are asked for. Raises what `read` raises.
    """

    def __init__(self, read: IdReader, n: int, is_text: bool, most_reads: int = MOST_READS) -> None:
        self._read, self._n, self._left = read, n, most_reads
        self._kept: pa.Array | None = None
        self.is_text = is_text
        self._hashes = np.empty(n, np.uint64)
        for first, ids in read(None):
            self._hashes[first : first + len(ids)] = id_keys(ids)

    def __len__(self) -> int:
        return self._n

    def __getitem__(self, row: int) -> Id:
        return self.arrow(np.array([row]))[0].as_py()

    def arrow(self, rows: Int64) -> pa.Array:
        if self._kept is None and self._left <= 0:
            self.keep()
        if self._kept is not None:
            return self._kept.take(pa.array(rows, pa.int64()))
        self._left -= 1
        return self._some(np.asarray(rows, np.int64))

    def keep(self) -> None:
        if self._kept is None:
            self._kept = self._joined([ids for _, ids in self._read(None)])

    def _some(self, rows: Int64) -> pa.Array:
        """The ids of some rows, read from the files."""
        if not len(rows):
            return self._joined([])
        order = None if (np.diff(rows) >= 0).all() else np.argsort(rows, kind="stable")
        ascending = rows if order is None else rows[order]
        found = []
        for first, ids in self._read(ascending):
            low, high = np.searchsorted(ascending, [first, first + len(ids)])
            inside = ascending[low:high] - first
            is_all = len(inside) == len(ids) and bool((np.diff(inside) == 1).all())
            found.append(ids if is_all else ids.take(pa.array(inside)))
        column = self._joined(found)
        if order is None:
            return column
        places = np.empty(len(rows), np.int64)
        places[order] = np.arange(len(rows))
        return column.take(pa.array(places))

    def _joined(self, blocks: list[pa.Array]) -> pa.Array:
        return pa.concat_arrays(blocks) if blocks else pa.array([], pa.large_string() if self.is_text else pa.int64())
