"""The part `numbers` of study_auto.py: what `-s auto` should take where labels are numbers.

Each strategy plays `alcli simulate` with the default head: 20 random labels, then 8 rounds of 20. Printed is the mean
rmse of random choice over the curve, and by how many percent of it each strategy differs, with half of a 95% interval
over the seeds. Less is better. The last column is the mean over the pools. `bait` serves classes alone, and so takes no
part.

The pools: house prices (ames) and the log length of 4,000 questions of banking77, both skipped where they are not at
hand; diabetes of scikit-learn; Friedman's first and second function; a smooth function on Gaussian clusters; the digits
as numbers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from sklearn.datasets import load_diabetes, load_digits, make_friedman1, make_friedman2
from sklearn.preprocessing import StandardScaler

import alcli
from alcli.api.pool import OpenPool
from alcli.arrays import Array, Float64
from alcli.data.pool import open_pool
from alcli.numerics.metrics import METRICS
from alcli.report.summary import areas, curves_of, paired_interval
from alcli.simulation.plan import BASELINE
from benchmarks.studies import BANKING77, is_there
from benchmarks.timing import table

AMES = Path("ames") / "features.parquet"
NAMES = ["maxherding", "typiclust", "lcmd", "uherding", "ntk", "coreset", "badge", "predictive-variance"]
INITIAL, BATCH, ROUNDS = 20, 20, 8
QUESTIONS = 4000


def numbers(data: Path, out: Path, seeds: int) -> None:
    """Print the table."""
    out.mkdir(parents=True, exist_ok=True)
    random: dict[str, float] = {}
    percent_S: dict[str, list[Array]] = {name: [] for name in NAMES}
    for pool_name, pool in pools(data):
        found = played(pool, out / pool_name, seeds)
        random[pool_name] = float(found[BASELINE].mean())
        for name in NAMES:
            percent_S[name].append(100 * (found[name] - found[BASELINE]) / random[pool_name])
    print(f"\nrmse of random, and percent of it; {INITIAL} labels and {ROUNDS} rounds of {BATCH}, {seeds} seeds")
    rows = [
        [name, *map(mean_and_half, columns), mean_and_half(np.mean(columns, 0))] for name, columns in percent_S.items()
    ]
    table(["", *random, "mean"], [[BASELINE, *(f"{value:.4g}" for value in random.values()), ""], *rows])


def played(pool: OpenPool, out: Path, seeds: int) -> Mapping[str, Array]:
    """Per strategy, the mean rmse over the curve, by seed."""
    curves = alcli.simulate(
        pool, NAMES, BATCH, ROUNDS, initial=INITIAL, seeds=seeds, metric="rmse", out=out, note=lambda text: None
    ).curves
    rows = [dict(zip(curves, values)) for values in zip(*curves.values())]
    rmse = curves_of(rows, METRICS["rmse"])
    return {name: areas(rmse, name) for name in rmse.values_SP}


def mean_and_half(values_S: Array) -> str:
    """The mean and half of its interval."""
    mean, _, high = paired_interval(values_S)
    return f"{mean:+.1f}" + ("" if high is None else f" ±{high - mean:.1f}")


def pools(data: Path) -> Iterator[tuple[str, OpenPool]]:
    """(name, pool) of every pool that is at hand."""
    if is_there(data / AMES):
        yield "ames", alcli.pool(data / AMES)
    X_ND, y_N = load_diabetes(return_X_y=True)
    yield "diabetes", _pool(StandardScaler().fit_transform(X_ND), y_N)
    X_ND, y_N = make_friedman1(2000, 15, noise=1.0, random_state=0)
    yield "friedman1", _pool(StandardScaler().fit_transform(X_ND), y_N)
    X_ND, y_N = make_friedman2(2000, noise=20.0, random_state=0)
    yield "friedman2", _pool(StandardScaler().fit_transform(X_ND), y_N)
    yield "clusters", _pool(*clusters())
    digits = load_digits()
    yield "digits", _pool(digits.data, digits.target)
    if is_there(data / BANKING77):
        yield "text length", _pool(*_questions(data / BANKING77))


def clusters() -> tuple[Float64, Float64]:
    """3,000 rows in 12 clusters, and a noisy sum of a sine and a line on them."""
    rng = np.random.default_rng(1)
    means_KD, cluster_N = 2.0 * rng.normal(size=(12, 30)), rng.integers(12, size=3000)
    X_ND = means_KD[cluster_N] + rng.normal(size=(3000, 30))
    wave_N = np.sin(X_ND @ rng.normal(size=30) / 4.0)
    return X_ND, 3.0 * wave_N + X_ND[:, 0] + 0.3 * rng.normal(size=3000)


def _questions(path: Path) -> tuple[Array, Float64]:
    """The features of random questions, and the logarithm of the number of characters of each."""
    pool = open_pool(str(path))
    rows = np.sort(np.random.default_rng(0).permutation(pool.n)[:QUESTIONS])
    texts = pq.read_table(path, columns=["text"])["text"].to_pylist()
    return pool.take(rows), np.log([len(texts[row]) for row in rows])


def _pool(X_ND: Array, y_N: Array) -> OpenPool:
    return alcli.pool(np.asarray(X_ND, np.float32), labels=np.asarray(y_N, np.float64), note=lambda text: None)
