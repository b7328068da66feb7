"""Items of several rows: a source whose rows are groups of another source's.

The features of a group are the average of its rows', or these side by side in the order of the row ids (`embed`).
Cost: the rows are read in about the order of the source. Memory: two integers a row, 256 MiB of rows at a time (a larger group whole).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from alcli.arrays import Array, Floats, Int64, Keys
from alcli.errors import printable
from alcli.numerics.segments import runs, segment_means, segment_sums
from alcli.selection.source import Source

Embed = Literal["mean", "concat"]

_CHUNK_BYTES = 1 << 28  # rows of features that are held at a time
PART_ROWS = 8192  # rows of groups that are looked at together


@dataclass(frozen=True)
class Grouping:
    """Which group a row belongs to. Groups are numbered in ascending order of their ids.

    group_N: int64 per row, -1 for rows that are left out. ids_G: int64 or str objects. keys_G: 64-bit hashes of the ids.
    """

    group_N: Int64
    ids_G: Array
    keys_G: Keys

    @property
    def n(self) -> int:
        return len(self.ids_G)

    def of_rows(self, rows: Int64) -> Int64:
        """The groups that any of `rows` belongs to, ascending."""
        found: Int64 = np.unique(self.group_N[rows])
        return found[found >= 0]

    def keys_of(self, rows: Int64) -> Keys:
        """A 64-bit hash of the id of each row's group."""
        return self.keys_G[self.group_N[rows]]

    def mask(self, groups: Int64) -> Array:
        """A mask of the rows that belong to one of `groups`, shape [N]."""
        wanted_G = np.zeros(self.n + 1, bool)  # the last entry stands for rows of no group, which are numbered -1
        wanted_G[groups] = True
        return wanted_G[self.group_N]


class GroupSource:
    """A `Source` whose rows are the groups of another: row g is group g, its features are combined from the group's rows.

    embed: "mean", or "concat" for `parts` rows side by side. Groups without rows have features of zeros; nothing may choose them.
    """

    def __init__(self, source: Source, grouping: Grouping, *, embed: Embed = "mean", parts: int = 1) -> None:
        self.base, self.grouping, self._embed, self._parts = source, grouping, embed, parts

    @property
    def n(self) -> int:
        return self.grouping.n

    @property
    def dim(self) -> int:
        return self.base.dim * self._parts

    @cached_property
    def _rows(self) -> tuple[Int64, Int64]:
        """(rows_R, starts_G1): the rows of group g, in ascending order of their ids, are rows_R[starts_G1[g] : starts_G1[g + 1]]."""
        rows_R = self.base.sorted_by_id(np.flatnonzero(self.grouping.group_N >= 0))
        rows_R = rows_R[np.argsort(self.grouping.group_N[rows_R], kind="stable")]
        return rows_R, np.searchsorted(self.grouping.group_N[rows_R], np.arange(self.n + 1))

    def sizes(self, groups: Int64) -> Int64:
        """How many rows each of `groups` has."""
        _, starts_G1 = self._rows
        return starts_G1[groups + 1] - starts_G1[groups]

    def rows_of(self, groups: Int64) -> Int64:
        """The rows of `groups`, one group after another, each in ascending order of the row ids."""
        rows_R, starts_G1 = self._rows
        sizes_B = self.sizes(groups)
        ends_B = np.cumsum(sizes_B)
        places_R = np.arange(sizes_B.sum()) + np.repeat(starts_G1[groups] - (ends_B - sizes_B), sizes_B)
        return np.asarray(rows_R[places_R])

    def parts(self, groups: Int64, most: int = PART_ROWS) -> Iterator[tuple[Int64, Floats, Int64]]:
        """(places_B in `groups`, X_RD, starts_B): the rows of a few whole groups, at most `most` or one group's, each group once.

        One pass over the source where the rows of a group lie near each other in it.
        """
        for places_B in self._chunks(groups):
            X_RD, first = self.base.take(self.rows_of(groups[places_B])), 0
            sizes_B = self.sizes(groups[places_B])
            for a, b in runs(sizes_B, most):
                last = first + int(sizes_B[a:b].sum())
                yield places_B[a:b], X_RD[first:last], np.cumsum(sizes_B[a:b]) - sizes_B[a:b]
                first = last

    def _chunks(self, groups: Int64) -> list[Int64]:
        """Places of groups whose rows are read together, in the order in which they lie in the source; all in one where they lie scattered."""
        rows_R, sizes_B = self.rows_of(groups), self.sizes(groups)
        places = np.flatnonzero(sizes_B)
        if not len(places):
            return []
        starts_B = np.cumsum(sizes_B[places]) - sizes_B[places]
        first_B, last_B = np.minimum.reduceat(rows_R, starts_B), np.maximum.reduceat(rows_R, starts_B)
        order = np.argsort(first_B, kind="stable")
        row_bytes = max(1, self.base.dim) * 8
        cuts = runs(sizes_B[places][order], max(1, _CHUNK_BYTES // row_bytes))
        spans = sum(int(last_B[order[a:b]].max() - first_B[order[a:b]].min()) for a, b in cuts)
        return [places[order[a:b]] for a, b in cuts] if spans <= 2 * self.base.n else [places[order]]

    def combined(self, X_RD: Floats, starts_B: Int64) -> Floats:
        """One row of features for each group of a part, in the dtype of X_RD."""
        if self._embed == "concat":
            return X_RD.reshape(len(starts_B), -1)
        sizes_B = np.diff(starts_B, append=len(X_RD))
        return (segment_sums(X_RD, starts_B) / sizes_B[:, None]).astype(X_RD.dtype)

    def mean_of(self, function: Callable[[Floats], Array], groups: Int64, *, logs: bool) -> Array:
        """The mean of function(rows) over the rows of each of `groups`, in their order; with logs that of its exponential, as a log."""
        out = function(self.base.take(np.empty(0, np.int64)))
        for i, (places_B, X_RD, starts_B) in enumerate(self.parts(groups)):
            means = segment_means(function, X_RD, starts_B, logs=logs, most=PART_ROWS)
            out = np.empty((len(groups), *means.shape[1:])) if i == 0 else out
            out[places_B] = means
        return out

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        for first in range(0, self.n, PART_ROWS):
            yield first, self.take(np.arange(first, min(first + PART_ROWS, self.n)))

    def take(self, rows: Int64) -> Floats:
        out: Floats = np.zeros((len(rows), self.dim), self.base.take(np.empty(0, np.int64)).dtype)
        for places_B, X_RD, starts_B in self.parts(np.asarray(rows, np.int64)):
            out[places_B] = self.combined(X_RD, starts_B)
        return out

    def sort_keys(self, rows: Int64) -> Array:
        return rows

    def sorted_by_id(self, rows: Int64) -> Int64:
        return np.sort(rows)

    def row_keys(self, rows: Int64) -> Keys:
        return self.grouping.keys_G[rows]

    def describe(self, row: int) -> str:
        first = np.flatnonzero(self.grouping.group_N == row)[:1]
        where = f"{self.base.describe(int(first[0]))}, " if len(first) else ""
        return f"{where}group '{printable(self.grouping.ids_G[row])}'"
