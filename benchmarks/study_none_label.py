"""What `--none-label` saves where a pool holds items that belong to no class.

Usage: python -m benchmarks.study_none_label [--data FOLDER] [--seeds N] [--rounds R] [--only SET]

A part of the classes is taken for junk: its rows stay in the pool, and an annotator says `none` of them. Both ways
begin with the same random rows and never ask for a row twice. `excluded`: rows that were called none are left out,
and no others. `--none-label`: candidates that look like such rows are left out too. The columns count the rows asked
for that are junk, the first random rows aside, and the accuracy of the last head on test rows that have a class; with
95% Student's t intervals over the seeds, of the paired difference too. banking77 is skipped where it is not at hand.
"""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np

import alcli
from alcli.arrays import Float64
from benchmarks.studies import BANKING77, DIGITS, begin, is_there
from benchmarks.study_suspect import Split, interval
from benchmarks.timing import table

NONE = -1
WAYS = ("excluded", "--none-label")
# (data set, classes that are junk, first random rows, rows of a round)
SETS = (("digits", 3, 30, 10), ("banking77", 20, 154, 77))


def main(data: Path, out: Path, seeds: int, rounds: int, only: str | None) -> None:
    warnings.simplefilter("ignore", alcli.AlcliWarning)
    rows = []
    for name, n_junk, first, batch in SETS:
        path = data / BANKING77 if name == "banking77" else DIGITS
        if only not in (None, name) or not is_there(path):
            continue
        for strategy in ("margin", "uherding"):
            found_SW2 = np.array(
                [
                    [asked(path, strategy, n_junk, first, batch, rounds, way, seed) for way in WAYS]
                    for seed in range(seeds)
                ]
            )
            rows += cells(name, strategy, batch * rounds, found_SW2)
    header = ["set", "strategy", "rows", "way", "junk rows", "95% interval", "accuracy %", "95% interval"]
    table([*header, "accuracy gained", "95% interval"], rows)


def asked(
    path: Path, strategy: str, n_junk: int, first: int, batch: int, rounds: int, way: str, seed: int
) -> tuple[int, float]:
    """The number of junk rows asked for, and the accuracy in the end."""
    split, rng = Split.of(path, seed), np.random.default_rng(seed)
    junk = rng.permutation(int(split.y.max()) + 1)[:n_junk]
    y = np.where(np.isin(split.y, junk), NONE, split.y)
    pool = alcli.pool(split.X, ids=np.arange(len(y)))
    labels = {int(row): str(y[row]) for row in rng.permutation(len(y))[:first]}
    n_none = 0
    for _ in range(rounds):
        classes = {row: label for row, label in labels.items() if label != str(NONE)}
        if way == "excluded":
            none = [row for row in labels if row not in classes]
            ids = alcli.select(pool, batch, strategy=strategy, labels=classes, exclude=none, seed=seed).ids
        else:
            ids = alcli.select(pool, batch, strategy=strategy, labels=labels, none_label=str(NONE), seed=seed).ids
        n_none += int((y[ids] == NONE).sum())
        labels |= {int(row): str(y[row]) for row in ids}
    head = alcli.fit_head(pool, labels, none_label=str(NONE))
    has_class = ~np.isin(split.y_test, junk)
    predicted = np.array(head.predict(split.X_test[has_class])).astype(np.int64)
    return n_none, float((predicted == split.y_test[has_class]).mean())


def cells(name: str, strategy: str, n: int, found_SW2: Float64) -> list[list[str]]:
    """A row of the table for each way."""
    gained = 100 * (found_SW2[:, 1, 1] - found_SW2[:, 0, 1])
    rows = []
    for w, way in enumerate(WAYS):
        junk, accuracy = found_SW2[:, w, 0], 100 * found_SW2[:, w, 1]
        row = [name, strategy, str(n), way, f"{junk.mean():.1f}", interval(junk, 0), f"{accuracy.mean():.1f}"]
        rows.append(
            [*row, interval(accuracy, 0, 100), *([f"{gained.mean():+.1f}", interval(gained)] if w else ["", ""])]
        )
    return rows


if __name__ == "__main__":
    begin(
        main,
        __doc__,
        seeds={"type": int, "default": 5},
        rounds={"type": int, "default": 5},
        only={"choices": ("banking77", "digits")},
    )
