"""The evidence in docs/strategies.md for what `-s auto` takes when, and for the defaults of bait and uherding.

Usage: python -m benchmarks.study_auto [--data FOLDER] [--out DIR] [--only PART]. About 50 minutes on one core with
banking77, which is skipped where it is not at hand. The parts:

- cold: the first batch, chosen without a label, of a random 80% of the pool (digits, banking77);
- batch: one batch on top of some labels a class, which are random, or were chosen by maxherding and then uherding, as
  auto does (digits, banking77);
- numbers: labels that are numbers (auto_numbers.py);
- rare: pools of which 3.8% are what one looks for (auto_rare.py);
- aims: the option of `relevance` on such pools (auto_aims.py);
- defaults: tables of `alcli simulate` for bait and uherding under other options, with few labels and with many (digits,
  banking77).

cold and batch are in points of accuracy, each with half of a 95% interval over the seeds. Stopped, it goes on when
--out is the same.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from alcli import plugins
from alcli.arrays import Array, Int64
from alcli.data.pool import open_pool
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads._model import Model
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.view import View
from alcli.simulation.contenders import contender
from alcli.simulation.metrics import evaluate, predictions
from alcli.simulation.oracle import Oracle
from alcli.simulation.plan import BASELINE, Cell, initial_rng, selection_seed
from alcli.simulation.round import RoundState
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate.truth import truth_of
from benchmarks.auto_aims import aims
from benchmarks.auto_numbers import mean_and_half, numbers
from benchmarks.auto_rare import rare
from benchmarks.studies import BANKING77, DIGITS, begin, compare, is_there
from benchmarks.timing import table

COLD = [BASELINE, "kmeans", "coreset", "typiclust", "probcover", "maxherding"]
ON_RANDOM = [BASELINE, "margin", "badge", "bait", "typiclust", "maxherding", "uherding", "tcm"]
ON_CHOSEN = [BASELINE, "margin", "badge", "bait", "maxherding", "uherding"]
SHARE = 0.8  # of the pool that a first batch is chosen from, so that what does not draw has an interval too
FIRST = {"digits": (10, 30), "banking77": (77, 231)}
STEPS = {
    "digits": ((10, 10), (30, 20), (100, 30), (300, 50)),
    "banking77": ((77, 77), (231, 77), (770, 231), (2310, 462)),
}  # labels, batch
SEEDS = 10
LOW = {"digits": {"n": 10, "rounds": 5, "initial": 20}, "banking77": {"n": 77, "rounds": 2, "initial": 77}}
HIGH = {"digits": {"n": 20, "rounds": 5, "initial": 150}, "banking77": {"n": 231, "rounds": 1, "initial": 770}}
BAIT = {
    "trace=bait": ["trace.weight=trace"],
    "binary=bait": ["binary.weight=binary"],
    "prior1=bait": ["prior1.prior=1"],
    "published=bait": ["published.weight=binary", "published.prior=1"],
    "forward1=bait": ["forward1.forward=1"],
}
FULL = {"full=bait": ["full.likelihood=full"]}  # where it is small
UHERDING = {
    "radius=uherding": ["radius.radius=published"],
    "h0-7=uherding": ["h0-7.h=0.7"],
    "h1-4=uherding": ["h1-4.h=1.4"],
}


@dataclass(frozen=True)
class Known:
    """A pool whose labels are known: y_N int64 classes; test and askable: row numbers."""

    source: ArraySource
    y_N: Array
    test: Int64
    askable: Int64
    n_classes: int

    def fit(self, rows: Int64, seed: int, start: Model | None = None) -> Model:
        spec = replace(Recipe().checked().spec(regression=False), seed=seed)
        data = Training(self.source.take(rows), self.y_N[rows], np.ones(len(rows)), self.n_classes)
        return fit(data, spec, start=start, tune_update=False)

    def accuracy(self, model: Model) -> float:
        """In points."""
        return 100 * evaluate(self.y_N[self.test], predictions(model, self.source.take(self.test)))["accuracy"]

    def batch(self, name: str, labelled: Int64, model: Model, k: int, seed: int) -> Int64:
        """What a strategy chooses next, as in `alcli simulate`."""
        oracle = Oracle(self.y_N, self.askable)
        oracle.ask(labelled)
        state = RoundState(self.source, oracle, model, self.n_classes, np.empty(0, np.int64))
        return contender(name).choose(state, k, selection_seed(Cell(name, seed), len(labelled)), {}).rows_K

    def first_batch(self, name: str, candidates: Int64, k: int, seed: int) -> Int64:
        """What a strategy chooses without a label and without a head, as `alcli query` does."""
        view = View(self.source, candidates, np.empty(0, np.int64))
        return select(plugins.strategy(name), view, k, seed=selection_seed(Cell(name, seed), 0), options={}).rows_K


def known(path: Path) -> Known:
    pool = open_pool(str(path))
    truth = truth_of(pool, None)
    rows = np.arange(pool.n)
    assert truth.n_classes is not None
    return Known(
        ArraySource(pool.take(rows), pool.ids.keys(rows)),
        truth.y_N,
        truth.test,
        np.setdiff1d(truth.used, truth.test),
        truth.n_classes,
    )


def cold(pool: Known, sizes: Sequence[int], seed: int) -> dict[str, list[float]]:
    """Per strategy, the accuracy after a first batch of each size."""
    part = np.sort(initial_rng(seed).permutation(pool.askable)[: int(SHARE * len(pool.askable))])
    return {
        name: [pool.accuracy(pool.fit(pool.first_batch(name, part, k, seed), seed)) for k in sizes] for name in COLD
    }


def on_random(pool: Known, steps: Sequence[tuple[int, int]], seed: int) -> dict[str, list[float]]:
    """Per strategy, the accuracy after a batch on top of random labels; steps: (labels, batch)."""
    order = initial_rng(seed).permutation(pool.askable)
    return _one_batch(pool, seed, steps, ON_RANDOM, lambda labelled, model, m: order[:m])


def on_chosen(pool: Known, steps: Sequence[tuple[int, int]], seed: int) -> dict[str, list[float]]:
    """The same on top of labels that maxherding, and from the second step uherding, chose from a random 80% of the
    pool.
    """
    part = np.sort(initial_rng(seed).permutation(pool.askable)[: int(SHARE * len(pool.askable))])
    pool = replace(pool, askable=part)

    def grown(labelled: Int64, model: Model | None, m: int) -> Int64:
        if model is None:
            return pool.first_batch("maxherding", part, m, seed)
        return np.concatenate([labelled, pool.batch("uherding", labelled, model, m - len(labelled), seed)])

    return _one_batch(pool, seed, steps, ON_CHOSEN, grown)


def _one_batch(
    pool: Known,
    seed: int,
    steps: Sequence[tuple[int, int]],
    names: Sequence[str],
    grown: Callable[[Int64, Model | None, int], Int64],
) -> dict[str, list[float]]:
    labelled, model = np.empty(0, np.int64), None
    found: dict[str, list[float]] = {name: [] for name in ["before", *names]}
    for m, k in steps:
        labelled = grown(labelled, model, m)
        model = pool.fit(labelled, seed, model)
        found["before"].append(pool.accuracy(model))
        for name in names:
            rows = np.concatenate([labelled, pool.batch(name, labelled, model, k, seed)])
            found[name].append(pool.accuracy(pool.fit(rows, seed, model)))
    return found


def seeds_of(run: Callable[[int], dict[str, list[float]]], folder: Path) -> dict[str, Array]:
    """Per strategy, accuracies of all seeds and steps, [S, P]; a seed that is in the folder is not run again."""
    folder.mkdir(parents=True, exist_ok=True)
    results = []
    for seed in range(SEEDS):
        file = folder / f"seed-{seed}.json"
        if not file.exists():
            file.write_text(json.dumps(run(seed)))
        results.append(json.loads(file.read_text()))
    return {name: np.array([result[name] for result in results]) for name in results[0]}


def show(title: str, columns: Sequence[str], values_SP: Mapping[str, Array]) -> None:
    """random's accuracy, and by how much the others differ from it, seed by seed; where it took part, by how much
    uherding is ahead of whom.
    """
    print(f"\n{title}")
    rows = []
    for name, accuracy_SP in values_SP.items():
        own = name in ("before", BASELINE)
        rows.append(
            [
                name,
                *(
                    [f"{mean:.1f}" for mean in accuracy_SP.mean(axis=0)]
                    if own
                    else _gains(accuracy_SP - values_SP[BASELINE])
                ),
            ]
        )
    if "uherding" in values_SP:
        rows += [
            [f"uherding - {name}", *_gains(values_SP["uherding"] - values_SP[name])]
            for name in ("maxherding", "bait", "margin")
        ]
    table(["", *columns], rows)


def _gains(difference_SP: Array) -> list[str]:
    """Mean and half an interval, per column."""
    return [mean_and_half(difference_S) for difference_S in difference_SP.T]


def first_batches(name: str, pool: Known, out: Path) -> None:
    sizes = FIRST[name]
    values = seeds_of(partial(cold, pool, sizes), out / f"{name}-cold")
    show(f"{name}: accuracy after a first batch, {SEEDS} seeds", [str(k) for k in sizes], values)


def one_more_batch(name: str, pool: Known, out: Path) -> None:
    steps = STEPS[name]
    for what, run in (("random", on_random), ("chosen", on_chosen)):
        values = seeds_of(partial(run, pool, steps), out / f"{name}-{what}")
        columns = [f"{m} + {k}" for m, k in steps]
        show(f"{name}: accuracy with one batch on top of {what} labels, {SEEDS} seeds", columns, values)


def defaults(name: str, path: Path, out: Path) -> None:
    variants = BAIT | (FULL if name == "digits" else {}) | UHERDING
    for budget, sizes in (("low", LOW[name]), ("high", HIGH[name])):
        print(f"\n{name}: {sizes['initial']} labels, {sizes['n']} a round, {sizes['rounds']} rounds, {SEEDS} seeds")
        compare(path, out / f"{name}-{budget}", ["bait", "uherding"], variants, seeds=SEEDS, metric="accuracy", **sizes)


def main(data: Path, out: Path, only: str | None) -> None:
    for name, path in (("digits", DIGITS), ("banking77", data / BANKING77)):
        if not is_there(path):
            continue
        if only in (None, "cold"):
            first_batches(name, known(path), out)
        if only in (None, "batch"):
            one_more_batch(name, known(path), out)
        if only in (None, "defaults"):
            defaults(name, path, out)
    if only in (None, "numbers"):
        numbers(data, out / "numbers", SEEDS)
    if only in (None, "rare"):
        rare(data, out / "rare", SEEDS)
    if only in (None, "aims"):
        aims(data, out / "aims", SEEDS)


if __name__ == "__main__":
    parts = ("cold", "batch", "numbers", "rare", "aims", "defaults")
    begin(main, __doc__, only={"choices": parts, "help": "one part"})
