"""How the automatic prior precision of the softmax head compares with every fixed one.

Usage: python -m benchmarks.study_prior [--data FOLDER] [--seeds N]. Draws labels at random from each data set: 1 to 50
a class and 500 at most, with all classes as frequent as they are in the data, or with frequencies that follow Zipf's
law. Fits the head with the automatic precision and with each precision of a grid around its default, and prints the
accuracy on the test rows of the classes that the labels show. A fixed precision is a multiple of the default of
alcli/heads/_prior.py, which follows the scale of the features. N draws of labels are made of each setting, 2 N of those
of at most 200 labels. About 10 minutes on one core with 20 seeds. Stopped, it goes on when --out is the same.

The first table has a line for each data set, the second the settings in which auto is furthest below the default. Half
of a 95% interval is over the draws, and is that of one setting alone: the worst of some 170 settings is worse by chance
than it is in the mean.

The data sets: banking77 (skipped where it is not at hand), ten and two of its classes, the digits, wine and breast
cancer as scikit-learn has them (standardised columns), and Gaussian and scikit-learn's synthetic classes, of 2 to 150
classes, from separable to hardly so. `x30` has its features times 30.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits, load_wine, make_classification
from sklearn.preprocessing import StandardScaler

from alcli.arrays import Array, Float64
from alcli.data.pool import open_pool
from alcli.heads._contract import Training
from alcli.heads._prior import choose_prior, default_prior
from alcli.heads.softmax import at_map
from alcli.workflows.simulate.truth import truth_of
from benchmarks.auto_numbers import mean_and_half
from benchmarks.studies import BANKING77, begin, is_there
from benchmarks.timing import table

STEPS = range(-6, 7)  # half decades from the default
DEFAULT = 1 + STEPS.index(0)  # its place behind auto
LOOSE = 1e-6  # tolerance of the fits
FEW, SHOWN = 200, 8
PER_CLASS = (1, 2, 3, 5, 10, 20, 50)
MOST_LABELS, FEWEST_LABELS, MOST_TEST = 500, 4, 1500
Rows = tuple[Float64, Array]


def main(data: Path, out: Path, seeds: int) -> None:
    """Print the tables. out: keeps the accuracies of every setting."""
    found = {}
    for name, rows in data_sets(data):
        cells = {what: _kept(out, name, rows, *what, seeds) for what in settings(rows)}
        found[name] = {what: values for what, values in cells.items() if len(values)}
    print(f"accuracy %, mean over the settings of a data set, {seeds} draws each, {2 * seeds} of at most {FEW} labels")
    columns = ("", "settings", "auto", "best fixed", "which", "auto - best", "auto - default", "worst setting")
    table(columns, [[name, len(cells), *summary(list(cells.values()))] for name, cells in found.items()])
    every = {(name, *what): values for name, cells in found.items() for what, values in cells.items()}
    gains = {what: values[:, 0] - values[:, DEFAULT] for what, values in every.items()}
    worst = sorted(gains, key=lambda what: float(gains[what].mean()))
    print("\nauto - default in the worst settings, with half of a 95% interval")
    header = ("", "labels a class", "frequencies", "draws", "default", "auto - default")
    table(header, [[*_setting(what), *_gain(every[what])] for what in worst[:SHOWN]])
    behind = [difference(list(cells.values())) for cells in found.values()]
    mean = np.mean([values.mean(axis=0) for values in every.values()], axis=0)
    below = sum(float(gain.mean()) < -1.0 for gain in gains.values())
    print(f"\nauto - best fixed: {np.mean(behind):+.2f} in the mean of the data sets, {min(behind):+.2f} in the worst")
    lowest = float(gains[worst[0]].mean())
    print(f"auto - default: below -1 in {below} of {len(gains)} settings, {lowest:+.2f} in the worst")
    print("\nmean accuracy % over all settings of all data sets")
    table(["auto", *(multiple(step) for step in STEPS)], [[f"{v:.2f}" for v in mean]])


def multiple(step: int) -> str:
    """The name of a fixed precision."""
    return f"x{10.0 ** (step / 2):.3g}"


def difference(cells: Sequence[Float64]) -> float:
    """Auto minus the fixed precision that is best for all cells [draws, 1 + steps] of a data set."""
    mean = np.mean([values.mean(axis=0) for values in cells], axis=0)
    return float(mean[0] - mean[1:].max())


def summary(cells: Sequence[Float64]) -> list[str]:
    """Of cells [draws, 1 + steps]: auto, the best fixed precision and its name, auto less others, the worst cell."""
    mean = np.mean([values.mean(axis=0) for values in cells], axis=0)
    best = int(mean[1:].argmax())
    worst = min(float(values.mean(axis=0)[0] - values.mean(axis=0)[DEFAULT]) for values in cells)
    shares = (f"{v:.1f}" for v in (mean[0], mean[1 + best]))
    return [
        *shares,
        multiple(STEPS[best]),
        f"{difference(cells):+.2f}",
        f"{mean[0] - mean[DEFAULT]:+.2f}",
        f"{worst:+.1f}",
    ]


def _setting(what: tuple[str, int, bool]) -> list[object]:
    return [what[0], what[1], "Zipf" if what[2] else "equal"]


def _gain(values: Float64) -> list[object]:
    return [len(values), f"{values[:, DEFAULT].mean():.1f}", mean_and_half(values[:, 0] - values[:, DEFAULT])]


def settings(rows: Rows) -> Iterator[tuple[int, bool]]:
    """(labels a class, whether frequencies follow Zipf's law)."""
    C = int(rows[1].max()) + 1
    for per_class in PER_CLASS:
        if FEWEST_LABELS <= per_class * C <= min(MOST_LABELS, len(rows[1]) // 2):
            yield per_class, False
            yield per_class, True


def _kept(out: Path, name: str, rows: Rows, per_class: int, zipf: bool, seeds: int) -> Float64:
    """The accuracies of a setting, from a file or found and kept there."""
    file = out / f"{name}-{per_class}-{zipf}-{seeds}.npy".replace(" ", "-")
    if not file.exists():
        np.save(file, accuracies(rows, per_class, zipf, seeds))
    return np.load(file)


def accuracies(rows: Rows, per_class: int, zipf: bool, seeds: int) -> Float64:
    """Accuracies in points, [draws, 1 + steps], of auto and of each fixed precision. Draws of a single class are left
    out.
    """
    draws = seeds * (2 if per_class * (int(rows[1].max()) + 1) <= FEW else 1)
    found = [one for seed in range(draws) if (one := accuracy(rows, per_class, zipf, seed)) is not None]
    return 100 * np.array(found)


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
    default = default_prior(data.X_LD, data.weights_L)
    values, start_CD1 = [], None
    for prior in (choose_prior(data), *(float(default * 10.0 ** (step / 2)) for step in STEPS[::-1])):
        head = at_map(data, prior, start_CD1, tolerance=LOOSE)
        values.append(float((head.logits(X_ND[test]).argmax(axis=1) == y_T).mean()))
        start_CD1 = head.W_CD1
    return np.array([values[0], *values[:0:-1]])


def data_sets(data: Path) -> Iterator[tuple[str, Rows]]:
    """(name, rows) of every data set."""
    if is_there(data / BANKING77):
        pool = open_pool(str(data / BANKING77))
        truth = truth_of(pool, None)
        banking = np.asarray(pool.take(truth.used), np.float64), truth.y_N[truth.used]
        yield "banking77", banking
        ten = _only(banking, np.arange(5, 75, 7))
        yield "banking77, 10 classes", ten
        yield "banking77, 10 classes, x30", (30 * ten[0], ten[1])
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
