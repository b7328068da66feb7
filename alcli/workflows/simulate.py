"""`alcli simulate`: play active learning on a pool whose labels are known, and say which strategy pays off."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from alcli import __version__, plugins
from alcli.arrays import Array, Int64
from alcli.data.atomic import lock
from alcli.data.pool import Pool
from alcli.errors import CannotCreateError, DataError, UsageError
from alcli.report.curves import draw
from alcli.report.summary import Curves, Line, curves_of, summarise
from alcli.report.verdict import verdicts
from alcli.simulation.metrics import SMALLER_IS_BETTER, main_metric
from alcli.simulation.parallel import Matrix, Shared, run_cells
from alcli.simulation.plan import BASELINE, Plan, with_baseline
from alcli.strategies._contract import Strategy, strategy_of
from alcli.workflows.labelled import is_regression, own_labels
from alcli.workflows.recipe import Recipe, _family
from alcli.workflows.simulation_folder import FORMAT, SimulationFolder

Progress = Callable[[int, int], None]
DEFAULT_TEST_FRACTION = 0.2


@dataclass(frozen=True)
class Simulation:
    """What is simulated. options: `-p` pairs as text; `STRATEGY.KEY` and `head.KEY` mean one, a bare KEY all that know it.

    initial: None takes as many as a batch. test_fraction: None takes the pool's test split, or 0.2 where it has none.
    """

    strategies: Sequence[str]
    batch: int
    rounds: int
    initial: int | None = None
    n_seeds: int = 1
    test_fraction: float | None = None
    stratified: bool = False
    recipe: Recipe = field(default_factory=Recipe)
    options: Mapping[str, str] = field(default_factory=dict)

    def checked(self) -> Checked:
        """Everything that can be refused before any data is read. Raises UsageError."""
        names = with_baseline(self.strategies)
        found = {name: strategy_of(plugins.load("strategies", name)) for name in names}
        texts, head_texts = _assigned(self.options, found, self.recipe)
        parsed = {n: plugins.parse_options(found[n].run, texts[n], f"strategy '{n}'") for n in names}
        recipe = Recipe(**{**vars(self.recipe), "options": {**self.recipe.options, **head_texts}}).checked()
        initial = self.batch if self.initial is None else self.initial
        fraction = DEFAULT_TEST_FRACTION if self.test_fraction is None else self.test_fraction

        def plan(regression: bool) -> Plan:
            spec = recipe.spec(regression=regression)
            return Plan(names, self.n_seeds, self.batch, self.rounds, initial, spec, fraction, self.stratified, parsed)

        plan(regression=False)
        return Checked(found, texts, recipe, plan)


@dataclass(frozen=True)
class Checked:
    """A simulation whose names and values are known to be good. texts: the parameters of each strategy."""

    strategies: Mapping[str, Strategy]
    texts: Mapping[str, Mapping[str, str]]
    recipe: Recipe
    plan: Callable[[bool], Plan]


@dataclass(frozen=True)
class Simulated:
    """What came out: one line and one sentence per strategy, remarks, and figures about the run."""

    folder: Path
    lines: list[Line]
    verdicts: list[str]
    notes: list[str]
    report: dict[str, Any]


@dataclass(frozen=True)
class Truth:
    """The labels of a pool. used: rows with a label and a usable vector, in the order of their ids; test: those of the test split."""

    y_N: Array
    used: Int64
    test: Int64
    classes: tuple[str, ...] | None

    @property
    def n_classes(self) -> int | None:
        return None if self.classes is None else len(self.classes)

    def digest(self, pool: Pool) -> str:
        """SHA-256 over ids, labels, classes and split."""
        sha = hashlib.sha256(repr(self.classes).encode())
        for part in (pool.row_keys(self.used), self.y_N[self.used], np.isin(self.used, self.test)):
            sha.update(np.ascontiguousarray(part).tobytes())
        return sha.hexdigest()


def simulate(pool: Pool, ask: Simulation, out: Path, *, jobs: int = 1, progress: Progress = lambda done, total: None) -> Simulated:
    """Run every cell that `out` does not hold yet, then write the tables and pictures. Raises every AlcliError.

    jobs: processes. progress: told the number of finished cells and of all. Holds the lock of `out` from beginning to end.
    """
    checked = ask.checked()
    if jobs < 1:
        raise UsageError(f"--jobs must be at least 1, got {jobs}")
    truth = _truth(pool, ask)
    plan = checked.plan(truth.classes is None)
    notes = [*pool.notes, *_check_sizes(pool, plan, truth, checked)]
    folder = SimulationFolder(out)
    folder.create()
    with lock(out / "runs"):
        folder.claim(_config(pool, ask, checked, plan, truth))
        resumed = _run(pool, plan, truth, folder, jobs, progress)
        curves, lines = _write_outputs(pool, plan, truth, folder)
    report = {"pool": {"name": Path(pool.name).name, "rows": pool.n, "dim": pool.dim}, "cells": len(list(plan.cells())), "resumed": resumed}
    report |= {"metric": curves.metric, "seeds": plan.n_seeds, "test": len(truth.test) or f"{plan.test_fraction:g} held out"}
    said = verdicts(lines, BASELINE, smaller_is_better=curves.smaller_is_better)
    return Simulated(out, lines, said, notes, report)


def _run(pool: Pool, plan: Plan, truth: Truth, folder: SimulationFolder, jobs: int, progress: Progress) -> int:
    """Run what is missing; returns how many cells were there already."""
    cells = list(plan.cells())
    missing = [cell for cell in cells if not folder.has(cell)]
    done = len(cells) - len(missing)
    progress(done, len(cells))
    if not missing:
        return done
    with _features(pool, folder.scratch) as features:
        ids = pool.ids.keys(np.arange(pool.n))
        test = truth.test if len(truth.test) else None
        shared = Shared(features, ids, truth.y_N, truth.used, test, truth.n_classes, plan)
        for number, result in enumerate(run_cells(shared, missing, jobs), done + 1):
            picked = pool.ids.arrow(np.array([pick.row for pick in result.picks], np.int64)).to_pylist()
            folder.save(result.cell, result.curve_rows(), result.pick_rows(picked))
            progress(number, len(cells))
    return done


def _write_outputs(pool: Pool, plan: Plan, truth: Truth, folder: SimulationFolder) -> tuple[Curves, list[Line]]:
    order = {strategy: i for i, strategy in enumerate(plan.strategies)}
    rows, picks = folder.load(sorted(plan.cells(), key=lambda cell: (order[cell.strategy], cell.seed)))
    metric = main_metric(truth.n_classes)
    curves = curves_of(rows, metric, smaller_is_better=metric in SMALLER_IS_BETTER)
    lines = summarise(curves, BASELINE)
    folder.write_tables(rows, picks, lines, text_ids=pool.ids.is_text)
    title = f"{Path(pool.name).name}: {plan.initial} labels, then {plan.batch} a round"
    folder.write_pictures(draw(curves, BASELINE, title))
    return curves, lines


@contextmanager
def _features(pool: Pool, path: Path) -> Iterator[Matrix]:
    """The pool's features as a file of raw numbers, for as long as the block runs. One pass over the pool."""
    try:
        with open(path, "wb") as file:
            for _, X_BD in pool.blocks():
                np.ascontiguousarray(X_BD, pool.dtype).tofile(file)
        yield Matrix(path, np.dtype(pool.dtype).str, (pool.n, pool.dim))
    except OSError as error:
        raise CannotCreateError(f"{path}: cannot write the features: {error.strerror}") from error
    finally:
        path.unlink(missing_ok=True)


def _truth(pool: Pool, ask: Simulation) -> Truth:
    """Read the labels. Raises DataError when there are none, UsageError when --test-fraction contradicts a test split."""
    regression = is_regression(pool, "auto", ask.recipe.head, False)
    labels = own_labels(pool, np.flatnonzero(~pool.is_bad))
    if not len(labels):
        raise DataError(f"{pool.name}: no labels in column '{pool.label_column}', a simulation needs them to play the annotator", hint="add a label column")
    classes = None if regression else labels.classes()
    if classes is not None and len(classes) < 2:
        raise DataError(f"{pool.name}: all labels are '{classes[0]}', expected 2 classes or more")
    y_L, _ = labels.arrays(classes)
    rows = pool.ids.rows_of(list(labels.by_id))
    y_N = np.zeros(pool.n, y_L.dtype)
    y_N[rows] = y_L
    used = pool.sorted_by_id(rows)
    test = used[pool.is_test[used]]
    if len(test) and ask.test_fraction is not None:
        raise UsageError(f"--test-fraction holds rows out, but {pool.name} has {len(test)} test rows", hint="leave --test-fraction out")
    return Truth(y_N, used, test, classes)


def _check_sizes(pool: Pool, plan: Plan, truth: Truth, checked: Checked) -> list[str]:
    """Raise DataError when the pool is too small or of the wrong kind for the plan; remarks on what is merely odd."""
    if truth.classes is None:
        for name, strategy in checked.strategies.items():
            if strategy.needs_classes:
                raise UsageError(f"strategy '{name}' needs class probabilities, the labels of {pool.name} are numbers", hint=_for_regression())
    n = len(truth.used)
    askable = n - len(truth.test) if len(truth.test) else n - min(max(1, round(plan.test_fraction * n)), n - 1)
    if plan.initial > askable:
        raise DataError(f"{pool.name}: {askable} labelled rows outside of the test rows, --initial asks for {plan.initial}")
    notes = []
    if n < pool.n:
        notes.append(f"{pool.n - n} rows without a label or a usable vector were left out")
    if plan.initial + plan.rounds * plan.batch > askable:
        rounds = -(-(askable - plan.initial) // plan.batch)
        notes.append(f"the {askable} rows to choose from are used up after round {rounds} of {plan.rounds}")
    return notes


def _for_regression() -> str:
    summaries = [plugins.summary("strategies", name) for name in plugins.names("strategies")]
    return f"strategies for numbers: {', '.join(s.name for s in summaries if 'log_probs' not in s.needs)}"


def _config(pool: Pool, ask: Simulation, checked: Checked, plan: Plan, truth: Truth) -> dict[str, Any]:
    """Everything that the results follow from."""
    return {
        "format": FORMAT,
        "version": __version__,
        "pool": {"name": Path(pool.name).name, "rows": pool.n, "dim": pool.dim, "fingerprint": pool.fingerprint(), "labels": truth.digest(pool)},
        "strategies": list(plan.strategies),
        "parameters": {name: dict(texts) for name, texts in checked.texts.items() if texts},
        "head": checked.recipe.as_json(),
        "batch": plan.batch,
        "rounds": plan.rounds,
        "initial": plan.initial,
        "stratified": plan.stratified,
        "seeds": plan.n_seeds,
        "test": "split" if len(truth.test) else plan.test_fraction,
    }


def _assigned(options: Mapping[str, str], strategies: Mapping[str, Strategy], recipe: Recipe) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Which strategies, and whether the head, get each `-p` pair. Raises UsageError for a key that nobody knows."""
    texts: dict[str, dict[str, str]] = {name: {} for name in strategies}
    known = {name: set(plugins.options_of(strategy.run)) for name, strategy in strategies.items()}
    heads = [recipe.head] if recipe.head else ["softmax"]
    of_head = {key for head in heads for key in plugins.options_of(_family(head).fit)} - {"prior-precision", "start"}
    for_head: dict[str, str] = {}
    for key, text in options.items():
        owner, dot, name = key.rpartition(".")
        name = name.replace("_", "-")
        owners = [owner] if dot else [n for n in known if name in known[n]]
        if owner == "head" or (not dot and name in of_head):
            for_head[name] = text
        elif dot and owner not in texts:
            raise UsageError(f"-p {key}: '{owner}' is not among the strategies", hint=plugins.suggestion(owner, [*texts, "head"]))
        elif not owners:
            everything = sorted({k for keys in known.values() for k in keys} | of_head)
            raise UsageError(f"no strategy of this simulation has a parameter '{key}'", hint=plugins.suggestion(key, everything))
        for one in owners if owner != "head" else []:
            texts[one][name] = text
    return texts, for_head
