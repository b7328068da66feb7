"""One cell of a simulation: fit a head, evaluate it, select items, reveal their labels, and repeat.

Source: the pool-based protocol of Settles, Active Learning Literature Survey, 2009, section 2.3.
Cost: per round one warm-started fit, one pass over the test rows and one selection. Memory: one copy of the candidates'
features.
The selection of a round is `alcli.selection.select.select`, the function that `alcli query` calls; a modifier calls
it for parts of the batch. Every round is evaluated on an exact fit that no modifier has touched, so that curves
differ only by the items that were selected.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Set
from contextlib import contextmanager
from dataclasses import astuple, replace

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.composition.alike import without_alike
from alcli.errors import AlcliError, DataError
from alcli.heads._contract import Training
from alcli.heads._fitting import Calibration, fit
from alcli.heads._model import Model
from alcli.heads._pair import Pair, Unlabelled, fit_pair
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.metrics import class_counts, confidence_counts
from alcli.selection.strategy import Selection
from alcli.simulation.bench import Bench
from alcli.simulation.contenders import Contender, contender
from alcli.simulation.metrics import evaluate, origin_of, predictions
from alcli.simulation.oracle import Oracle
from alcli.simulation.plan import BASELINE, FULL_DATA, Cell, Plan, selection_seed
from alcli.simulation.results import N_BINS, CellResult, Details, Pick, Point
from alcli.simulation.round import RoundState

Notes = list[tuple[int, str]]
_EXCHANGED = "the items to start with were all of one class: the last one made room for one of another class"


def run_cell(bench: Bench, cell: Cell) -> CellResult:
    """Run all rounds of one cell; the result is deterministic but for the seconds.

    The cell ends early once no item is left, or no item that a round can pay for. Rounds that an earlier simulation has
    run are not chosen again: their heads are fitted again, since a fit begins at the weights of the round before.
    Raises DataError if the first round cannot pay for any item, or code from outside has changed since the plan was
    made; and what strategies raise.
    """
    _refuse_changed(bench.plan, {bench.plan.metric: origin_of(bench.plan.metric)} if bench.plan.metric else {})
    if cell.strategy == FULL_DATA:
        return _full_data(bench, cell)
    who = contender(cell.strategy)
    _refuse_changed(bench.plan, who.origins)
    known = _Known(bench.known.get(cell), bench.measures)
    test, askable = bench.split(cell.seed)
    oracle = Oracle(bench.y_N, askable, bench.rows_of, weighted=bench.plan.train_weights)
    oracle.ask(bench.initial(cell.seed, askable))
    X_test, y_test = bench.source.take(test), bench.y_N[test]
    points: list[Point] = []
    picks: list[Pick] = []
    # Every strategy starts with the same items, and the baseline tells of them.
    told = cell.strategy == BASELINE and bench.was_exchanged(cell.seed, askable)
    notes = [(0, _EXCHANGED)] if told else []
    pair: Pair | None = None
    predicted: tuple[Float64, ...] = ()
    clock = _Clock()
    for number in range(bench.plan.rounds + 1):
        pair = _fit(bench, cell, oracle, pair)
        seconds_fit = clock.lap()
        metrics = known.metrics(number)
        if metrics is None:
            with _telling(cell, number):
                predicted = predictions(pair.predicts, X_test)
                metrics = evaluate(y_test, predicted, bench.metric, bench.plan.positive)
        seconds_evaluate = clock.lap()
        n_labels, cost = oracle.queries, bench.cost_of(oracle.answered)
        none = len(oracle.none) if bench.plan.none_label is not None else None
        over = number == bench.plan.rounds or len(oracle.candidates) == 0
        batch, said = ([], []) if over else _batch(bench, cell, who, oracle, pair, known, number + 1)
        points.append(
            known.point(number, metrics)
            or Point(number, n_labels, metrics, seconds_fit, clock.lap(), seconds_evaluate, cost, none)
        )
        if not batch:
            if number == 0 and not over:
                _refuse_small_budget(bench, oracle)
            break
        picks += batch
        notes += said
    used_up = len(oracle.candidates) == 0 or points[-1].round < bench.plan.rounds
    return CellResult(cell, tuple(points), tuple(picks), tuple(notes), _details(y_test, predicted), used_up)


class _Known:
    """The rounds of a cell that an earlier simulation has run; no round where there is none.

    measures: the names of the metrics that a point must have to be kept.
    """

    def __init__(self, result: CellResult | None, measures: Set[str]) -> None:
        self._points = () if result is None else result.points
        self._measures = measures
        self._notes = () if result is None else result.notes
        self._batches: dict[int, list[Pick]] = {}
        for pick in () if result is None else result.picks:
            self._batches.setdefault(pick.round, []).append(pick)

    def batch(self, number: int) -> list[Pick]:
        """Return what was chosen in a round; nothing for a round that has not been run."""
        return [*self._batches.get(number, ())]

    def notes(self, number: int) -> Notes:
        """Return the remarks that the strategy made in a round."""
        return [note for note in self._notes if note[0] == number]

    def metrics(self, number: int) -> Mapping[str, float] | None:
        """Return the metrics of a round; None where it is to be measured. The last round is measured once more."""
        if number + 1 not in self._batches:
            return None
        found = self._points[number].metrics
        return found if self._measures <= found.keys() else None

    def point(self, number: int, metrics: Mapping[str, float]) -> Point | None:
        """Return the point of a round with its seconds, and with these metrics; None for a round to be timed."""
        return replace(self._points[number], metrics=metrics) if number + 1 in self._batches else None


def _batch(
    bench: Bench, cell: Cell, who: Contender, oracle: Oracle, pair: Pair, known: _Known, number: int
) -> tuple[list[Pick], Notes]:
    """Ask the oracle for the batch of a round, and return it with the remarks on it: the known one, or a new choice."""
    batch = known.batch(number)
    if batch:
        weights = [pick.weight for pick in batch if pick.weight is not None]
        rows_K = np.array([pick.row for pick in batch], np.int64)
        oracle.ask(rows_K, np.array(weights, np.float32) if weights else None)
        return batch, known.notes(number)
    chosen = _select(bench, cell, who, oracle, pair, number - 1)
    weights_K = chosen.weights_K if bench.plan.train_weights else None
    for rank, (row, score) in enumerate(zip(chosen.rows_K, chosen.scores_K)):
        weight = None if weights_K is None else float(weights_K[rank])
        batch.append(Pick(number, rank, int(row), float(score), weight))
    return batch, [(number, text) for text in chosen.notes]


def _details(y_test: Array, predicted: tuple[Float64, ...]) -> Details | None:
    """Count the test rows of a classification by class and by confidence; None in a regression."""
    if len(predicted) != 1:
        return None
    log_probs_TC = predicted[0]
    by_class = class_counts(y_test, log_probs_TC.argmax(axis=1), log_probs_TC.shape[1])
    counts = (*astuple(by_class), *confidence_counts(y_test, log_probs_TC, N_BINS))
    return Details(*(tuple(map(int, count)) for count in counts))


def _refuse_changed(plan: Plan, origins: Mapping[str, Mapping[str, str] | None]) -> None:
    """Raise DataError for code from outside that has another provenance than the plan recorded."""
    for name, origin in origins.items():
        if name in plan.origins and origin != plan.origins[name]:
            what = f"{name} has changed since the simulation began"
            raise DataError(what, hint="undo the change and run again, or choose another -o")


def _refuse_small_budget(bench: Bench, oracle: Oracle) -> None:
    """Raise DataError where the budget of a round is below the cost of every item."""
    if bench.costs_N is not None:
        cheapest = bench.costs_N[oracle.candidates].min()
        raise DataError(f"-n {bench.plan.batch} buys nothing: the cheapest item costs {cheapest:g}", hint="raise -n")


def _full_data(bench: Bench, cell: Cell) -> CellResult:
    """Return a single point: the head fitted to every label that can be asked for."""
    test, askable = bench.split(cell.seed)
    oracle, clock = Oracle(bench.y_N, askable, bench.rows_of), _Clock()
    oracle.ask(askable)
    model, y_test = _fit(bench, cell, oracle, None).predicts, bench.y_N[test]
    seconds_fit = clock.lap()
    with _telling(cell, 0):
        predicted = predictions(model, bench.source.take(test))
        metrics = evaluate(y_test, predicted, bench.metric, bench.plan.positive)
    point = Point(0, oracle.queries, metrics, seconds_fit, 0.0, clock.lap(), bench.cost_of(askable))
    return CellResult(cell, (point,), (), (), _details(y_test, predicted), used_up=True)


def _fit(bench: Bench, cell: Cell, oracle: Oracle, start: Pair | None) -> Pair:
    spec = replace(bench.plan.spec, seed=cell.seed)
    pool = _unlabelled(bench, oracle) if bench.plan.pool_prior else None
    return fit_pair(_labelled(bench, oracle), spec, pool, start=start, tune_update=False)


def _unlabelled(bench: Bench, oracle: Oracle) -> Unlabelled:
    """The rows that can still be asked for, and the names of the classes. Test rows take no part.

    The rows come in the order of their ids, so the order of rows and files has no effect.
    """
    is_open_N = np.zeros(len(bench.y_N), bool)
    is_open_N[bench.rows_of(oracle.candidates)] = True
    rows = bench.usable[is_open_N[bench.usable]]
    starts = range(0, len(rows), BLOCK_ROWS)
    return Unlabelled(lambda: (bench.source.take(rows[a : a + BLOCK_ROWS]) for a in starts), bench.names_CD)


def _selecting(bench: Bench, cell: Cell, who: Contender, oracle: Oracle, pair: Pair) -> Model:
    """Return the model that the contender looks at: the model that `alcli query` would fit for it.

    Curvature and step size are tuned where the contender makes updates or looks at the posterior. A contender that
    tells calibrated probabilities apart gets a temperature. The weights are those of the round's head.
    """
    model, spec = pair.selects, bench.plan.spec
    options = bench.plan.options.get(cell.strategy, {})
    base = who.under(options)[0].suited(bench.n_classes is None)
    calibrates = base.needs_calibration and bench.n_classes is not None
    if not (calibrates or who.updates or who.imputes(options) or base.needs_posterior):
        return model
    calibrate: Calibration = "temperature" if calibrates else spec.calibrate
    spec = replace(spec, seed=cell.seed, prior_precision=model.head.prior_precision, calibrate=calibrate)
    data = _labelled(bench, oracle)
    if pair.is_one and pair.prior is not None:
        data = replace(data, anchor=pair.prior.anchor)
    return fit(data, spec, start=model)


def _labelled(bench: Bench, oracle: Oracle) -> Training:
    """The labels given so far, in the order of the ids: folds depend on the order, and a query takes this one."""
    labelled = bench.source.sorted_by_id(oracle.labelled)
    labels, weights_L = oracle.labels_of(labelled), oracle.weights_of(labelled)
    return Training(bench.source.take(labelled), labels, weights_L, bench.n_classes)


def _select(bench: Bench, cell: Cell, who: Contender, oracle: Oracle, pair: Pair, number: int) -> Selection:
    """Choose the batch of one round and ask the oracle for it."""
    judges = bench.judges(cell.seed, bench.split(cell.seed)[1]) if who.is_oracle else np.empty(0, np.int64)
    model = _selecting(bench, cell, who, oracle, pair)
    spec = replace(bench.plan.spec, seed=cell.seed)
    offered = _offered(bench, cell, oracle, number)
    state = RoundState(bench.source, oracle, model, bench.n_classes, judges, bench.groups, bench.costs_N, spec, offered)
    seed, options = selection_seed(cell, number), bench.plan.options.get(cell.strategy, {})
    with _telling(cell, number + 1):
        return who.choose(state, bench.plan.batch, seed, options)


def _offered(bench: Bench, cell: Cell, oracle: Oracle, number: int) -> Int64 | None:
    """The items that the round may choose; None for all. Candidates that look like items of no class are left out."""
    left = oracle.candidates
    if not len(oracle.none):
        return bench.offered(left, cell.seed, number)
    class_items, none_items = np.sort(oracle.labelled), np.sort(oracle.none)
    left = without_alike(bench.source, left, class_items, none_items, bench.plan.batch)
    offered = bench.offered(left, cell.seed, number)
    return left if offered is None else offered


@contextmanager
def _telling(cell: Cell, number: int) -> Iterator[None]:
    """Begin the message of an error with the place where it happened. number: of the round."""
    try:
        yield
    except AlcliError as error:
        error.message = f"strategy {cell.strategy}, seed {cell.seed}, round {number}: {error.message}"
        raise


class _Clock:
    """A stopwatch. Wall-clock seconds between laps."""

    def __init__(self) -> None:
        self._last = time.perf_counter()

    def lap(self) -> float:
        """Return the seconds since the last lap."""
        last, self._last = self._last, time.perf_counter()
        return self._last - last
