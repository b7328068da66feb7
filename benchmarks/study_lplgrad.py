"""The study of LPLgrad in docs/strategies.md: with and without the branch that predicts losses, at a low and a high
budget.

Usage: python -m benchmarks.study_lplgrad [--data FOLDER] [--out DIR] [--jobs J] [--only PART]. On the digits and on
banking77 (skipped where it is not at hand; about an hour on two cores with it), with an MLP head and the branch, the
same without it, and a linear head. Prints for each how good the strategies are and what a round takes (training and
choosing), what the branch adds at a third, half and all of the budget, and whether lplgrad and ent-gradnorm coincide.
`picks` looks at one batch of banking77: how sure the head is of its rows, and how many classes they show.
Stopped, it goes on when --out is the same.
"""

from __future__ import annotations

import csv
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import scipy.stats

import alcli
from alcli.arrays import Float64, Int64
from alcli.report.summary import paired_interval
from alcli.simulation.results import PHASES
from benchmarks.studies import BANKING77, DIGITS, JOBS, begin, is_there
from benchmarks.study_suspect import Split
from benchmarks.timing import table

PROTOCOLS = {
    "digits-low": {"initial": 20, "n": 20, "rounds": 9, "seeds": 5},
    "digits-high": {"initial": 100, "n": 100, "rounds": 5, "seeds": 5},
    "banking77-low": {"initial": 100, "n": 100, "rounds": 9, "seeds": 5},
    "banking77-high": {"initial": 500, "n": 500, "rounds": 5, "seeds": 3},
}
HEADS: Mapping[str, Mapping[str, Any]] = {
    "branch": {"head": "mlp", "aux_loss": True},
    "no-branch": {"head": "mlp"},
    "linear": {},
}
OTHERS = ["entropy", "coreset", "ent-gradnorm", "lplgrad"]
SHARES = {"1/3": 1 / 3, "1/2": 1 / 2, "all": 1.0}  # of the labels at the end
ABLATION = {
    "branch or not, under lplgrad": (("branch", "lplgrad"), ("no-branch", "lplgrad")),
    "branch or not, under random": (("branch", "random"), ("no-branch", "random")),
    "lplgrad against random": (("branch", "lplgrad"), ("branch", "random")),
    "learning-loss against random": (("branch", "learning-loss"), ("branch", "random")),
}


@dataclass(frozen=True)
class Run:
    """A finished simulation: the rows of its summary by strategy, and those of its curves."""

    summary: Mapping[str, Mapping[str, str]]
    curves: list[dict[str, Any]]

    @property
    def labels_P(self) -> Int64:
        return np.unique([row["n_labels"] for row in self.curves])

    def curve(self, strategy: str, metric: str = "accuracy") -> Float64:
        """One row a seed, [S, P]."""
        found = sorted((row["seed"], row["round"], row[metric]) for row in self.curves if row["strategy"] == strategy)
        return np.array([value for _, _, value in found]).reshape(-1, len(self.labels_P))

    def at(self, share: float, strategy: str) -> Float64:
        """The accuracy of each seed at a share of the labels, [S]; between two rounds on a straight line."""
        return np.array(
            [np.interp(share * self.labels_P[-1], self.labels_P, values_P) for values_P in self.curve(strategy)]
        )


def main(data: Path, out: Path, jobs: int, only: str | None) -> None:
    for name, sizes in PROTOCOLS.items():
        pool = DIGITS if name.startswith("digits") else data / BANKING77
        if only in (None, name) and is_there(pool):
            report(name, {head: played(pool, out / name / head, head, jobs=jobs, **sizes) for head in HEADS})
    if only in (None, "picks") and is_there(data / BANKING77):
        picks(data / BANKING77)


def picks(path: Path, n: int = 100, seeds: int = 5) -> None:
    """What batches of n rows look like to a head with the branch that learned from n random rows."""
    warnings.simplefilter("ignore", alcli.AlcliWarning)
    found: dict[str, list[tuple[float, int]]] = {strategy: [] for strategy in ("random", *OTHERS, "learning-loss")}
    unsure = []
    for seed in range(seeds):
        split, rng = Split.of(path, seed), np.random.default_rng(seed)
        pool = alcli.pool(split.X, ids=np.arange(len(split.y)))
        labels = {int(row): str(split.y[row]) for row in rng.permutation(len(split.y))[:n]}
        head = alcli.fit_head(pool, labels, head="mlp", options={"aux-loss": "true"}, seed=seed)
        probs_NC = head.predict_proba(pool)
        unsure.append(float(np.median(scipy.stats.entropy(probs_NC, axis=1)) / np.log(probs_NC.shape[1])))
        for strategy in found:
            ids = alcli.select(pool, n, strategy=strategy, head=head, seed=seed).ids
            found[strategy].append((float(probs_NC[ids].max(axis=1).mean()), len(np.unique(split.y[ids]))))
    print(
        f"\nbanking77: {n} rows chosen by a head of {n} random labels, means over {seeds} seeds; the median entropy of "
        f"all rows is {np.mean(unsure):.2f} log C"
    )
    rows = [(strategy, *np.mean(pairs, axis=0)) for strategy, pairs in found.items()]
    table(
        ("strategy", "mean confidence", "classes"),
        [(name, f"{sure:.2f}", f"{n_classes:.1f}") for name, sure, n_classes in rows],
    )


def played(pool: Path, out: Path, head: str, **sizes: int) -> Run:
    from alcli.cli.simulate import simulate

    simulate(
        str(pool),
        out,
        strategy=[*OTHERS, "learning-loss"] if head == "branch" else OTHERS,
        metric="accuracy",
        quiet=True,
        json=False,
        **HEADS[head],
        **sizes,
    )
    with open(out / "summary.csv", newline="", encoding="utf-8") as file:
        summary = {line["strategy"]: line for line in csv.DictReader(file)}
    return Run(summary, pq.read_table(out / "curves.parquet").to_pylist())


def report(name: str, runs: Mapping[str, Run]) -> None:
    labels_P, seeds = runs["branch"].labels_P, len(runs["branch"].curve("random"))
    print(
        f"\n{name}: {labels_P[0]} to {labels_P[-1]} labels, {seeds} seeds; "
        "mean accuracy over the curve in %, and against random"
    )
    side_by_side(runs, ("", "vs random"), heights)
    print(f"\n{name}: seconds of a round")
    side_by_side(runs, (": train", "query"), seconds)
    print(f"\n{name}: differences at shares of the {labels_P[-1]} labels, points of accuracy")
    ablate(runs)
    for head, run in runs.items():
        print(f"{name}, {head}: lplgrad and ent-gradnorm {coincidence(run)}")


def side_by_side(
    runs: Mapping[str, Run], columns: tuple[str, str], cells: Callable[[Run, str], tuple[str, ...]]
) -> None:
    """A table of two columns a head; a strategy that a head does not serve has none."""
    rows = []
    for strategy in runs["branch"].summary:
        found = (cells(run, strategy) if strategy in run.summary else ("", "") for run in runs.values())
        rows.append((strategy, *(cell for pair in found for cell in pair)))
    table(("strategy", *(text for head in runs for text in (head + columns[0], columns[1]))), rows)


def heights(run: Run, strategy: str) -> tuple[str, ...]:
    line = run.summary[strategy]
    against = (
        ""
        if not line["difference"]
        else shown(*(float(line[key]) for key in ("difference", "difference_low", "difference_high")))
    )
    return f"{100 * float(line['area']):.1f}", against


def seconds(run: Run, strategy: str) -> tuple[str, ...]:
    """Of a fit, and of a choice."""
    line, rounds = run.summary[strategy], len(run.labels_P) - 1
    return f"{float(line['seconds_fit']) / (rounds + 1):.3f}", f"{float(line['seconds_select']) / rounds:.3f}"


def ablate(runs: Mapping[str, Run]) -> None:
    rows = []
    for what, ((head, strategy), (other_head, other)) in ABLATION.items():
        pairs = ((runs[head].at(share, strategy), runs[other_head].at(share, other)) for share in SHARES.values())
        rows.append((what, *(shown(*paired_interval(one_S - other_S)) for one_S, other_S in pairs)))
    table(("difference", *SHARES), rows)


def coincidence(run: Run) -> str:
    """Whether two strategies have the same curves in every metric, and by how much they differ if not."""
    metrics = [name for name in run.curves[0] if name not in ("strategy", "seed", "round", *PHASES)]
    gaps = {
        metric: float(np.abs(run.curve("lplgrad", metric) - run.curve("ent-gradnorm", metric)).max())
        for metric in metrics
    }
    widest = max(gaps, key=lambda metric: gaps[metric])
    return "coincide" if gaps[widest] == 0.0 else f"differ, by {gaps[widest]:.2g} of {widest} at most"


def shown(mean: float, low: float | None, high: float | None) -> str:
    """Shares as points."""
    return (
        f"{100 * mean:+.1f}"
        if low is None or high is None
        else f"{100 * mean:+.1f} ({100 * low:+.1f} to {100 * high:+.1f})"
    )


if __name__ == "__main__":
    begin(main, __doc__, jobs=JOBS, only={"choices": (*PROTOCOLS, "picks"), "help": "one part"})
