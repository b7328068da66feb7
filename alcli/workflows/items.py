"""What is chosen from a pool: its rows, or the groups that they make. The one place of a query where the two differ."""

from __future__ import annotations

from collections.abc import Iterable
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
from alcli.errors import DataError, UsageError, counted, printable
from alcli.heads._model import Model
from alcli.selection.group_source import GroupSource
from alcli.selection.group_view import GroupedView
from alcli.selection.options import GROUP_OPTIONS
from alcli.selection.source import Source
from alcli.selection.view import View


def about_pool(pool: Pool) -> dict[str, Any]:
    """Name and sizes, as reports give them."""
    about = {"name": Path(pool.name).name, "rows": pool.n, "dim": pool.dim}
    return about if pool.groups is None else about | {"groups": len(pool.groups)}


def check_options(pool: Pool, options: Iterable[str]) -> None:
    """Raise UsageError for an option that is about groups where the pool has none."""
    given = sorted(GROUP_OPTIONS.intersection(option.rpartition(".")[2] for option in options))
    if given and pool.groups is None:
        raise UsageError(f"-p {given[0]} is about groups, {pool.name} has none", hint="name their column with --group-col")


def refuse_groups(pool: Pool, what: str) -> None:
    """Raise UsageError where rows make groups. what: begins the sentence."""
    if pool.groups is not None:
        raise UsageError(
            f"{what}, and the rows of {pool.name} make groups by column '{printable(pool.groups.column)}'",
            hint=f"--group-col {NO_GROUPS} makes every row an item",
        )


@dataclass(frozen=True)
class Items:
    """The items of a pool by number: of rows, or of groups."""

    pool: Pool

    @property
    def groups(self) -> Groups | None:
        return self.pool.groups

    @property
    def ids(self) -> Ids:
        return self.pool.ids if self.groups is None else self.groups.ids

    @property
    def source(self) -> Source:
        """Their ids and features."""
        return self.pool if self._by_group is None else self._by_group

    @cached_property
    def _by_group(self) -> GroupSource | None:
        return None if self.groups is None else GroupSource(self.pool, self.groups.grouping(self.pool.is_bad))

    def of_rows(self, rows: Int64) -> Int64:
        """The item of each of `rows`, one without a usable vector too."""
        return rows if self.groups is None else self.groups.of_N[rows]

    def left(self, closed_N: Array, closed: Int64) -> Int64:
        """The items that have a usable vector and no row in the mask, without those of `closed`; ascending."""
        is_left = np.zeros(len(self.ids), bool)
        is_left[self.of_rows(np.flatnonzero(~self.pool.is_bad))] = True
        is_left[self.of_rows(np.flatnonzero(closed_N))] = False
        is_left[closed] = False
        return np.flatnonzero(is_left)

    def notes(self, labelled: Int64) -> list[str]:
        """What to say of groups. labelled: rows."""
        if self.groups is None:
            return []
        found = [f"{counted(self.pool.n, 'row makes', 'rows make')} {counted(len(self.groups), 'group')} by column '{printable(self.groups.column)}', which are the items"]
        is_open_N = ~self.pool.is_bad & ~self.pool.is_test
        is_open_N[labelled] = False
        partly = np.intersect1d(self.of_rows(labelled), self.groups.of_N[is_open_N])
        which = counted(len(partly), "group of which only some rows are labelled was", "groups of which only some rows are labelled were")
        return [*found, f"{which} left out"] if len(partly) else found

    def view(self, candidates: Int64, labelled: Int64, model: Model | None, *, targets: Floats | None = None, labels: Array | None = None) -> View:
        """What a strategy sees. candidates: items; labelled, targets, labels: of rows."""
        if self._by_group is None:
            return View(self.pool, candidates, labelled, model, targets=targets, labels=labels)
        return GroupedView(self._by_group, candidates, labelled, model, targets=targets, labels=labels)

    def predictive(self, model: Model, chosen: Int64, features_KD: Floats | None) -> Array:
        """Log class probabilities of items, averaged over the posterior and over the rows of a group. features_KD: where at hand, of rows."""
        if self._by_group is not None:
            return self._by_group.mean_of(model.predictive, chosen, logs=True)
        return model.predictive(self.pool.take(chosen) if features_KD is None else features_KD)


# -- folded ------
# `-p cost-col=C`: what the items of a pool cost, read from one of its columns.


def costs_of(pool: Pool, items: Items, column: str) -> Float64:
    """What each item costs, float64 by its number; a group what its rows cost together. Rows without a usable vector cost nothing.

    Raises DataError for a column that is missing, holds no numbers, or has a null, or what is not a positive finite number, at a usable row.
    """
    values = pool.column(column)
    if values is None:
        raise DataError(f"{pool.name}: no column '{printable(column)}' to read costs from", hint="-p cost-col names a column of numbers")
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise DataError(f"{pool.name}: column '{printable(column)}' is of type {values.type}, costs are numbers")
    costs_N = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
    wrong = np.flatnonzero(~((costs_N > 0.0) & (costs_N < np.inf)) & ~pool.is_bad)
    if len(wrong):
        what = "no value" if not values[int(wrong[0])].is_valid else f"{costs_N[wrong[0]]:g}"
        raise DataError(f"{pool.describe(int(wrong[0]))}: column '{printable(column)}' has {what}, a cost is a positive number")
    costs_N = np.where(pool.is_bad, 0.0, costs_N)
    return costs_N if items.groups is None else np.bincount(items.of_rows(np.arange(pool.n)), costs_N, len(items.ids)).astype(np.float64)
