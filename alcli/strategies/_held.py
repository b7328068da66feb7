"""Rows of a source held in memory, to be looked at many times: what a loop over single labels selects from."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property

import numpy as np

from alcli.arrays import Array, Floats, Int64, Keys
from alcli.strategies._protocols import Source


class HeldRows:
    """A source whose rows `rows_M` are in ascending order of their ids, and in memory once X_MD was looked at; others are read once.

    Memory: M D numbers beside the source, and one integer for each of its rows.
    """

    def __init__(self, source: Source, rows: Int64) -> None:
        self._source = source
        self.rows_M = source.sorted_by_id(np.asarray(rows, np.int64))
        self._place = np.full(source.n, -1)
        self._place[self.rows_M] = np.arange(len(self.rows_M))
        self._single: dict[int, Floats] = {}

    @cached_property
    def X_MD(self) -> Floats:
        """The features of rows_M. Do not write to it."""
        return self._source.take(self.rows_M)

    @property
    def n(self) -> int:
        return self._source.n

    @property
    def dim(self) -> int:
        return self._source.dim

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        return self._source.blocks()

    def take(self, rows: Int64) -> Floats:
        places = self._place[rows]
        if "X_MD" in self.__dict__ and (places >= 0).all():
            X_BD: Floats = self.X_MD[places]
            return X_BD
        return np.stack([self._row(int(row)) for row in rows]) if len(rows) else self._source.take(rows)

    def _row(self, row: int) -> Floats:
        place = int(self._place[row])
        if place >= 0 and "X_MD" in self.__dict__:
            x_D: Floats = self.X_MD[place]
            return x_D
        if row not in self._single:
            self._single[row] = self._source.take(np.array([row]))[0]
        return self._single[row]

    def place(self, row: int) -> int | None:
        """Where a row of the source stands in rows_M; None where it is not held."""
        place = int(self._place[row])
        return place if place >= 0 else None

    def sort_keys(self, rows: Int64) -> Array:
        return self._source.sort_keys(rows)

    def sorted_by_id(self, rows: Int64) -> Int64:
        return self._source.sorted_by_id(rows)

    def row_keys(self, rows: Int64) -> Keys:
        return self._source.row_keys(rows)

    def describe(self, row: int) -> str:
        return self._source.describe(row)
