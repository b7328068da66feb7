"""`alcli simulate`: play active learning on a pool whose labels are known, and say which strategy pays off."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alcli import __version__, plugins
from alcli.arrays import Float64
from alcli.composition.modifiers import OF_PREDICTIONS
from alcli.data.pool import Pool
from alcli.data.writing.locks import lock
from alcli.errors import CannotCreateError, DataError, UsageError, counted, printable
from alcli.remarks import NoProgress, Note, Progress, silence
from alcli.report.summary import Line
from alcli.report.verdict import agreement, verdicts
from alcli.selection.needs import CLASSIFICATION_NEEDS
from alcli.simulation.metrics import SMALLER_IS_BETTER, main_metric
from alcli.simulation.parallel import run_cells
from alcli.simulation.plan import BASELINE, Cell, Plan
from alcli.simulation.shared import Matrix, Shared
from alcli.workflows.items import Items
from alcli.workflows.simulate.folder import FORMAT, SimulationFolder
from alcli.workflows.simulate.outputs import write_outputs
from alcli.workflows.simulate.request import Checked, Simulation
from alcli.workflows.simulate.truth import Truth, truth_of


@dataclass(frozen=True)
class Simulated:
    """The outcome: one line and one sentence per strategy, and figures about the run."""

    folder: Path
    lines: list[Line]
    verdicts: list[str]
    report: dict[str, Any]


def simulate(
    items: Items, ask: Simulation, out: Path, *, jobs: int = 1, progress: Progress = NoProgress(), note: Note = silence
) -> Simulated:
    """Run every cell that `out` does not hold yet, then write the tables and pictures. Raises every AlcliError.

    jobs: processes. Holds the lock of `out` from beginning to end.
    """
    checked, pool = ask.checked(), items.pool
    if jobs < 1:
        raise UsageError(f"--jobs must be at least 1, got {jobs}")
    truth = truth_of(pool, ask.recipe.head)
    plan = checked.plan(truth.classes is None)
    _check_data(items, ask, plan, truth, checked, note)
    costs_N = None if ask.cost_column is None else items.costs(ask.cost_column)
    every_label = list(plan.full_data(one_split=len(truth.test) > 0)) if ask.full_data else []
    cells = [*every_label, *plan.cells()]
    folder = SimulationFolder(out)
    folder.create()
    with lock(folder.runs):
        folder.claim(_config(items, checked, plan, truth) | _priced(ask.cost_column, costs_N, truth))
        resumed = _run(items, plan, truth, costs_N, cells, folder, jobs, progress)
        found = write_outputs(folder, items, plan, main_metric(truth.n_classes), ask.cost_column, every_label, note)
    if resumed:
        note(f"{resumed} of {counted(len(cells), 'run')} {'was' if resumed == 1 else 'were'} there already")
    oracles = [name for name, one in checked.contenders.items() if one.is_oracle]
    lines = found.lines
    said = verdicts(lines, BASELINE, smaller_is_better=lines[0].metric in SMALLER_IS_BETTER, oracles=oracles)
    said += [text for text in [agreement(lines)] if text]
    return Simulated(out, lines, said, _report(items, plan, truth, lines, cells, resumed) | found.report)


def _run(
    items: Items, plan: Plan, truth: Truth, costs_N: Float64 | None, cells: Sequence[Cell], folder: SimulationFolder, jobs: int, progress: Progress
) -> int:
    """Run what is missing; returns how many cells were there already."""
    missing = [cell for cell in cells if not folder.has(cell)]
    if not missing:
        return len(cells)
    pool = items.pool
    progress.start(len(missing), "simulating")
    with _features(pool, folder.scratch) as features:
        ids, test = pool.ids.keys(np.arange(pool.n)), truth.test if len(truth.test) else None
        shared = Shared(features, ids, truth.y_N, truth.used, test, truth.n_classes, plan, truth.grouping, costs_N)
        with closing(run_cells(shared, missing, jobs)) as results:
            for result in results:
                picked = items.ids.arrow(np.array([pick.row for pick in result.picks], np.int64)).to_pylist()
                folder.save(result.cell, result.curve_rows(), result.pick_rows(picked), result.notes)
                progress.advance(1)
    return len(cells) - len(missing)


@contextmanager
def _features(pool: Pool, path: Path) -> Iterator[Matrix]:
    """The pool's features as a file of raw numbers, for as long as the block runs. One pass over the pool."""
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
    """Raise UsageError or DataError when pool and plan do not go together; note what is merely odd."""
    pool = items.pool
    if len(truth.test) and ask.test_fraction is not None:
        raise UsageError(f"--test-fraction holds rows out, but {pool.name} has {len(truth.test)} test rows", hint="leave --test-fraction out")
    items.check_options(ask.options)
    for name, contender in checked.contenders.items():
        if contender.is_oracle:
            items.refuse_groups(f"'{name}' judges rows one by one")
        if truth.classes is None and contender.under(plan.options[name])[0].needs_classes:
            own = contender.base.needs_classes
            given = [f"-p {key}" for key in OF_PREDICTIONS if key in plan.options[name]]
            who, hint = (f"strategy '{name}'", _for_regression()) if own else (f"'{name}' with {' and '.join(given)}", f"leave {'it' if len(given) == 1 else 'them'} out")
            raise UsageError(f"{who} needs class probabilities, the labels of {pool.name} are numbers", hint=hint)
    askable, what = truth.askable(plan.test_fraction), "rows" if truth.grouping is None else "groups"
    if plan.initial > askable:
        raise DataError(f"{pool.name}: {counted(askable, f'labelled {what[:-1]}')} beside the test {what}, --initial asks for {plan.initial}")
    items.remark(np.empty(0, np.int64), note)
    if len(truth.used) < pool.n:
        left_out = counted(pool.n - len(truth.used), "row without a label or a usable vector was", "rows without a label or a usable vector were")
        note(f"{left_out} left out")
    if ask.cost_column is None and plan.initial + plan.rounds * plan.batch > askable:
        rounds = -(-(askable - plan.initial) // plan.batch)
        when = f"used up after round {rounds} of {plan.rounds}" if rounds else "labelled to start with, so nothing is left to choose"
        note(f"the {askable} {what} to choose from are {when}")


def _for_regression() -> str:
    summaries = [plugins.summary("strategies", name) for name in plugins.names("strategies")]
    return f"strategies for numbers: {', '.join(s.name for s in summaries if s.numbers or not CLASSIFICATION_NEEDS.intersection(s.needs))}"


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
        "seeds": plan.n_seeds,
        "test": "split" if len(truth.test) else plan.test_fraction,
    }


def _priced(column: str | None, costs_N: Float64 | None, truth: Truth) -> dict[str, Any]:
    """What a configuration says of costs: nothing where there are none. The digest is over those of the items used, whatever the order of the rows."""
    if column is None or costs_N is None:
        return {}
    items = truth.used if truth.grouping is None else truth.grouping.of_rows(truth.used)
    return {"cost": {"column": column, "digest": hashlib.sha256(costs_N[items].tobytes()).hexdigest()}}


def _report(items: Items, plan: Plan, truth: Truth, lines: list[Line], cells: Sequence[Cell], resumed: int) -> dict[str, Any]:
    n_test = truth.n_items(truth.used) - truth.askable(plan.test_fraction)
    return {
        "pool": items.about(),
        "runs": len(cells),
        "resumed": resumed,
        "test_rows" if truth.grouping is None else "test_groups": n_test,
        "summary": [line.row() for line in lines],
    }
