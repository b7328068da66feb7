"""How the automatic prior precision of the softmax head compares with every fixed one.

Usage: python -m benchmarks.study_prior [--data FOLDER] [--seeds N]. Draws labels at random from each data set: 1 to 50
a class, with all classes as frequent as they are in the data, or with frequencies that follow Zipf's law. Fits the head
with the automatic precision and with each precision of a grid around its default, and prints the accuracy on the test
rows of the classes that the labels show. A fixed precision is a multiple of the default of alcli/heads/_prior.py, which
follows the scale of the features. About 6 minutes on one core with 5 seeds.

The data sets: banking77 (skipped where it is not at hand), ten and two of its classes, the digits, wine and breast
cancer as scikit-learn has them (standardised columns), and Gaussian and scikit-learn's synthetic classes, of 2 to 150
classes, from separable to hardly so. `x30` has its features times 30.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.preprocessing import StandardScaler

from alcli.arrays import Array, Float64
from alcli.data.pool import open_pool
from alcli.errors import DataError
from alcli.heads._contract import Head, Training
from alcli.heads._prior import default_prior
from alcli.heads.softmax import softmax
from alcli.workflows.simulate.truth import truth_of
from benchmarks.studies import BANKING77, begin, is_there
from benchmarks.timing import table

STEPS = np.arange(-6, 7)  # half decades from the default
PER_CLASS = (1, 2, 3, 5, 10, 20, 50)
MOST_LABELS, FEWEST_LABELS, MOST_TEST = 1000, 4, 1500
Rows = tuple[Float64, Array]


def main(data: Path, out: Path, seeds: int) -> None:
    """Print the tables. out: not used."""
    fixed = {step: f"x{10.0 ** (step / 2):.3g}" for step in STEPS}
    every: list[Float64] = []
    table_rows = []
    for name, rows in data_sets(data):
        cells = [cell for what in settings(rows) if (cell := accuracies(rows, *what, seeds)) is not None]
        mean = np.mean(cells, axis=0)
        every += cells
        table_rows.append([name, len(cells), *shown(mean[None])[0], f"{worst_case(cells):+.1f}"])
    print(
        f"accuracy %, mean over the settings of a data set, {seeds} seeds each; auto and fixed multiples of the default"
    )
    columns = ["", "settings", "auto", "best fixed", "which", "auto - best", "auto - default", "worst setting"]
    table(columns, table_rows)
    mean = np.mean([cell.mean(axis=0) if cell.ndim > 1 else cell for cell in every], axis=0)
    print("\nmean accuracy % over all settings of all data sets")
    table(["auto", *fixed.values()], [[f"{v:.2f}" for v in mean]])


def shown(cells: Float64) -> list[list[str]]:
    """Of accuracies [S, 1 + steps]: auto, the best fixed step, its multiple, and differences of auto to it."""
    mean = cells.mean(axis=0)
    best = int(np.nanargmax(mean[1:]))
    default = mean[1 + int(np.flatnonzero(STEPS == 0)[0])]
    multiple = f"x{10.0 ** (STEPS[best] / 2):.3g}"
    return [
        [
            *(f"{v:.1f}" for v in (mean[0], mean[1 + best])),
            multiple,
            *(f"{mean[0] - v:+.2f}" for v in (mean[1 + best], default)),
        ]
    ]


def worst_case(cells: list[Float64]) -> float:
    """The setting in which auto is furthest below the default: auto minus default."""
    default = 1 + int(np.flatnonzero(STEPS == 0)[0])
    return min(float(cell[0] - cell[default]) for cell in cells)


def settings(rows: Rows) -> Iterator[tuple[int, bool]]:
    """(labels a class, whether frequencies follow Zipf's law)."""
    C = int(rows[1].max()) + 1
    for per_class in PER_CLASS:
        if FEWEST_LABELS <= per_class * C <= min(MOST_LABELS, len(rows[1]) // 2):
            yield per_class, False
            yield per_class, True


def accuracies(rows: Rows, per_class: int, zipf: bool, seeds: int) -> Float64 | None:
    """Mean accuracies of auto and of each fixed precision, in points; None where no seed shows two classes."""
    found = [one for seed in range(seeds) if (one := accuracy(rows, per_class, zipf, seed)) is not None]
    return 100 * np.mean(found, axis=0) if found else None


def accuracy(rows: Rows, per_class: int, zipf: bool, seed: int) -> Float64 | None:
    """The accuracies of auto and of each fixed precision with one draw of labels."""
    X_ND, y_N = rows
    rng, C = np.random.default_rng((seed, per_class)), int(y_N.max()) + 1
    order = rng.permutation(len(y_N))
    if zipf:
        order = order[rng.random(len(order)) < (1.0 / (1.0 + rng.permutation(C)))[y_N[order]]]
    test, pool = order[: min(len(order) // 3, MOST_TEST)], order[min(len(order) // 3, MOST_TEST) :]
    labelled = pool[: per_class * C]
    classes, y_L = np.unique(y_N[labelled], return_inverse=True)
    test = test[np.isin(y_N[test], classes)]
    if len(classes) < 2 or not len(test):
        return None
    data = Training(X_ND[labelled], y_L.astype(np.int64), np.ones(len(y_L)), len(classes))
    y_T = np.searchsorted(classes, y_N[test])
    default, head = default_prior(data.X_LD, data.weights_L), softmax(data)
    values = [_right(head, X_ND[test], y_T)]
    for step in STEPS:
        try:
            values.append(_right(softmax(data, float(default * 10.0 ** (step / 2))), X_ND[test], y_T))
        except DataError:
            values.append(np.nan)
    return np.array(values)


def _right(head: Head, X_TD: Float64, y_T: Array) -> float:
    return float((head.logits(X_TD).argmax(axis=1) == y_T).mean())


def data_sets(data: Path) -> Iterator[tuple[str, Rows]]:
    """(name, rows) of every data set."""
    if is_there(data / BANKING77):
        pool = open_pool(str(data / BANKING77))
        truth = truth_of(pool, None)
        banking = np.asarray(pool.take(truth.used), np.float64), truth.y_N[truth.used]
        yield "banking77", banking
        yield "banking77 x30", (30 * banking[0], banking[1])
        yield "banking77, 10 classes", _only(banking, np.arange(5, 75, 7))
        yield "banking77, 2 classes", _only(banking, np.array([3, 9]))
    digits = load_digits()
    yield "digits", (digits.data, digits.target)
    for name, load in (("wine", load_wine), ("breast cancer", load_breast_cancer)):
        X_ND, y_N = load(return_X_y=True)
        yield name, (StandardScaler().fit_transform(X_ND), y_N)
    for C, D, distance, seed in ((150, 64, 0.9, 1), (20, 256, 0.25, 2), (5, 32, 0.35, 3), (2, 100, 0.15, 4)):
        yield f"Gaussian, {C} classes", gaussian(C, D, distance, seed)
    for C, D, informative, flip, distance, seed in (
        (2, 50, 5, 0.2, 0.8, 5),
        (4, 30, 8, 0.1, 0.8, 6),
        (10, 200, 12, 0.05, 1.0, 7),
    ):
        X_ND, y_N = make_classification(
            6000,
            D,
            n_informative=informative,
            n_redundant=0,
            n_classes=C,
            n_clusters_per_class=2 if C < 5 else 1,
            flip_y=flip,
            class_sep=distance,
            random_state=seed,
        )
        yield f"synthetic, {C} classes", (X_ND, y_N)


def gaussian(C: int, D: int, distance: float, seed: int) -> Rows:
    """6,000 rows of C classes with one covariance, whose axes differ in length."""
    rng = np.random.default_rng(seed)
    lengths_D = np.exp(0.7 * rng.normal(size=D))
    means_CD = 3.0 * distance * rng.normal(size=(C, D)) * lengths_D / np.sqrt(D)
    y_N = rng.integers(C, size=6000)
    return means_CD[y_N] + rng.normal(size=(6000, D)) * lengths_D, y_N


def _only(rows: Rows, classes: Array) -> Rows:
    kept = np.isin(rows[1], classes)
    return rows[0][kept], np.searchsorted(classes, rows[1][kept])


if __name__ == "__main__":
    begin(main, __doc__, seeds={"type": int, "default": 5})
