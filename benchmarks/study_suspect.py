"""How many wrong labels `query -s suspect` finds, and what it brings to correct them.

Usage: python -m benchmarks.study_suspect [--data FOLDER] [--seeds N] [--only SET]

A tenth of the labels is given another class, drawn at random. `found` is the share of the wrong labels among the first
tenth that suspect asks about. These are then given their true class; `regained` is the share of the accuracy lost that
a head fitted to the labels has back. Accuracy is that of the plain head on test rows.

random: the labelled rows are a random sample. uherding: a fifth of them maxherding chose, the others uherding.
The pool has the labelled rows and as many others as make `POOL` rows. Intervals are 95% Student's t over the seeds; the
interval of the ratio `regained` is by the jackknife. banking77 is skipped where it is not at hand.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import alcli
from alcli.arrays import Array, Float64
from alcli.data.pool import open_pool
from benchmarks.studies import BANKING77, DIGITS, begin, is_there
from benchmarks.timing import table

POOL, WRONG = 4000, 0.1
# (data set, how the labelled rows were chosen, their number)
SETS = (
    ("banking77", "random", 1000),
    ("banking77", "random", 385),
    ("banking77", "uherding", 385),
    ("digits", "random", 200),
    ("digits", "random", 50),
    ("digits", "uherding", 50),
)


@dataclass(frozen=True)
class Split:
    """A pool of rows with true classes y, whose numbers are their ids, and test rows."""

    X: Array
    y: Array
    X_test: Array
    y_test: Array

    @classmethod
    def of(cls, path: Path, seed: int) -> Split:
        """Draw at most POOL rows of the pool that are no test rows."""
        pool = open_pool(str(path))
        column = pool.labels()
        assert column is not None
        X, y = pool.take(np.arange(pool.n)), np.unique(np.array(column.to_pylist()), return_inverse=True)[1]
        rows = np.random.default_rng(seed).permutation(np.flatnonzero(~pool.is_test))[:POOL]
        return cls(X[rows], y[rows], X[pool.is_test], y[pool.is_test])


def main(data: Path, out: Path, seeds: int, only: str | None) -> None:
    warnings.simplefilter("ignore", alcli.AlcliWarning)
    rows = []
    for name, how, n in SETS:
        path = data / BANKING77 if name == "banking77" else DIGITS
        if only in (None, name) and is_there(path):
            rows.append([name, how, str(n), *cells([measured(path, how, n, seed) for seed in range(seeds)])])
    header = ["set", "chosen", "labels", "found %", "95% interval", "clean %", "wrong %", "corrected %"]
    table([*header, "regained %", "95% interval"], rows)


def measured(path: Path, how: str, n: int, seed: int) -> Float64:
    """The share found, and the accuracies with clean, wrong and corrected labels."""
    split, rng = Split.of(path, seed), np.random.default_rng([seed, n])
    pool = alcli.pool(split.X, ids=np.arange(len(split.X)))
    rows = rng.permutation(len(split.X))[:n] if how == "random" else chosen(pool, split, n, seed)
    wrong = rng.permutation(rows)[: round(WRONG * n)]
    given = split.y.copy()
    given[wrong] = (given[wrong] + rng.integers(1, split.y.max() + 1, len(wrong))) % (split.y.max() + 1)
    suspects = alcli.select(pool, len(wrong), strategy="suspect", labels=labels(rows, given), seed=seed).ids
    corrected = given.copy()
    corrected[suspects] = split.y[suspects]
    found = np.isin(wrong, suspects).mean()
    return np.array([found, *(accuracy(pool, split, labels(rows, y)) for y in (split.y, given, corrected))])


def chosen(pool: Any, split: Split, n: int, seed: int) -> Array:
    """Rows that maxherding and then uherding choose, under true labels."""
    first = alcli.select(pool, n // 5, strategy="maxherding", seed=seed).ids
    more = alcli.select(pool, n - n // 5, strategy="uherding", labels=labels(first, split.y), seed=seed).ids
    return np.array([*first, *more])


def labels(rows: Any, y: Array) -> dict[int, int]:
    return {int(row): int(y[row]) for row in rows}


def accuracy(pool: Any, split: Split, given: dict[int, int]) -> float:
    """The accuracy on test rows of a plain head fitted to the labels; a class that it does not know is wrong."""
    predicted = alcli.fit_head(pool, given).predict(split.X_test)
    return float((np.array(predicted).astype(np.int64) == split.y_test).mean())


def cells(measured: list[Float64]) -> list[str]:
    """The means in per cent, and the intervals of the share found and of the accuracy regained."""
    found_S, clean_S, wrong_S, corrected_S = 100 * np.stack(measured).T

    def regained(kept: Array) -> float:
        lost = (clean_S[kept] - wrong_S[kept]).mean()
        return float(100 * (corrected_S[kept] - wrong_S[kept]).mean() / lost)

    everything = np.arange(len(found_S))
    # The pseudo-values of the jackknife.
    n = len(everything)
    pseudo = (
        [n * regained(everything) - (n - 1) * regained(np.delete(everything, s)) for s in everything] if n > 1 else []
    )
    means = [f"{values.mean():.1f}" for values in (clean_S, wrong_S, corrected_S)]
    return [
        f"{found_S.mean():.1f}",
        interval(found_S, 0, 100),
        *means,
        f"{regained(everything):.0f}",
        interval(np.array(pseudo)),
    ]


def interval(values: Array, least: float = -np.inf, most: float = np.inf) -> str:
    """Student's 95% interval of a mean, cut at the least and the most possible value; one value has none."""
    if len(values) < 2:
        return "none: one seed"
    half = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / len(values) ** 0.5
    return f"{max(values.mean() - half, least):.1f} to {min(values.mean() + half, most):.1f}"


if __name__ == "__main__":
    begin(main, __doc__, seeds={"type": int, "default": 5}, only={"choices": ("banking77", "digits")})
