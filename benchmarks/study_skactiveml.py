"""The study "Beside scikit-activeml" of docs/strategies.md: is a strategy of ours any worse than the one of the same
name there?

Both play active learning from the same labels, on the same splits and with the same head; only the selection differs
(skactiveml_peers.py says how each is asked). Accuracy is the mean height of the learning curve, differences are taken
seed by seed, p is that of a paired t-test, adjusted by Holm 1979 for the number of strategies of a data set.
Usage: python -m benchmarks.study_skactiveml [--data FOLDER] [--out DIR] [--only NAME]. A quarter of an hour on one
core, nearly all of it theirs; banking77 is skipped where it is not at hand. Stopped, it goes on when --out is the
same.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import ttest_1samp
from threadpoolctl import threadpool_limits

from alcli.arrays import Array, Int64
from alcli.data.pool import open_pool
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads._model import Model
from alcli.report.summary import paired_interval
from alcli.selection.source import ArraySource
from alcli.simulation.bench import Bench
from alcli.simulation.contenders import Contender, contender
from alcli.simulation.metrics import evaluate
from alcli.simulation.oracle import Oracle
from alcli.simulation.plan import Cell, Plan, selection_seed
from alcli.simulation.round import RoundState
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate.truth import truth_of
from benchmarks.skactiveml_peers import PAIRS, Pair
from benchmarks.studies import BANKING77, DIGITS, begin, is_there

PRIOR = 0.01
LEVEL = 0.05
SIDES = ("ours", "theirs")


@dataclass(frozen=True)
class Setting:
    """rows: so many of the pool, drawn once for all seeds, 0 for all."""

    name: str
    rows: int
    batch: int
    rounds: int
    seeds: int


SETTINGS = (Setting("digits", 0, 20, 8, 10), Setting("banking77", 1200, 77, 4, 10))


@dataclass(frozen=True)
class Run:
    """One curve. accuracy_P: on the test rows after every fit. rows: that were picked, by round. seconds: a query."""

    accuracy_P: list[float]
    rows: list[list[int]]
    seconds: float

    @property
    def area(self) -> float:
        return float(np.trapezoid(self.accuracy_P) / (len(self.accuracy_P) - 1))


class Fits:
    """Heads fitted in the rounds of one seed. Where both sides have chosen the same rows so far, they share the fit."""

    def __init__(self, bench: Bench, seed: int) -> None:
        self._bench, self._spec = bench, replace(bench.plan.spec, seed=seed)
        test, self.askable = bench.split(seed)
        self._X_test, self._y_test = bench.source.take(test), bench.y_N[test]
        self._known: dict[bytes, tuple[Model, float]] = {}

    def fit(self, labelled: Int64, start: Model | None) -> tuple[Model, float]:
        """(the head, its accuracy on the test rows). Rows in their own order, which is not the one they were picked
        in.
        """
        rows = np.sort(labelled)
        key = rows.tobytes()
        if key not in self._known:
            data = Training(
                self._bench.source.take(rows), self._bench.y_N[rows], np.ones(len(rows)), self._bench.n_classes
            )
            model = fit(data, self._spec, start=start, tune_update=False)
            self._known[key] = model, evaluate(model, self._X_test, self._y_test)["accuracy"]
        return self._known[key]


def play(bench: Bench, cell: Cell, who: Contender, options: Any, fits: Fits) -> Run:
    """What `alcli simulate` does in a cell, for any contender."""
    oracle = Oracle(bench.y_N, fits.askable)
    oracle.ask(bench.initial(cell.seed, fits.askable))
    model, accuracy_P, rows, seconds = None, [], [], 0.0
    for number in range(bench.plan.rounds + 1):
        model, accuracy = fits.fit(oracle.labelled, model)
        accuracy_P.append(accuracy)
        if number < bench.plan.rounds:
            state = RoundState(bench.source, oracle, model, bench.n_classes, judges=oracle.labelled[:0])
            start = time.perf_counter()
            chosen = who.choose(state, bench.plan.batch, selection_seed(cell, number), options)
            seconds += (time.perf_counter() - start) / bench.plan.rounds
            rows.append(chosen.rows_K.tolist())
    return Run(accuracy_P, rows, seconds)


def play_side(bench: Bench, pair: Pair, side: str, seed: int, fits: Fits) -> Run:
    """One seed of one side; both are given the same seed of selection, so that they look at the same draws of the
    posterior.
    """
    ours = contender(pair.name)
    who = ours if side == "ours" else Contender(pair.name, pair.peer, (), {})
    return play(bench, Cell(pair.name, seed), who, ours.parse(pair.options) if side == "ours" else {}, fits)


def bench_of(path: Path, setting: Setting) -> Bench:
    """The pool of a setting in memory; the head is softmax regression with a Laplace posterior."""
    pool = open_pool(str(path))
    truth = truth_of(pool, None)
    rest = truth.used[~np.isin(truth.used, truth.test)]
    drawn = np.random.default_rng(0).permutation(len(rest))[: setting.rows or None]
    usable = pool.sorted_by_id(np.concatenate([truth.test, rest[drawn]]))
    source = ArraySource(pool.take(np.arange(pool.n)), pool.ids.keys(np.arange(pool.n)))
    plan = Plan(
        tuple(pair.name for pair in PAIRS),
        setting.seeds,
        setting.batch,
        setting.rounds,
        setting.batch,
        Recipe(prior_precision=PRIOR).spec(regression=False),
    )
    return Bench(source, truth.y_N, usable, truth.test, truth.n_classes, plan)


def holm(p_T: Sequence[float]) -> list[float]:
    """p-values adjusted so that the chance of any false discovery among them keeps below the level."""
    order, T = np.argsort(p_T, kind="stable"), len(p_T)
    steps = np.maximum.accumulate([min(1.0, (T - i) * p_T[t]) for i, t in enumerate(order)])
    return [float(steps[np.flatnonzero(order == t)[0]]) for t in range(T)]


def p_value(differences_S: Array) -> float:
    """Of a mean of 0; 1 where every difference is 0."""
    return 1.0 if not differences_S.any() else float(ttest_1samp(differences_S, 0.0).pvalue)


def verdict(difference: float, adjusted: float) -> str:
    return "level" if adjusted >= LEVEL else "better" if difference > 0 else "worse"


def shared(ours: Run, theirs: Run) -> float:
    """The share of the rows that one picked over all rounds that the other picked too."""
    a, b = (np.concatenate(run.rows) for run in (ours, theirs))
    return float(np.isin(a, b).mean())


def report(setting: Setting, runs: dict[str, dict[str, list[Run]]]) -> None:
    """One line a pair, as Markdown."""
    areas = {
        name: [100 * np.array([run.area for run in sides[side]]) for side in SIDES] for name, sides in runs.items()
    }
    p_T = [p_value(ours_S - theirs_S) for ours_S, theirs_S in areas.values()]
    rows, theirs = [], {pair.name: pair.theirs for pair in PAIRS}
    for (name, (ours_S, theirs_S)), p, adjusted in zip(areas.items(), p_T, holm(p_T)):
        mean, low, high = paired_interval(ours_S - theirs_S)
        same = np.mean([shared(*two) for two in zip(*(runs[name][side] for side in SIDES))])
        seconds = [np.mean([run.seconds for run in runs[name][side]]) for side in SIDES]
        rows.append(
            (
                name,
                theirs[name],
                str(len(ours_S)),
                f"{ours_S.mean():.1f}",
                f"{theirs_S.mean():.1f}",
                f"{mean:+.2f}",
                f"{low:+.2f} to {high:+.2f}",
                f"{p:.3f}",
                f"{adjusted:.2f}",
                f"{100 * same:.0f}",
                *(f"{s:.3f}" for s in seconds),
                verdict(mean, adjusted),
            )
        )
    print(
        f"\n{setting.name}: {setting.batch} labels and {setting.batch} a round, "
        f"{setting.rounds} rounds, {setting.seeds} seeds\n"
    )
    header = (
        "strategy",
        "of scikit-activeml",
        "seeds",
        "ours %",
        "theirs %",
        "difference",
        "95% interval",
        "p",
        "Holm p",
        "same picks %",
        "s a query",
        "theirs s",
        "verdict",
    )
    for row in (header, ("---", "---", *["---:"] * 10, "---"), *rows):
        print("| " + " | ".join(row) + " |", flush=True)


def study(setting: Setting, path: Path, out: Path) -> None:
    bench = bench_of(path, setting)
    pairs = [pair for pair in PAIRS if setting.name not in pair.skipped]
    runs: dict[str, dict[str, list[Run]]] = {pair.name: {side: [] for side in SIDES} for pair in pairs}
    for pair in PAIRS:
        if setting.name in pair.skipped:
            print(f"{setting.name} {pair.name}: skipped, {pair.skipped[setting.name]}", flush=True)
    for seed in range(setting.seeds):
        fits = Fits(bench, seed)
        for pair in pairs:
            for side in SIDES:
                runs[pair.name][side].append(
                    _kept(out / setting.name / pair.name / f"{side}-{seed}.json", bench, pair, side, seed, fits)
                )
            ours, theirs = (100 * runs[pair.name][side][-1].area for side in SIDES)
            print(f"{setting.name}, seed {seed}, {pair.name}: {ours:.2f}, {pair.theirs}: {theirs:.2f}", flush=True)
    report(setting, runs)


def _kept(path: Path, bench: Bench, pair: Pair, side: str, seed: int, fits: Fits) -> Run:
    """A run from its file, made and kept there if it is not."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        with threadpool_limits(1):
            run = play_side(bench, pair, side, seed, fits)
        path.with_suffix(".part").write_text(json.dumps(vars(run)))
        path.with_suffix(".part").rename(path)
    return Run(**json.loads(path.read_text()))


def main(data: Path, out: Path, only: str | None) -> None:
    warnings.filterwarnings("ignore")  # of scikit-activeml and scikit-learn: of purity, and of fits that are not theirs
    paths = {"digits": DIGITS, "banking77": data / BANKING77}
    for setting in SETTINGS:
        if only in (None, setting.name) and is_there(paths[setting.name]):
            study(setting, paths[setting.name], out)


if __name__ == "__main__":
    begin(main, __doc__, only={"choices": [setting.name for setting in SETTINGS], "help": "one data set"})
