"""The view of a strategy where rows make groups, and a query chooses groups.

A strategy need not know of groups:

- A pointwise strategy scores every row; the score of a group is the mean, maximum or sum of the scores of its rows
  (`aggregate`). `row_key` is the hash of the group's id, so `random` draws groups with equal chances at any size.
- A batch strategy sees one row for each of the G groups. The arrays of the head are averaged over the rows of a group;
  log probabilities are averaged as probabilities. Features are averaged, or put side by side in the order of the row
  ids (`embed`). Norms and distances are computed from the features of the group.
- A batch strategy that is about products of arrays, such as gradients, reads the rows of each group from `parts` and
  sums the products: the product of two means is not the mean of the products (parts.py).

The shapes and dtypes are as needs.py lists them, except that `blocks` gives float64 for `hidden`.

Cost: the cost of the same strategy on the rows, and a sort of the scores for a pointwise strategy.
Memory: three integers a row, and the rows that group_source.py holds at a time. A pointwise strategy adds one score a
row; a batch strategy adds G D numbers.
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
    """A view whose candidates are groups.

    candidates: the numbers of groups. labelled: numbers of rows; a group with any labelled row counts as labelled.
    head, targets, labels: of rows, as in `View`. Without targets, rows of the candidate groups are drawn as targets.
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
        # The candidates of the view of rows are the rows of the candidate groups, in ascending order.
        self._rows = View(groups.base, rows_R, labelled, head, targets=targets, labels=labels)
        self._rows._answers = replace(self._rows._answers, row_keys=groups.grouping.keys_of)
        self._groups = groups
        self._aggregate: Aggregate = "mean"
        self._parts: tuple[View, Int64] | None = None

    def combining(  # type: ignore[override]
        self, *, aggregate: Aggregate = "mean", embed: Embed = "mean"
    ) -> GroupedView:
        """The same view with another rule for the score of a group (`aggregate`) or for its features (`embed`).

        Raises DataError where groups of different sizes are to be put side by side (`embed="concat"`).
        """
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
        view._rows, view._parts = self._rows.sampling(n_samples, seed), None
        return view

    def among(self, rows: Int64) -> View:
        view: GroupedView = super().among(rows)  # type: ignore[assignment]
        view._rows, view._parts = self._rows.among(np.flatnonzero(self._groups.grouping.mask(rows))), None
        return view

    def parts(self) -> tuple[View, Int64]:
        if self._parts is None:
            view, sizes_G = copy(self._rows), self._groups.sizes(self.rows)
            view._cache = {"rows": self._groups.rows_of(self.rows)}
            self._parts = view, np.cumsum(sizes_G) - sizes_G
        view, starts_G = self._parts
        return view if self._allowed is None else view.restricted_to(tuple(self._allowed)), starts_G

    def scores(self, score: Scorer, needs: tuple[str, ...], *, features: bool) -> Iterator[Scored]:
        """Score all candidate groups in one block, from the scores of their rows.

        A strategy that needs ids alone scores the groups themselves.
        """
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
        """The mean label of the labelled rows of each labelled group, float64 [n_labelled, C], as `labelled()` orders.

        Classes are one-hot before the mean is taken.
        """
        self._check_allowed("labelled_targets")
        rows_L = self._groups.base.sorted_by_id(self._rows._labelled)
        groups_L = self._groups.grouping.group_N[rows_L]
        order = np.argsort(groups_L, kind="stable")
        order = order[groups_L[order] >= 0]
        starts_B = np.searchsorted(groups_L[order], self._labelled)
        targets_LC = self._rows.labelled_targets()[order]
        return segment_sums(targets_LC, starts_B) / np.diff(starts_B, append=len(order))[:, None]

    def stored(self, need: str) -> Array:
        """The array of `matrix`: what is made of several rows is in memory."""
        return self.matrix(need)

    def _whole(self, need: str) -> Array:
        if need in OF_IDS | OF_FEATURES:
            return super()._whole(need)
        values = self._in_order(need, self.rows)
        if need == "hidden":
            return values.astype(self._groups.base.take(self.rows[:0]).dtype)
        return values.astype(np.float32) if values.ndim > 1 else values

    def _in_order(self, need: str, groups: Int64) -> Array:
        """The array of a need of the head for groups, float64, in the order of `groups`."""
        out: Array = np.empty(0)
        for i, (places_B, values) in enumerate(self._pooled(groups, (need,))):
            out = np.empty((len(groups), *values.shape[1:])) if i == 0 else out
            out[places_B] = values
        return out

    def _pooled(self, groups: Int64, needs: tuple[str, ...]) -> Iterator[tuple[Any, ...]]:
        """Yield (indices into `groups`, one array per need) for parts of whole groups."""
        of_rows, no_rows = self._rows._answers, self._candidates[:0]
        most = of_rows.at_once(PART_ROWS, needs)
        for places_B, X_RD, starts_B in self._groups.parts(groups, most):
            X_BD = self._groups.combined(X_RD, starts_B) if OF_FEATURES.intersection(needs) else None
            block = []
            for need in needs:
                if need in OF_IDS | OF_FEATURES:
                    block.append(self._answers.of(need, groups[places_B], X_BD))
                else:
                    of_head, logs = partial(of_rows.of, need, no_rows), need in CLASSIFICATION_NEEDS
                    block.append(segment_means(of_head, X_RD, starts_B, logs=logs, most=most))
            yield (places_B, *block)

    def _common_size(self) -> int:
        """The number of rows that every candidate and labelled group has. Raises DataError where the groups differ."""
        groups = np.concatenate([self._candidates, self._labelled])
        sizes = self._groups.sizes(groups)
        other = np.flatnonzero(sizes != sizes[:1])
        if len(other):
            a, b = (printable(self._groups.grouping.ids_G[groups[i]]) for i in (0, other[0]))
            raise DataError(
                f"group '{b}' has {sizes[other[0]]} rows, group '{a}' {sizes[0]}; embed=concat puts the features of a "
                "group side by side, so all groups need equally many rows",
                hint="average them with embed=mean",
            )
        return int(sizes[0])
