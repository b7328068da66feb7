"""`alcli simulate`: run active learning on a pool whose labels are known, and report which strategy pays off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Float64
from alcli.composition.modifiers import OF_PREDICTIONS
from alcli.data.class_names import ClassNames, read_class_names
from alcli.data.pool import Pool
from alcli.data.writing.locks import lock
from alcli.errors import CannotCreateError, DataError, OutputError, UsageError, counted, printable
from alcli.numerics.metrics import METRICS, Metric
from alcli.remarks import NoProgress, Note, Progress, silence
from alcli.report.summary import Line
from alcli.report.verdict import conclusions
from alcli.simulation.contenders import Contender
from alcli.simulation.metrics import class_of, default_metric
from alcli.simulation.parallel import run_cells
from alcli.simulation.plan import FULL_DATA, Cell, Plan
from alcli.simulation.shared import Matrix, Shared
from alcli.workflows.items import Items
from alcli.workflows.recipe import POOL
from alcli.workflows.simulate.configuration import configuration
from alcli.workflows.simulate.folder import SimulationFolder
from alcli.workflows.simulate.outputs import write_outputs
from alcli.workflows.simulate.request import Checked, Simulation
from alcli.workflows.simulate.truth import Truth, truth_of
from alcli.workflows.suited import strategies_for_numbers
from alcli.workflows.unlabelled import NO_CLASSES, remark_on_missing


@dataclass(frozen=True)
class Simulated:
    """The outcome of a simulation: one line and one sentence per strategy, and figures about the run."""

    folder: Path
    lines: list[Line]
    verdicts: list[str]
    report: dict[str, Any]


def simulate(
    items: Items,
    ask: Simulation,
    out: Path,
    *,
    jobs: int = 1,
    cache_dir: Path | None = None,
    progress: Progress = NoProgress(),
    note: Note = silence,
) -> Simulated:
    """Run every cell that the folder `out` does not hold yet, then write the tables and pictures.

    jobs: the number of processes; the results do not depend on it. cache_dir: where the features lie while cells run,
    by default in `out`. The lock of `out` is held from beginning to end. Raises every AlcliError.
    """
    checked = ask.checked()
    if jobs < 1:
        raise UsageError(f"--jobs must be at least 1, got {jobs}")
    unknown = ask.labels.ignore_unknown
    items = items.tested(ask.test_labels, ignore_unknown=unknown, normalize=ask.normalize)
    pool = items.pool
    truth = truth_of(pool, ask.recipe.head, ask.labels, ask.none_label, note, normalize=ask.normalize)
    if (remark := truth.unlearnable()) is not None:
        note(remark)
    plan = checked.plan(truth.classes is None)
    if checked.metric is not None:
        plan = replace(plan, positive=class_of(checked.metric, truth.classes, pool.name))
    _check_data(items, ask, plan, truth, checked, note)
    pool.watch_scales()
    costs_N = None if ask.cost_column is None else items.costs(ask.cost_column)
    names = _names(ask, pool, truth, note)
    every_label = list(plan.full_data(one_split=len(truth.test) > 0)) if ask.full_data else []
    cells = [*every_label, *plan.cells()]
    folder = SimulationFolder(out, cache_dir)
    folder.create()
    with lock(folder.runs), folder.telling(cells):
        config = folder.claim(configuration(items, checked, plan, truth, ask.cost_column, costs_N, names))
        metric, why = _metric(checked.metric, config, truth)
        resumed, again, continued = _run(items, plan, truth, costs_N, names, cells, folder, metric.name, jobs, progress)
        written = write_outputs(folder, items, plan, truth, metric, config, every_label, ask.look, note)
    if again:
        whose = "its head was" if again == 1 else "their heads were"
        note(f"{counted(again, 'run')} had not been measured by '{metric.name}', so {whose} fitted again")
    if continued:
        note(f"{counted(continued, 'run')} kept {'its' if continued == 1 else 'their'} choices and went on from there")
    if resumed:
        note(f"{resumed} of {counted(len(cells), 'run')} {'was' if resumed == 1 else 'were'} there already")
    oracles = [name for name, one in checked.contenders.items() if one.is_oracle]
    sentences = conclusions(written.lines, oracles=oracles)
    report = _report(items, plan, truth, written.lines, cells, resumed) | ({"metric_taken": why} if why else {})
    return Simulated(out, written.lines, sentences, report | written.report)


def _metric(named: Metric | None, config: Mapping[str, Any], truth: Truth) -> tuple[Metric, str]:
    """Return the metric that compares strategies, and where the user named none and labels are classes, why it does."""
    counts_C = truth.measured_counts()
    if named is not None or counts_C is None:
        return METRICS["rmse"] if named is None else named, ""
    metric, shares_C = METRICS[config["default_metric"]], counts_C / counts_C.sum()
    how = "fairly even" if metric.name == "accuracy" else "uneven"
    least, most = f"{shares_C.min():.0%}", f"{shares_C.max():.0%}"
    size = f"{least} to {most} of the rows" if least != most else f"{most} of the rows each"
    why = f"since the {len(shares_C)} classes are {how}, with {size}"
    if metric != default_metric(counts_C):
        why = "as when this simulation began"
    return metric, f"strategies are compared by {metric.words}, {why}; --metric names another metric"


def _names(ask: Simulation, pool: Pool, truth: Truth, note: Note) -> ClassNames | None:
    """Read the names of the classes; None without names and in a regression. A note tells of classes without a name."""
    if truth.classes is None and ask.recipe.prior == POOL:
        note(NO_CLASSES)
    if ask.class_names is None or truth.classes is None:
        return None
    names = read_class_names(ask.class_names, pool, note)
    remark_on_missing(names, truth.classes, note)
    return names


def _run(
    items: Items,
    plan: Plan,
    truth: Truth,
    costs_N: Float64 | None,
    names: ClassNames | None,
    cells: Sequence[Cell],
    folder: SimulationFolder,
    measured: str,
    jobs: int,
    progress: Progress,
) -> tuple[int, int, int]:
    """Run the cells that the folder does not hold, or holds with fewer rounds or not measured by the metric `measured`.

    Returns the number of cells that the folder held already, of cells that were not measured by the metric, and of
    other cells whose choices so far were kept.
    """
    missing = [cell for cell in cells if not folder.has(cell, measured, _rounds(cell, plan))]
    if not missing:
        return len(cells), 0, 0
    pool = items.pool
    found = {cell: folder.known(cell, items.ids.rows_of) for cell in missing}
    known = {cell: result for cell, result in found.items() if result is not None}
    progress.start(len(missing), "simulating")
    with _features(pool, folder.scratch) as features:
        ids, test = pool.ids.keys(np.arange(pool.n)), truth.test if len(truth.test) else None
        names_CD = None if names is None or truth.classes is None else names.rows(truth.classes)
        shared = Shared(
            features, ids, truth.y_N, truth.used, test, truth.n_classes, plan, truth.grouping, costs_N, names_CD, known
        )
        with closing(run_cells(shared, missing, jobs)) as results:
            for result in results:
                picked = items.ids.arrow(np.array([pick.row for pick in result.picks], np.int64)).to_pylist()
                folder.record()
                folder.save(result, picked)
                progress.advance(1)
    again = sum(measured not in result.points[-1].metrics for result in known.values())
    return len(cells) - len(missing), again, len(known) - again


def _rounds(cell: Cell, plan: Plan) -> int:
    return 0 if cell.strategy == FULL_DATA else plan.rounds


@contextmanager
def _features(pool: Pool, path: Path) -> Iterator[Matrix]:
    """Write the features of the pool to a file of raw numbers, which is removed at the end. One pass over the pool."""
    try:
        try:
            file = open(path, "wb")  # noqa: SIM115
        except OSError as error:
            raise CannotCreateError(f"{printable(path)}: cannot be created: {error.strerror}") from error
        try:
            with file:
                for _, X_BD in pool.blocks():
                    file.write(np.ascontiguousarray(X_BD, pool.dtype).data)
        except OSError as error:
            raise OutputError(f"{printable(path)}: cannot write the features: {error.strerror}") from error
        yield Matrix(path, np.dtype(pool.dtype).str, (pool.n, pool.dim))
    finally:
        path.unlink(missing_ok=True)


def _check_data(items: Items, ask: Simulation, plan: Plan, truth: Truth, checked: Checked, note: Note) -> None:
    """Raise UsageError or DataError where the pool does not allow the plan; note everything that is merely odd."""
    pool = items.pool
    if len(truth.test) and ask.test_fraction is not None:
        what = f"--test-fraction holds rows out, but {pool.name} has {len(truth.test)} test rows"
        raise UsageError(what, hint="leave --test-fraction out")
    items.check_options(ask.options)
    for name, contender in checked.contenders.items():
        if contender.is_oracle:
            items.refuse_groups(f"'{name}' judges rows one by one")
        if truth.classes is None and contender.under(plan.options[name])[0].needs_classes:
            raise _needs_classes(name, contender, plan, pool)
    askable, what = truth.askable(plan.test_fraction), "rows" if truth.grouping is None else "groups"
    if plan.initial > askable:
        there = counted(askable, f"labelled {what[:-1]}")
        raise DataError(f"{pool.name}: {there} beside the test {what}, --initial asks for {plan.initial}")
    items.remark(np.empty(0, np.int64), note)
    left_out, usable = pool.n - len(truth.used), "without a label or a usable vector"
    if left_out:
        note(f"{counted(left_out, f'row {usable} was', f'rows {usable} were')} left out")
    if plan.candidates is not None:
        note(f"each round chooses among {counted(plan.candidates, f'random {what[:-1]}')}, drawn anew")
    if ask.cost_column is None and plan.initial + plan.rounds * plan.batch > askable:
        rounds = -(-(askable - plan.initial) // plan.batch)
        used_up, none_left = f"used up after round {rounds} of {plan.rounds}", "labelled to start with, so none is left"
        note(f"the {askable} {what} to choose from are {used_up if rounds else f'{none_left} to choose'}")


def _needs_classes(name: str, contender: Contender, plan: Plan, pool: Pool) -> UsageError:
    """The refusal of a strategy that needs classes where labels are numbers: by itself, or by an option that it has."""
    if contender.base.needs_classes:
        who, hint = f"strategy '{name}'", strategies_for_numbers()
    else:
        given = [f"-p {key}" for key in OF_PREDICTIONS if key in plan.options[name]]
        who = f"'{name}' with {' and '.join(given)}"
        hint = f"leave {'it' if len(given) == 1 else 'them'} out"
    return UsageError(f"{who} needs class probabilities, the labels of {pool.name} are numbers", hint=hint)


def _report(
    items: Items, plan: Plan, truth: Truth, lines: list[Line], cells: Sequence[Cell], resumed: int
) -> dict[str, Any]:
    n_test = truth.n_items(truth.used) - truth.askable(plan.test_fraction)
    return {
        "pool": items.about(),
        "metric": lines[0].metric.name,
        "runs": len(cells),
        "candidates": plan.candidates,
        "resumed": resumed,
        "test_rows" if truth.grouping is None else "test_groups": n_test,
        "summary": [line.row() for line in lines],
    }
