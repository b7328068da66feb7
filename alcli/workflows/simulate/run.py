"""`alcli simulate`: run active learning on a pool whose labels are known, and report which strategy pays off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alcli import __version__
from alcli.arrays import Float64
from alcli.composition.modifiers import OF_PREDICTIONS
from alcli.data.class_names import ClassNames, read_class_names
from alcli.data.pool import Pool
from alcli.data.writing.locks import lock
from alcli.errors import CannotCreateError, DataError, UsageError, counted, printable
from alcli.remarks import NoProgress, Note, Progress, silence
from alcli.report.summary import Line
from alcli.report.verdict import agreement, verdicts
from alcli.simulation.contenders import Contender
from alcli.simulation.metrics import check_task, default_metric
from alcli.simulation.parallel import run_cells
from alcli.simulation.plan import BASELINE, Cell, Plan
from alcli.simulation.shared import Matrix, Shared
from alcli.workflows.items import Items
from alcli.workflows.recipe import POOL
from alcli.workflows.simulate.folder import SimulationFolder
from alcli.workflows.simulate.outputs import write_outputs
from alcli.workflows.simulate.request import Checked, Simulation
from alcli.workflows.simulate.tables import FORMAT
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
    items: Items, ask: Simulation, out: Path, *, jobs: int = 1, progress: Progress = NoProgress(), note: Note = silence
) -> Simulated:
    """Run every cell that the folder `out` does not hold yet, then write the tables and pictures.

    jobs: the number of processes; the results do not depend on it. The lock of `out` is held from beginning to end.
    Raises every AlcliError.
    """
    checked, pool = ask.checked(), items.pool
    if jobs < 1:
        raise UsageError(f"--jobs must be at least 1, got {jobs}")
    truth = truth_of(pool, ask.recipe.head)
    plan = checked.plan(truth.classes is None)
    metric = default_metric(truth.n_classes) if checked.metric is None else checked.metric
    check_task(metric, truth.n_classes, pool.name)
    _check_data(items, ask, plan, truth, checked, note)
    pool.watch_scales()
    costs_N = None if ask.cost_column is None else items.costs(ask.cost_column)
    names = _names(ask, pool, truth, note)
    every_label = list(plan.full_data(one_split=len(truth.test) > 0)) if ask.full_data else []
    cells = [*every_label, *plan.cells()]
    folder = SimulationFolder(out)
    folder.create()
    with lock(folder.runs):
        config = _config(items, checked, plan, truth) | _priced(ask.cost_column, costs_N, truth) | _named(names, truth)
        folder.claim(config | _from_outside(checked, plan))
        measured = metric.name if plan.metric else None
        again = sum(folder.has(cell) and not folder.has(cell, measured) for cell in cells)
        resumed = _run(items, plan, truth, costs_N, names, cells, folder, measured, jobs, progress)
        written = write_outputs(folder, items, plan, metric, ask.cost_column, every_label, note)
    if again:
        note(f"{counted(again, 'run')} had not been measured by '{metric.name}' and ran again")
    if resumed:
        note(f"{resumed} of {counted(len(cells), 'run')} {'was' if resumed == 1 else 'were'} there already")
    oracles = [name for name, one in checked.contenders.items() if one.is_oracle]
    sentences = verdicts(written.lines, BASELINE, oracles=oracles)
    sentences += [text for text in [agreement(written.lines)] if text]
    report = _report(items, plan, truth, written.lines, cells, resumed)
    return Simulated(out, written.lines, sentences, report | written.report)


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
    measured: str | None,
    jobs: int,
    progress: Progress,
) -> int:
    """Run the cells that the folder does not hold, and return the number of cells that it held already.

    measured: the name of a metric from outside; a cell that was not measured by it runs again.
    """
    missing = [cell for cell in cells if not folder.has(cell, measured)]
    if not missing:
        return len(cells)
    pool = items.pool
    progress.start(len(missing), "simulating")
    with _features(pool, folder.scratch) as features:
        ids, test = pool.ids.keys(np.arange(pool.n)), truth.test if len(truth.test) else None
        names_CD = None if names is None or truth.classes is None else names.rows(truth.classes)
        shared = Shared(
            features, ids, truth.y_N, truth.used, test, truth.n_classes, plan, truth.grouping, costs_N, names_CD
        )
        with closing(run_cells(shared, missing, jobs)) as results:
            for result in results:
                picked = items.ids.arrow(np.array([pick.row for pick in result.picks], np.int64)).to_pylist()
                folder.save(result.cell, result.curve_rows(), result.pick_rows(picked), result.notes)
                progress.advance(1)
    return len(cells) - len(missing)


@contextmanager
def _features(pool: Pool, path: Path) -> Iterator[Matrix]:
    """Write the features of the pool to a file of raw numbers, which is removed at the end. One pass over the pool."""
    try:
        try:
            with open(path, "wb") as file:
                for _, X_BD in pool.blocks():
                    file.write(np.ascontiguousarray(X_BD, pool.dtype).data)
        except OSError as error:
            raise CannotCreateError(f"{printable(path)}: cannot write the features: {error.strerror}") from error
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


def _config(items: Items, checked: Checked, plan: Plan, truth: Truth) -> dict[str, Any]:
    """Everything that the results follow from."""
    pool = items.pool
    return {
        "format": FORMAT,
        "version": __version__,
        "pool": items.about() | {"fingerprint": pool.fingerprint(), "labels": truth.digest(pool)},
        "strategies": list(plan.strategies),
        "parameters": {name: dict(texts) for name, texts in checked.texts.items()},
        "head": checked.recipe.as_json(),
        "batch": plan.batch,
        "rounds": plan.rounds,
        "initial": plan.initial,
        "stratified": plan.stratified,
        "candidates": plan.candidates,
        "seeds": plan.n_seeds,
        "test": "split" if len(truth.test) else plan.test_fraction,
    }


def _from_outside(checked: Checked, plan: Plan) -> dict[str, Any]:
    """The part of the configuration about code that is not part of alcli; empty without such code.

    origins: the provenance of strategies. metrics: the provenance of the metric, by the name of its column.
    """
    origins = {key: dict(origin) for one in checked.contenders.values() for key, origin in one.origins.items()}
    found: dict[str, Any] = {"origins": origins} if origins else {}
    if checked.metric is not None and plan.metric is not None:
        found["metrics"] = {checked.metric.name: dict(plan.origins[plan.metric])}
    return found


def _priced(column: str | None, costs_N: Float64 | None, truth: Truth) -> dict[str, Any]:
    """The part of the configuration about costs; empty without costs.

    The digest is over the costs of the items used, in the order of their ids.
    """
    if column is None or costs_N is None:
        return {}
    items = truth.used if truth.grouping is None else truth.grouping.of_rows(truth.used)
    return {"cost": {"column": column, "digest": hashlib.sha256(costs_N[items].tobytes()).hexdigest()}}


def _named(names: ClassNames | None, truth: Truth) -> dict[str, Any]:
    """The part of the configuration about names of classes; empty without names."""
    if names is None or truth.classes is None:
        return {}
    digest = hashlib.sha256(np.ascontiguousarray(names.rows(truth.classes)).tobytes()).hexdigest()
    return {"class_names": {"named": sum(name in names.names for name in truth.classes), "digest": digest}}


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
