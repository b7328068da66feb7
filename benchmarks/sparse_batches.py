"""One batch of sparse approximation: how well it matches the pool, and what it costs beside badge."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from threadpoolctl import threadpool_limits

from alcli import plugins
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.softmax import softmax
from alcli.numerics.gradients.sparse.approximation import greedy, iht
from alcli.numerics.gradients.sparse.problem import SparseProblem, pose
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.strategies.badge import residuals
from alcli.strategies.sparse_greedy import expected_rows
from benchmarks.bench_sparse import badge_as_published
from benchmarks.rows import clustered_rows
from benchmarks.timing import table
from tests.helpers import TableHead, fresh, view_of

NEEDS = ("hidden", "hidden_sq_norm", "trained_log_probs", "log_probs", "predictive")
LABELLED, BATCH = 77, 50
ROWS, COLUMNS, CLASSES = 20_000, 128, 10
SIZES = (50, 200, 1_000)
STRATEGIES = ("sparse-greedy", "sparse-iht", "badge", "coreset")


def objective(pool: Path, seeds: int = 3) -> None:
    """Print |v - Phi w|^2 for |v| = 1, and how many classes the batch shows, means over the seeds."""
    rows = pq.read_table(pool)
    X, names = np.stack(rows["features"].to_numpy()).astype(np.float32), rows["label"].to_numpy()
    y = np.unique(names, return_inverse=True)[1].astype(np.int64)
    found: dict[str, list[tuple[float, ...]]] = {}
    for seed in range(seeds):
        drawn = np.random.default_rng(seed).permutation(len(y))
        for name, values in matches(X[drawn], y[drawn]).items():
            found.setdefault(name, []).append(values)
    printed = [(name, *np.mean(values, axis=0).tolist()) for name, values in found.items()]
    table(("batch", "|v - Phi w|^2", "classes"), printed)


def matches(X_ND: np.ndarray, y_N: np.ndarray) -> dict[str, tuple[float, ...]]:
    """What `objective` prints of one draw of rows; the first `LABELLED` are labelled."""
    labelled = np.arange(LABELLED)
    data = Training(X_ND[labelled], y_N[labelled], np.ones(LABELLED), int(y_N.max()) + 1)
    model = fit(data, FitSpec(softmax.head, LaplaceShared, calibrate="temperature"))
    rows = np.arange(LABELLED, len(y_N))
    expected = expected_rows(
        View(ArraySource(X_ND, np.arange(len(y_N))), rows, labelled, model).restricted_to(NEEDS),
        "gradient",
        "temp",
        0.1,
    )
    out = {}
    for what, alpha in (("", None), (", alpha 0", 0.0)):
        problem = pose(expected.rows, expected.sigma_N, BATCH, alpha=alpha)
        assert problem is not None
        for name, batch in (("greedy", greedy(problem, BATCH)), ("iht", iht(problem, BATCH))):
            out[name + what] = (
                distance_sq(problem, batch.picks_K, batch.weights_K),
                float(len(np.unique(y_N[rows[batch.picks_K]]))),
            )
    drawn = np.random.default_rng(0).choice(len(rows), BATCH, replace=False)
    return out | {
        "random, weights 1": (distance_sq(problem, drawn, np.ones(BATCH)), float(len(np.unique(y_N[rows[drawn]]))))
    }


def distance_sq(problem: SparseProblem, picks_K: np.ndarray, weights_K: np.ndarray) -> float:
    """|v - Phi w|^2, in units of |v|^2."""
    return float(np.square(problem.v_KD1 - problem.gain * problem.rows.point(picks_K, weights_K)).sum())


def seconds() -> None:
    """Print the CPU seconds of one batch by its size, on one thread. Badge as published writes the gradients out; its
    seconds are those of writing, and of `FEW` picks times the size over `FEW`.
    """
    X_ND, _, centres_CD = clustered_rows(ROWS, COLUMNS, CLASSES, pull=0.5)
    head = TableHead(10.0 * centres_CD / np.linalg.norm(centres_CD, axis=1, keepdims=True), spread=0.3, temperature=1.5)
    view, written = view_of(X_ND, head=head), residuals(head.log_probs(X_ND).astype(np.float32))
    with threadpool_limits(1):
        made, a_pick = badge_as_published(X_ND, written, time.process_time)
        rows = []
        for b in SIZES:
            taken = [cpu_seconds(lambda name=name, b=b: pick(name, view, b)) for name in STRATEGIES]
            rows.append((b, *taken, made + b * a_pick, taken[0] / taken[2], taken[0] / (made + b * a_pick)))
    print(f"CPU seconds of a batch; N={ROWS:,} D={COLUMNS} C={CLASSES}")
    table(("rows", *STRATEGIES, "badge as published", "greedy / badge", "greedy / published"), rows)


def pick(name: str, view: View, b: int) -> None:
    """Select with nothing computed yet."""
    select(strategy_of(plugins.load("strategies", name)), fresh(view), b, seed=0, options={})


def cpu_seconds(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
