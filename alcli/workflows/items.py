"""The items of a pool: its rows, or the groups that its rows make.

A query selects items, counts items and names items by their ids. `Items` is made once, where a command opens its
pool, and answers every question whose answer differs between rows and groups.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.data.groups import NO_GROUPS, Groups
from alcli.data.ids import Ids
from alcli.data.pool import Pool
from alcli.data.text.rows import RowSource
from alcli.errors import DataError, UsageError, counted, printable
from alcli.heads._model import Model
from alcli.numerics.segments import segment_mixtures
from alcli.remarks import Note
from alcli.selection.group_source import GroupSource
from alcli.selection.group_view import GroupedView
from alcli.selection.options import GROUP_OPTIONS
from alcli.selection.source import Source
from alcli.selection.view import View
from alcli.workflows.labelled import with_test_labels


@dataclass(frozen=True)
class Items:
    """The items of a pool by number: row numbers, or group numbers where rows make groups."""

    pool: Pool

    @property
    def groups(self) -> Groups | None:
        """The groups that rows make; None where every row is an item."""
        return self.pool.groups

    @property
    def ids(self) -> Ids:
        """The ids of the items."""
        return self.pool.ids if self.groups is None else self.groups.ids

    @property
    def source(self) -> Source:
        """The ids and features of the items."""
        return self.pool if self._by_group is None else self._by_group

    @cached_property
    def _by_group(self) -> GroupSource | None:
        return None if self.groups is None else GroupSource(self.pool, self.groups.grouping(self.pool.is_bad))

    def of_rows(self, rows: Int64) -> Int64:
        """The item number of each of `rows`, also of rows whose vector is unusable."""
        return rows if self.groups is None else self.groups.of_N[rows]

    def tested(self, sources: Sequence[RowSource], *, ignore_unknown: bool, normalize: bool = False) -> Items:
        """Return the items after those that files label have become test rows; see `with_test_labels`."""
        if not sources:
            return self
        return Items(with_test_labels(self.pool, sources, ignore_unknown=ignore_unknown, normalize=normalize))

    def about(self) -> dict[str, Any]:
        """The name and the sizes of the pool, as reports give them."""
        found = {"name": Path(self.pool.name).name, "rows": self.pool.n, "dim": self.pool.dim}
        return found if self.groups is None else found | {"groups": len(self.groups)}

    def candidates(self, closed_rows: Array, excluded: Int64) -> Int64:
        """The items that may be selected, ascending.

        They have a usable vector and no row in the mask `closed_rows` [N], and are not among the items `excluded`.
        """
        is_left = np.zeros(len(self.ids), bool)
        is_left[self.of_rows(np.flatnonzero(~self.pool.is_bad))] = True
        is_left[self.of_rows(np.flatnonzero(closed_rows))] = False
        is_left[excluded] = False
        return np.flatnonzero(is_left)

    def remark(self, labelled: Int64, note: Note) -> None:
        """Tell how many groups the rows make, and how many groups are labelled in part. labelled: row numbers."""
        if self.groups is None:
            return
        makes = counted(self.pool.n, "row makes", "rows make")
        groups = counted(len(self.groups), "group")
        note(f"{makes} {groups} by column '{printable(self.groups.column)}', which are the items")
        is_open_N = ~self.pool.is_bad & ~self.pool.is_test
        is_open_N[labelled] = False
        partly = np.intersect1d(self.of_rows(labelled), self.groups.of_N[is_open_N])
        if len(partly):
            one, several = (
                "group of which only some rows are labelled was",
                "groups of which only some rows are labelled were",
            )
            note(f"{counted(len(partly), one, several)} left out")

    def check_options(self, options: Iterable[str]) -> None:
        """Raise UsageError for an option about groups where rows make none."""
        given = sorted(GROUP_OPTIONS.intersection(option.rpartition(".")[2] for option in options))
        if given and self.groups is None:
            raise UsageError(
                f"-p {given[0]} is about groups, {self.pool.name} has none", hint="name their column with --group-col"
            )

    def refuse_groups(self, why: str) -> None:
        """Raise UsageError where rows make groups. why: the beginning of the message, why each item must be a row."""
        if self.groups is not None:
            raise UsageError(
                f"{why}, and the rows of {self.pool.name} make groups by column '{printable(self.groups.column)}'",
                hint=f"--group-col {NO_GROUPS} makes every row an item",
            )

    def view(
        self,
        candidates: Int64,
        labelled: Int64,
        model: Model | None,
        *,
        targets: Floats | None = None,
        labels: Array | None = None,
    ) -> View:
        """The view that a strategy gets. candidates: item numbers; labelled, targets, labels: of rows."""
        if self._by_group is None:
            return View(self.pool, candidates, labelled, model, targets=targets, labels=labels)
        return GroupedView(self._by_group, candidates, labelled, model, targets=targets, labels=labels)

    def predictive(self, model: Model, chosen: Int64, features_KD: Floats | None) -> Array:
        """Log class probabilities of items, [K, C], averaged over the posterior and over the rows of a group.

        features_KD: the features of the chosen rows if they are in memory already; never given for groups.
        """
        if self._by_group is not None:
            return self._by_group.mean_of(model.predictive, chosen, logs=True)
        return model.predictive(self.pool.take(chosen) if features_KD is None else features_KD)

    def numbers(self, model: Model, chosen: Int64, features_KD: Floats | None) -> tuple[Float64, Float64]:
        """Mean and variance of the labels of items in a regression, float64 [K] each; the noise is in the variance.

        The label of a group is that of a row of it which is drawn at random. features_KD: as in `predictive`.
        """
        if self._by_group is None:
            X_KD = self.pool.take(chosen) if features_KD is None else features_KD
            return model.mean(X_KD), model.label_variance(X_KD)
        mean_K, variance_K = np.empty(len(chosen)), np.empty(len(chosen))
        for places_B, X_RD, starts_B in self._by_group.parts(chosen):
            of_rows = model.mean(X_RD), model.label_variance(X_RD)
            mean_K[places_B], variance_K[places_B] = segment_mixtures(*of_rows, starts_B)
        return mean_K, variance_K

    def parts(self, chosen: Int64, most: int) -> Iterator[tuple[Int64, Floats, Int64]]:
        """Yield (items_B, X_RD, starts_B) of `chosen` items, a few at a time, in the order of the pool.

        chosen: item numbers, ascending. X_RD: the features of their rows; those of the i-th item begin at starts_B[i].
        The place of a group is that of its first row. most: the largest number of rows at a time, but at least one
        item is given whole. Cost: one pass. Memory: two blocks; all features of groups whose rows lie scattered.
        """
        if self._by_group is not None:
            for places_B, X_RD, starts_B in self._by_group.parts(chosen, most):
                yield chosen[places_B], X_RD, starts_B
            return
        for first, X_BD in self.pool.blocks():
            a, b = np.searchsorted(chosen, [first, first + len(X_BD)])
            for start in range(int(a), int(b), most):
                items_B = chosen[start : min(start + most, b)]
                whole = items_B[-1] - items_B[0] + 1 == len(items_B)
                rows = slice(items_B[0] - first, items_B[-1] - first + 1) if whole else items_B - first
                yield items_B, X_BD[rows], np.arange(len(items_B))

    def costs(self, column: str) -> Float64:
        """The cost of each item from a column of the pool, float64 [n items]; a group costs the sum of its rows.

        Rows without a usable vector cost nothing. Raises DataError for a column that is missing or holds no numbers,
        and for a usable row whose cost is null, not positive or not finite.
        """
        pool, values = self.pool, self.pool.column(column)
        if values is None:
            hint = "-p cost-col names a column of numbers"
            raise DataError(f"{pool.name}: no column '{printable(column)}' to read costs from", hint=hint)
        if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
            raise DataError(f"{pool.name}: column '{printable(column)}' is of type {values.type}, costs are numbers")
        costs_N = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
        wrong = np.flatnonzero(~((costs_N > 0.0) & (costs_N < np.inf)) & ~pool.is_bad)
        if len(wrong):
            what = "no value" if not values[int(wrong[0])].is_valid else f"{costs_N[wrong[0]]:g}"
            raise DataError(
                f"{pool.describe(int(wrong[0]))}: column '{printable(column)}' has {what}, a cost is a positive number"
            )
        costs_N = np.where(pool.is_bad, 0.0, costs_N)
        if self.groups is None:
            return costs_N
        return np.bincount(self.of_rows(np.arange(pool.n)), costs_N, len(self.ids)).astype(np.float64)
