"""One cell of a simulation: fit, evaluate, select, reveal, and again.

Source: the pool-based protocol of Settles, Active Learning Literature Survey, 2009, section 2.3.
Cost: per round one warm-started fit, one pass over the test rows, one selection; memory one copy of the candidates' features.
The round's selection is `alcli.selection.strategy.select`, the function that `alcli query` calls; modifiers call it in parts.
Every round is measured on an exact fit that no modifier has touched, so curves differ by what was selected and by nothing else.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.errors import AlcliError, DataError
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads._model import Model
from alcli.selection.group_source import Grouping, GroupSource
from alcli.selection.source import Source
from alcli.selection.strategy import NOTHING, Selection
from alcli.simulation.contenders import Contender, contender
from alcli.simulation.metrics import evaluate
from alcli.simulation.oracle import Oracle
from alcli.simulation.plan import FULL_DATA, MAX_JUDGES, Cell, Plan, initial_rng, judges_rng, selection_seed, split_rng
from alcli.simulation.results import CellResult, Pick, Point
from alcli.simulation.round import RoundState
from alcli.simulation.splits import held_out, initial_rows, most_frequent, with_two_classes


@dataclass(frozen=True)
class Bench:
    """What all cells share: the rows, their true labels, and the rules.

    y_N: int64 class numbers or float64 targets, of the rows that are used. usable: the row numbers of these, in the order of their
    ids. test: those of them to evaluate on, in the order of their ids; None holds some out. n_classes: None in a regression.
    grouping: of the used rows, which are then asked for, and set aside for testing, by the group; None where every row is an item.
    costs_N: what items cost, by their number; None where a round is a number of items.
    """

    source: Source
    y_N: Array
    usable: Int64
    test: Int64 | None
    n_classes: int | None
    plan: Plan
    grouping: Grouping | None = None
    costs_N: Float64 | None = None

    @property
    def classes(self) -> bool:
        return self.n_classes is not None

    @cached_property
    def groups(self) -> GroupSource | None:
        return None if self.grouping is None else GroupSource(self.source, self.grouping)

    def split(self, seed: int) -> tuple[Int64, Int64]:
        """(test rows, items that can be asked for) of a seed, in the order of their ids; the same for every strategy."""
        y, items = self._classes_of_items
        if self.test is not None:
            test = self.test if self.grouping is None else self.grouping.of_rows(self.test)
        else:
            test = held_out(y, items, self.plan.test_fraction, split_rng(seed), classes=self.classes)
        return self.rows_of(test), items[~np.isin(items, test)]

    def initial(self, seed: int, askable: Int64) -> Int64:
        """The items labelled at the start; the same for every strategy."""
        y, rng = self._classes_of_items[0], initial_rng(seed)
        chosen = initial_rows(y, askable, self.plan.initial, rng, classes=self.classes, stratified=self.plan.stratified)
        if self.grouping is None or not self.classes:
            return chosen
        return with_two_classes(chosen, askable, lambda items: self.y_N[self.rows_of(items)], rng)

    def rows_of(self, items: Int64) -> Int64:
        """The rows of items; those of a group in the order of their ids."""
        return items if self.groups is None else self.groups.rows_of(items)

    @cached_property
    def _classes_of_items(self) -> tuple[Array, Int64]:
        """(labels by the number of an item, items in the order of their ids). The label of a group is its most frequent class."""
        if self.grouping is None:
            return self.y_N, self.usable
        groups_U = self.grouping.group_N[self.usable]
        y_U = self.y_N[self.usable] if self.classes else np.zeros(len(self.usable), np.int64)
        return most_frequent(y_U, groups_U, self.grouping.n), np.unique(groups_U)

    def cost_of(self, items: Int64) -> float | None:
        """What items cost together; None where they have no costs."""
        return None if self.costs_N is None else float(self.costs_N[items].sum())

    def judges(self, seed: int, askable: Int64) -> Int64:
        """Rows that oracles judge batches by: a third of those that can be asked for and are not labelled at the start, at most 2,000."""
        left = askable[~np.isin(askable, self.initial(seed, askable))]
        return judges_rng(seed).permutation(left)[: min(MAX_JUDGES, len(left) // 3)]


def run_cell(bench: Bench, cell: Cell) -> CellResult:
    """All rounds of one cell. A pool of which nothing is left, or nothing that a round can buy, ends it early. Deterministic but for the seconds."""
    if cell.strategy == FULL_DATA:
        return _full_data(bench, cell)
    who = contender(cell.strategy)
    test, askable = bench.split(cell.seed)
    oracle = Oracle(bench.y_N, askable, bench.rows_of)
    oracle.ask(bench.initial(cell.seed, askable))
    X_test, y_test = bench.source.take(test), bench.y_N[test]
    points: list[Point] = []
    picks: list[Pick] = []
    notes: list[tuple[int, str]] = []
    model: Model | None = None
    clock = _Clock()
    for number in range(bench.plan.rounds + 1):
        model = _fit(bench, cell, oracle, model)
        seconds_fit = clock.lap()
        metrics = evaluate(model, X_test, y_test)
        seconds_evaluate = clock.lap()
        n_labels, cost = oracle.queries, bench.cost_of(oracle.answered)
        over = number == bench.plan.rounds or len(oracle.candidates) == 0
        chosen = NOTHING if over else _select(bench, cell, who, oracle, model, number)
        points.append(Point(number, n_labels, metrics, seconds_fit, clock.lap(), seconds_evaluate, cost))
        if len(chosen.rows_K) == 0:
            if number == 0 and not over and bench.costs_N is not None:
                cheapest = bench.costs_N[oracle.candidates].min()
                raise DataError(f"-n {bench.plan.batch} buys nothing: the cheapest item costs {cheapest:g}", hint="raise -n")
            break
        picks += [Pick(number + 1, rank, int(row), float(score)) for rank, (row, score) in enumerate(zip(chosen.rows_K, chosen.scores_K))]
        notes += [(number + 1, text) for text in chosen.notes]
    return CellResult(cell, tuple(points), tuple(picks), tuple(notes))


def _full_data(bench: Bench, cell: Cell) -> CellResult:
    """One point: the head fitted to every label that could be asked for."""
    test, askable = bench.split(cell.seed)
    oracle, clock = Oracle(bench.y_N, askable, bench.rows_of), _Clock()
    oracle.ask(askable)
    model = _fit(bench, cell, oracle, None)
    seconds_fit = clock.lap()
    metrics = evaluate(model, bench.source.take(test), bench.y_N[test])
    return CellResult(cell, (Point(0, oracle.queries, metrics, seconds_fit, 0.0, clock.lap(), bench.cost_of(askable)),), ())


def _fit(bench: Bench, cell: Cell, oracle: Oracle, start: Model | None) -> Model:
    return fit(_labelled(bench, oracle), replace(bench.plan.spec, seed=cell.seed), start=start, tune_update=False)


def _tuned(bench: Bench, cell: Cell, oracle: Oracle, model: Model) -> Model:
    """The same weights with curvature and step size found from the labels at hand."""
    spec = replace(bench.plan.spec, seed=cell.seed, prior_precision=model.head.prior_precision)
    return fit(_labelled(bench, oracle), spec, start=model)


def _labelled(bench: Bench, oracle: Oracle) -> Training:
    labelled = oracle.labelled
    weights_L: Float64 = np.ones(len(labelled))
    return Training(bench.source.take(labelled), oracle.labels(), weights_L, bench.n_classes)


def _select(bench: Bench, cell: Cell, who: Contender, oracle: Oracle, model: Model, number: int) -> Selection:
    """One round's batch; the oracle is asked for it. The head is tuned for updates where the contender makes some."""
    judges = bench.judges(cell.seed, bench.split(cell.seed)[1]) if who.is_oracle else np.empty(0, np.int64)
    model = _tuned(bench, cell, oracle, model) if who.updates else model
    state = RoundState(bench.source, oracle, model, bench.n_classes, judges, bench.groups, bench.costs_N)
    seed, options = selection_seed(cell, number), bench.plan.options.get(cell.strategy, {})
    try:
        return who.choose(state, bench.plan.batch, seed, options)
    except AlcliError as error:
        error.message = f"strategy {cell.strategy}, seed {cell.seed}, round {number + 1}: {error.message}"
        raise


class _Clock:
    """Seconds between laps."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        last, self._last = self._last, time.perf_counter()
        return self._last - last
