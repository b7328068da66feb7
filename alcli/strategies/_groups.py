"""Items of several rows: a source whose rows are groups of another source's, and the view that a strategy has of them.

A **pointwise** strategy scores every row, and a group's score is the mean, maximum or sum of its rows' (`aggregate`). A **batch**
strategy sees one row a group: what the head says is averaged over the rows, probabilities as probabilities; features are averaged,
or put side by side in the order of the row ids (`embed`). What is computed of features (norms, distances) is computed of these.
A draw that follows a row's id follows that of its group, so `random` draws groups whatever their size.
Cost: that of the same strategy on the rows, and for pointwise ones a sort of the scores. Memory beside that: three integers a row, one
score a row for pointwise strategies, 256 MiB of rows at a time (a larger group whole) and G D numbers for batch strategies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, Keys
from alcli.errors import DataError, printable
from alcli.numerics.segments import Aggregate, aggregated, runs, segment_means, segment_sums
from alcli.strategies._view import OF_FEATURES, OF_IDS, Predictor, Scored, Scorer, Source, View

Embed = Literal["mean", "concat"]

_CHUNK_BYTES = 1 << 28  # rows of features that are held at a time
_PART_ROWS = 8192
_LOGS = frozenset({"log_probs", "trained_log_probs", "predictive", "sample_log_probs"})


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

    def parts(self, groups: Int64, most: int = _PART_ROWS) -> Iterator[tuple[Int64, Floats, Int64]]:
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
            means = segment_means(function, X_RD, starts_B, logs=logs, most=_PART_ROWS)
            out = np.empty((len(groups), *means.shape[1:])) if i == 0 else out
            out[places_B] = means
        return out

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        for first in range(0, self.n, _PART_ROWS):
            yield first, self.take(np.arange(first, min(first + _PART_ROWS, self.n)))

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


class GroupedView(View):
    """A view whose rows are groups. candidates: their numbers. labelled: row numbers; a group with any of these is labelled.

    head, labels and targets: of rows, as in `View`; without targets these are drawn from the rows of the candidates.
    """

    def __init__(
        self, groups: GroupSource, candidates: Int64, labelled: Int64, head: Predictor | None = None, *,
        targets: Floats | None = None, labels: Array | None = None,
    ) -> None:
        super().__init__(groups, candidates, groups.grouping.of_rows(labelled), head)
        rows_R = np.flatnonzero(groups.grouping.mask(self._candidates))
        self._rows = _Rows(groups.grouping, groups.base, rows_R, labelled, head, targets=targets, labels=labels)
        self._groups = groups
        self._aggregate: Aggregate = "mean"

    def combining(self, *, aggregate: Aggregate = "mean", embed: Embed = "mean") -> GroupedView:  # type: ignore[override]
        """The same view, with this score of a group and these features. Raises DataError where groups of different sizes are to be put side by side."""
        view = copy(self)
        view._aggregate = aggregate
        if embed == "concat":
            view._groups = view._source = GroupSource(self._groups.base, self._groups.grouping, embed="concat", parts=self._common_size())
            view._cache = {}
        return view

    def sampling(self, n_samples: int, seed: int) -> View:
        view: GroupedView = super().sampling(n_samples, seed)  # type: ignore[assignment]
        view._rows = self._rows.sampling(n_samples, seed)  # type: ignore[assignment]
        return view

    def among(self, rows: Int64) -> View:
        view: GroupedView = super().among(rows)  # type: ignore[assignment]
        view._rows = self._rows.among(np.flatnonzero(self._groups.grouping.mask(rows)))  # type: ignore[assignment]
        return view

    def scores(self, score: Scorer, needs: tuple[str, ...], *, features: bool) -> Iterator[Scored]:
        """One block of all candidate groups, scored by their rows; a strategy that looks at ids alone scores the groups themselves."""
        if OF_IDS.issuperset(needs):
            yield from super().scores(score, needs, features=False)
            return
        rows_R = self._rows._candidates
        scores_R = np.empty(len(rows_R))
        for rows_B, scores_B, _ in self._rows.scores(score, needs, features=False):
            scores_R[np.searchsorted(rows_R, rows_B)] = scores_B
        yield *aggregated(scores_R, self._groups.grouping.group_N[rows_R], self._aggregate), None

    def blocks(self, *needs: str) -> Iterator[tuple[Any, ...]]:
        for need in needs:
            self._check_allowed(need)
        if OF_IDS.issuperset(needs):
            yield from super().blocks(*needs)
            return
        for places_B, *block in self._pooled(self._candidates, needs):
            yield self._candidates[places_B], *block

    def at(self, need: str, places: Int64) -> Array:
        self._check_allowed(need)
        return self._in_order(need, self.rows[places])

    def targets(self, n: int, rng: np.random.Generator) -> Floats:
        self._check_allowed("targets")
        return self._rows.targets(n, rng)

    def labelled_targets(self) -> Float64:
        """The mean over the labelled rows of each labelled group, in the order of `labelled`."""
        self._check_allowed("labelled_targets")
        rows_L = self._groups.base.sorted_by_id(self._rows._labelled)
        groups_L = self._groups.grouping.group_N[rows_L]
        order = np.argsort(groups_L, kind="stable")
        order = order[groups_L[order] >= 0]
        starts_B = np.searchsorted(groups_L[order], self._labelled)
        targets_LC = self._rows.labelled_targets()[order]
        return segment_sums(targets_LC, starts_B) / np.diff(starts_B, append=len(order))[:, None]  # type: ignore[no-any-return]

    def _whole(self, need: str) -> Array:
        if need in OF_IDS | OF_FEATURES:
            return super()._whole(need)
        values = self._in_order(need, self.rows)
        return values.astype(np.float32) if values.ndim > 1 else values

    def _in_order(self, need: str, groups: Int64) -> Array:
        """What the head says of groups, float64, in the order given."""
        out: Array = np.empty(0)
        for i, (places_B, values) in enumerate(self._pooled(groups, (need,))):
            out = np.empty((len(groups), *values.shape[1:])) if i == 0 else out
            out[places_B] = values
        return out

    def _pooled(self, groups: Int64, needs: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
        """(places in `groups`, one array per need) in parts of whole groups."""
        most = self._rows.at_once(_PART_ROWS, needs)
        for places_B, X_RD, starts_B in self._groups.parts(groups, most):
            X_BD = self._groups.combined(X_RD, starts_B) if OF_FEATURES.intersection(needs) else None
            yield places_B, *(
                self._compute(need, groups[places_B], X_BD) if need in OF_IDS | OF_FEATURES
                else segment_means(self._rows.says(need), X_RD, starts_B, logs=need in _LOGS, most=most)
                for need in needs
            )  # fmt: skip

    def _common_size(self) -> int:
        """How many rows each candidate and labelled group has. Raises DataError when they differ."""
        groups = np.concatenate([self._candidates, self._labelled])
        sizes = self._groups.sizes(groups)
        other = np.flatnonzero(sizes != sizes[:1])
        if len(other):
            a, b = (printable(self._groups.grouping.ids_G[groups[i]]) for i in (0, other[0]))
            raise DataError(
                f"group '{b}' has {sizes[other[0]]} rows, group '{a}' {sizes[0]}; embed=concat puts the features of a group side by side, and needs equally many",
                hint="average them with embed=mean",
            )
        return int(sizes[0])


class _Rows(View):
    """The rows of the candidate groups, ascending."""

    def __init__(self, grouping: Grouping, *rest: Any, **more: Any) -> None:
        super().__init__(*rest, **more)
        self._grouping = grouping

    def says(self, need: str) -> Callable[[Floats], Array]:
        """What the head says of rows of features."""
        return lambda X_BD: self._compute(need, self._candidates[:0], X_BD)

    def _compute(self, need: str, rows_B: Int64, X_BD: Floats | None) -> Any:
        if need == "row_key":
            return self._grouping.keys_G[self._grouping.group_N[rows_B]]
        return super()._compute(need, rows_B, X_BD)
