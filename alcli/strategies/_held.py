"""Rows of a source held in memory, to be looked at many times: what a loop over single labels selects from."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from alcli.arrays import Array, Floats, Int64, Keys
from alcli.strategies._view import Source


class HeldRows:
    """A source whose rows `rows_M` are in memory, X_MD in ascending order of their ids; others are read once, when they are asked for.

    Memory: M D numbers beside the source, and one integer for each of its rows.
    """

    def __init__(self, source: Source, rows: Int64) -> None:
        self._source = source
        self.rows_M = source.sorted_by_id(np.asarray(rows, np.int64))
        self.X_MD = source.take(self.rows_M)
        self._more: list[Floats] = []
        self._place = np.full(source.n, -1)
        self._place[self.rows_M] = np.arange(len(self.rows_M))

    @property
    def n(self) -> int:
        return self._source.n

    @property
    def dim(self) -> int:
        return self._source.dim

    def hold(self, row: int) -> int:
        """Keep a row that was not held, behind the others and out of their order; its place."""
        place = int(self._place[row])
        if place < 0:
            self._more.append(self._source.take(np.array([row]))[0])
            place = self._place[row] = len(self.rows_M) + len(self._more) - 1
        return place

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        return self._source.blocks()

    def take(self, rows: Int64) -> Floats:
        places = self._place[rows]
        M = len(self.rows_M)
        if not ((places >= 0) & (places < M)).all():
            for row in rows[places < 0]:
                self.hold(int(row))
            places = self._place[rows]
            return np.stack([self.X_MD[p] if p < M else self._more[p - M] for p in places])
        return self.X_MD[places]

    def sort_keys(self, rows: Int64) -> Array:
        return self._source.sort_keys(rows)

    def sorted_by_id(self, rows: Int64) -> Int64:
        return self._source.sorted_by_id(rows)

    def row_keys(self, rows: Int64) -> Keys:
        return self._source.row_keys(rows)

    def describe(self, row: int) -> str:
        return self._source.describe(row)
