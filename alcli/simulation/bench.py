"""The rows, the labels and the plan of a simulation, and what a seed draws from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.metrics import Metric, of_task, task_of
from alcli.selection.group_source import Grouping, GroupSource
from alcli.selection.source import Source
from alcli.selection.subsets import some_items
from alcli.simulation.metrics import metric_named
from alcli.simulation.oracle import no_class_N
from alcli.simulation.plan import MAX_JUDGES, Cell, Plan, candidates_seed, initial_rng, judges_rng, split_rng
from alcli.simulation.results import CellResult
from alcli.simulation.splits import held_out, initial_rows, most_frequent, with_two_classes


@dataclass(frozen=True)
class Bench:
    """The part of a simulation that all cells share: the rows, their true labels, and the plan.

    y_N: int64 class numbers, NO_CLASS for a row of no class, or float64 targets; the entries of rows that are not
    usable have no meaning.
    usable: the numbers of the rows that take part, in the order of their ids. test: the usable rows to evaluate on,
    in the same order; None holds some out. n_classes: None in a regression.
    grouping: the groups of the usable rows, which are asked for and held out whole; None where every row is an item.
    costs_N: the costs of items, by item number; None where a round is a number of items. names_CD: embeddings of the
    names of the classes, zeros for a class without one; None without names.
    known: what an earlier simulation has found of cells, with fewer rounds or without the metric of the plan. The
    choices that it made are kept.
    """

    source: Source
    y_N: Array
    usable: Int64
    test: Int64 | None
    n_classes: int | None
    plan: Plan
    grouping: Grouping | None = None
    costs_N: Float64 | None = None
    names_CD: Floats | None = None
    known: Mapping[Cell, CellResult] = field(default_factory=dict)

    @property
    def classes(self) -> bool:
        """True where labels are classes, not numbers."""
        return self.n_classes is not None

    @cached_property
    def groups(self) -> GroupSource | None:
        return None if self.grouping is None else GroupSource(self.source, self.grouping)

    @cached_property
    def metric(self) -> Metric | None:
        """The metric outside the table that is measured too, if the plan names one."""
        return None if self.plan.metric is None else metric_named(self.plan.metric)

    @property
    def measures(self) -> frozenset[str]:
        """The names of all metrics that are measured."""
        names = [one.name for one in of_task(task_of(self.n_classes))]
        return frozenset(names if self.metric is None else [*names, self.metric.name])

    def split(self, seed: int) -> tuple[Int64, Int64]:
        """Return (test rows, items to ask for) of a seed, in the order of their ids; the same for every strategy."""
        y, items = self._classes_of_items
        if self.test is not None:
            test = self.test if self.grouping is None else self.grouping.of_rows(self.test)
        else:
            of_class = items[~no_class_N(y[items])]
            test = held_out(y, of_class, self.plan.test_fraction, split_rng(seed), classes=self.classes)
        return self.rows_of(test), items[~np.isin(items, test)]

    def initial(self, seed: int, askable: Int64) -> Int64:
        """Return the items labelled at the start of a seed; the same for every strategy."""
        y, rng, plan = self._classes_of_items[0], initial_rng(seed), self.plan
        chosen = initial_rows(y, askable, plan.initial, rng, classes=self.classes, stratified=plan.stratified)
        if self.grouping is None or not self.classes:
            return chosen
        return with_two_classes(chosen, askable, lambda items: self.y_N[self.rows_of(items)], rng)

    def was_exchanged(self, seed: int, askable: Int64) -> bool:
        """True where the random items to start with were all of one class, and one of another class took a place."""
        if not self.classes or self.plan.stratified:
            return False
        y, m = self._classes_of_items[0], self.plan.initial
        drawn = initial_rows(y, askable, m, initial_rng(seed), classes=False, stratified=False)
        return not np.array_equal(drawn, self.initial(seed, askable))

    def offered(self, items: Int64, seed: int, number: int) -> Int64 | None:
        """Return the items of round `number` to choose among, drawn anew in each round; None offers all `items`."""
        if self.plan.candidates is None:
            return None
        source = self.source if self.groups is None else self.groups
        return some_items(items, source.row_keys(items), self.plan.candidates, candidates_seed(seed, number))

    def rows_of(self, items: Int64) -> Int64:
        """Return the rows of items; the rows of a group come in the order of their ids."""
        return items if self.groups is None else self.groups.rows_of(items)

    @cached_property
    def _classes_of_items(self) -> tuple[Array, Int64]:
        """(label by item number, items in the order of their ids). The label of a group is its most frequent class."""
        if self.grouping is None:
            return self.y_N, self.usable
        groups_U = self.grouping.group_N[self.usable]
        y_U = self.y_N[self.usable] if self.classes else np.zeros(len(self.usable), np.int64)
        return most_frequent(y_U, groups_U, self.grouping.n), np.unique(groups_U)

    def cost_of(self, items: Int64) -> float | None:
        """Return the cost of items together; None where items have no costs."""
        return None if self.costs_N is None else float(self.costs_N[items].sum())

    def judges(self, seed: int, askable: Int64) -> Int64:
        """Return the rows by which oracles judge batches, in random order.

        The rows are a third, and at most 2,000, of the rows that can be asked for and are not labelled at the start.
        """
        left = askable[~np.isin(askable, self.initial(seed, askable))]
        return judges_rng(seed).permutation(left)[: min(MAX_JUDGES, len(left) // 3)]
