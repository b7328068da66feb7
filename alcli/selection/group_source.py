"""A source whose rows are groups of rows of another source, for queries that choose groups.

The features of a group are the mean of its rows' features, or all of them side by side in the order of the row ids
(`embed`). G is the number of groups, R a number of rows that belong to groups, B a number of groups.

Cost: the rows are read in about the order of the source, in at most about two passes.
Memory: two integers a row, and 256 MiB of rows at a time (a larger group is held whole). Where the rows of groups lie
scattered in the source, all are taken at once; a source keeps rows beyond its memory limit in a memory map.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from alcli.arrays import Array, Floats, Int64, Keys
from alcli.errors import printable
from alcli.numerics.segments import places_of, runs, segment_means, segment_sums
from alcli.selection.source import Source, Uncut

Embed = Literal["mean", "concat"]

_CHUNK_BYTES = 1 << 28  # bytes of features that are held at a time
PART_ROWS = 8192  # rows of whole groups that are computed together


@dataclass(frozen=True)
class Grouping:
    """The assignment of rows to groups. Groups are numbered in ascending order of their ids.

    group_N: int64, the group of each row, -1 for a row without a group. ids_G: the ids of the groups, int64 or str
    objects. keys_G: 64-bit hashes of the ids, uint64.
    """

    group_N: Int64
    ids_G: Array
    keys_G: Keys

    @property
    def n(self) -> int:
        """G, the number of groups."""
        return len(self.ids_G)

    def of_rows(self, rows: Int64) -> Int64:
        """The groups that have any of `rows`, ascending."""
        found: Int64 = np.unique(self.group_N[rows])
        return found[found >= 0]

    def keys_of(self, rows: Int64) -> Keys:
        """A 64-bit hash of the id of each row's group, uint64."""
        return self.keys_G[self.group_N[rows]]

    def mask(self, groups: Int64) -> Array:
        """A mask of the rows that belong to one of `groups`, bool [N]."""
        # Rows without a group have the number -1, which is the index of the last entry.
        wanted_G = np.zeros(self.n + 1, bool)
        wanted_G[groups] = True
        return wanted_G[self.group_N]


class GroupSource(Uncut):
    """A `Source` whose row g is group g of another source.

    embed: "mean" averages the features of a group's rows; "concat" puts the features of its `parts` rows side by side.
    A group without rows has features of zeros and must not be a candidate.
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
        """All rows that belong to groups: (rows_R, starts_G1), with G + 1 starts.

        The rows of group g, in ascending order of their ids, are rows_R[starts_G1[g] : starts_G1[g + 1]].
        """
        rows_R = self.base.sorted_by_id(np.flatnonzero(self.grouping.group_N >= 0))
        rows_R = rows_R[np.argsort(self.grouping.group_N[rows_R], kind="stable")]
        return rows_R, np.searchsorted(self.grouping.group_N[rows_R], np.arange(self.n + 1))

    def sizes(self, groups: Int64) -> Int64:
        """The number of rows of each of `groups`."""
        _, starts_G1 = self._rows
        return starts_G1[groups + 1] - starts_G1[groups]

    def rows_of(self, groups: Int64) -> Int64:
        """The rows of `groups`, one group after another, each in ascending order of the row ids."""
        rows_R, starts_G1 = self._rows
        return np.asarray(rows_R[places_of(starts_G1[:-1], np.diff(starts_G1), groups)])

    def parts(self, groups: Int64, most: int = PART_ROWS) -> Iterator[tuple[Int64, Floats, Int64]]:
        """Yield the features of a few whole groups at a time: (places_B, X_RD, starts_B). Each group comes once.

        places_B: indices into `groups`. X_RD: the features of their rows; the rows of the i-th group begin at
        starts_B[i]. most: the largest number of rows at a time, but at least one group is given whole.
        """
        for places_B in self._chunks(groups):
            X_RD, first = self.base.take(self.rows_of(groups[places_B])), 0
            sizes_B = self.sizes(groups[places_B])
            for a, b in runs(sizes_B, most):
                last = first + int(sizes_B[a:b].sum())
                yield places_B[a:b], X_RD[first:last], np.cumsum(sizes_B[a:b]) - sizes_B[a:b]
                first = last

    def _chunks(self, groups: Int64) -> list[Int64]:
        """Divide `groups` into lists that are read together, in the order in which the groups lie in the source.

        The lists hold indices into `groups`. Where the rows of the groups lie scattered, all groups are one list: each
        list would read most of the source again.
        """
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
        """The features of each group of a part, in the dtype of X_RD. X_RD, starts_B: as `parts` yields them."""
        if self._embed == "concat":
            return X_RD.reshape(len(starts_B), -1)
        sizes_B = np.diff(starts_B, append=len(X_RD))
        return (segment_sums(X_RD, starts_B) / sizes_B[:, None]).astype(X_RD.dtype)

    def mean_of(self, function: Callable[[Floats], Array], groups: Int64, *, logs: bool) -> Array:
        """Compute the mean of function(features) over the rows of each of `groups`, in the order of `groups`.

        function: from R rows of features to an array [R, ...]. logs: the values are logs; the result is the log of the
        mean of their exponentials.
        """
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

    def stored(self, rows: Int64) -> Floats:
        """The features of groups, in memory: they are made of several rows each."""
        return self.take(rows)

    def room(self, shape: tuple[int, ...], dtype: Any) -> None:
        """None: arrays of groups are in memory."""

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
