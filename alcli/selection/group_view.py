"""The view that a strategy has of items of several rows.

A **pointwise** strategy scores every row, and a group's score is the mean, maximum or sum of its rows' (`aggregate`). A **batch**
strategy sees one row a group: what the head says is averaged over the rows, probabilities as probabilities; features are averaged,
or put side by side in the order of the row ids (`embed`). What is computed of features (norms, distances) is computed of these.
A draw that follows a row's id follows that of its group, so `random` draws groups whatever their size.
Cost: that of the same strategy on the rows, and for pointwise ones a sort of the scores. Memory beside that: three integers a row, one
score a row for pointwise strategies, 256 MiB of rows at a time (a larger group whole) and G D numbers for batch strategies.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.errors import DataError, printable
from alcli.numerics.segments import Aggregate, aggregated, segment_means, segment_sums
from alcli.selection.group_source import PART_ROWS, Embed, GroupSource
from alcli.selection.needs import CLASSIFICATION_NEEDS, OF_FEATURES, OF_IDS
from alcli.selection.source import Predictor
from alcli.selection.view import Scored, Scorer, View


class GroupedView(View):
    """A view whose rows are groups. candidates: their numbers. labelled: row numbers; a group with any of these is labelled.

    head, labels and targets: of rows, as in `View`; without targets these are drawn from the rows of the candidates.
    """

    def __init__(
        self,
        groups: GroupSource,
        candidates: Int64,
        labelled: Int64,
        head: Predictor | None = None,
        *,
        targets: Floats | None = None,
        labels: Array | None = None,
    ) -> None:
        super().__init__(groups, candidates, groups.grouping.of_rows(labelled), head)
        rows_R = np.flatnonzero(groups.grouping.mask(self._candidates))
        self._rows = View(
            groups.base, rows_R, labelled, head, targets=targets, labels=labels
        )  # of the candidate groups, ascending
        self._rows._answers = replace(self._rows._answers, row_keys=groups.grouping.keys_of)
        self._groups = groups
        self._aggregate: Aggregate = "mean"

    def combining(self, *, aggregate: Aggregate = "mean", embed: Embed = "mean") -> GroupedView:  # type: ignore[override]
        """The same view, with this score of a group and these features. Raises DataError where groups of different sizes are to be put side by side."""
        view = copy(self)
        view._aggregate = aggregate
        if embed == "concat":
            view._groups = GroupSource(
                self._groups.base, self._groups.grouping, embed="concat", parts=self._common_size()
            )
            view._answers, view._cache = replace(self._answers, source=view._groups, kept={}), {}
        return view

    def sampling(self, n_samples: int, seed: int) -> View:
        view: GroupedView = super().sampling(n_samples, seed)  # type: ignore[assignment]
        view._rows = self._rows.sampling(n_samples, seed)
        return view

    def among(self, rows: Int64) -> View:
        view: GroupedView = super().among(rows)  # type: ignore[assignment]
        view._rows = self._rows.among(np.flatnonzero(self._groups.grouping.mask(rows)))
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
        return segment_sums(targets_LC, starts_B) / np.diff(starts_B, append=len(order))[:, None]

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
        of_rows, no_numbers = self._rows._answers, self._candidates[:0]
        most = of_rows.at_once(PART_ROWS, needs)
        for places_B, X_RD, starts_B in self._groups.parts(groups, most):
            X_BD = self._groups.combined(X_RD, starts_B) if OF_FEATURES.intersection(needs) else None
            yield (
                places_B,
                *(
                    self._answers.of(need, groups[places_B], X_BD)
                    if need in OF_IDS | OF_FEATURES
                    else segment_means(
                        partial(of_rows.of, need, no_numbers),
                        X_RD,
                        starts_B,
                        logs=need in CLASSIFICATION_NEEDS,
                        most=most,
                    )
                    for need in needs
                ),
            )

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
