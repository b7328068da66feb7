"""One second-order update of one label against the two D1 x D1 passes that it must make, and against refitting.

Floor at D=768, C=100: one symmetric product with the covariance and one rank-one term added to it in place (dsymv +
dsyr, float64, one BLAS thread), timed in the same run. The update keeps its rank-one terms aside and sums 64 of them
up at a time (the last line includes that). Accuracy on banking77 (skipped without the data): 100 labels, then 10 to
100 more; `recovered` is the share of the exact refit's gain.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from scipy.linalg import blas
from threadpoolctl import threadpool_limits

from alcli import plugins
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads.softmax import softmax
from alcli.posteriors._contract import Evidence, posterior_of
from alcli.posteriors.laplace_shared import LaplaceShared
from benchmarks.timing import median_seconds, table

D, C, SEEDS = 768, 100, 5


def main(data: Path) -> None:
    with threadpool_limits(1):
        one_label()
        covariances()
        if (data / "banking77" / "features.parquet").exists():
            recovered(data)


def one_label() -> None:
    rng = np.random.default_rng(0)
    phi, W = rng.normal(size=(1000, D + 1)) / np.sqrt(D), rng.normal(size=(C, D + 1))
    rows = Evidence(phi, np.eye(C)[rng.integers(C, size=1000)], np.ones(1000), "softmax")
    _, post = LaplaceShared.fit(W, rows, prior_precision=0.01)
    one, many = rows.rows(np.arange(1)), rows.rows(np.arange(128))
    covariance, x = post.state.covariance_DD.copy(order="F"), phi[0].copy()

    def passes() -> None:
        t = blas.dsymv(1.0, covariance, x, lower=1)
        blas.dsyr(-1e-9, t, lower=1, a=covariance, overwrite_a=1)

    floor = median_seconds(passes, runs=200)
    rows_out = [("two passes over D1 x D1", floor * 1e6, 1.0)]
    for name, seconds in (
        ("linearised update, one label", median_seconds(lambda: post.update(W, one, gamma=1.0), runs=200)),
        ("update, one label", median_seconds(lambda: post.update(W, one), runs=200)),
        ("update, each of 128 in a call", median_seconds(lambda: post.update(W, many), runs=20) / 128),
    ):
        rows_out.append((name, seconds * 1e6, seconds / floor))
    table(("D=768 C=100", "microseconds", "ratio"), rows_out)


def covariances() -> None:
    """One label and a batch of 50 by every covariance that fits, and the size of what is stored."""
    rng = np.random.default_rng(0)
    phi, W = rng.normal(size=(1000, D + 1)) / np.sqrt(D), rng.normal(size=(C, D + 1))
    rows = Evidence(phi, np.eye(C)[rng.integers(C, size=1000)], np.ones(1000), "softmax")
    one, fifty = rows.rows(np.arange(1)), rows.rows(np.arange(50))
    out = []
    for name in ("shared", "shared-cat", "block", "kron", "diag"):
        _, post = posterior_of(plugins.load("posteriors", f"laplace-{name}")).fit(W, rows, prior_precision=0.01)
        alone, together = (median_seconds(lambda: post.update(W, data, mode="batch"), runs=5) for data in (one, fifty))  # noqa: B023
        out.append((name, alone * 1e3, together * 1e3, sum(array.nbytes for array in post.arrays().values()) / 1e6))
    table(("D=768 C=100", "ms, one label", "ms, batch of 50", "MB stored"), out)


def recovered(data: Path) -> None:
    import pyarrow.parquet as pq

    columns = pq.read_table(data / "banking77" / "features.parquet")
    X = np.stack(columns["features"].to_numpy(zero_copy_only=False))
    y = np.unique(columns["label"].to_pylist(), return_inverse=True)[1]
    is_test = np.array(columns["split"].to_pylist()) == "test"
    out = []
    for scale in (1.0, 30.0):
        for m, (base, update, refit, ratio) in _study(X * np.float32(scale), y, is_test).items():
            out.append((f"x{scale:g}", m, base, update, refit, (update - base) / (refit - base), ratio))
    table(("features", "new labels", "base", "second-order", "refit", "recovered", "refit time / update time"), out)


def _study(X: np.ndarray, y: np.ndarray, is_test: np.ndarray) -> dict[int, np.ndarray]:
    """Mean accuracies (base, updated, refitted) and time ratio by number of new labels."""
    sums: dict[int, np.ndarray] = {}
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(np.flatnonzero(~is_test))
        rows = lambda i, j: Training(X[order[i:j]], y[order[i:j]], np.ones(j - i), 77)  # noqa: B023, E731
        base = fit(rows(0, 100), FitSpec(softmax.head, LaplaceShared))
        spec = FitSpec(softmax.head, LaplaceShared, prior_precision=base.head.prior_precision)
        for m in (10, 30, 50, 100):
            start = time.perf_counter()
            updated = base.update(rows(100, 100 + m))
            middle = time.perf_counter()
            refit = fit(rows(0, 100 + m), spec, start=base, tune_update=False)
            ratio = (time.perf_counter() - middle) / (middle - start)
            figures = [*(_accuracy(model, X[is_test], y[is_test]) for model in (base, updated, refit)), ratio]
            sums[m] = sums.get(m, np.zeros(4)) + np.array(figures) / SEEDS
    return sums


def _accuracy(model: Model, X: np.ndarray, y: np.ndarray) -> float:
    return float((model.logits(X).argmax(axis=1) == y).mean())
