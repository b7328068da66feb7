"""Look-ahead by tangent kernels: 4,000 candidates looked at on 4,000 rows, D=384, C=10, n=1,000 labels; one BLAS
thread.

Floor: the products that the method counts, 2 N D1^2 + 2 N |E| D1 flops for the covariance of N candidates with |E|
rows, at the rate of the second of them (float32), timed in the same run. What is timed is the whole selection: ridge
by leave-one-out, regression, scores. Peaks are of arrays that a selection makes; N x |E| numbers would be 61 MiB in
float32, 122 in float64. Beside it the naive way, a regression from scratch for every candidate, timed on 50 of them:
by a Cholesky factor anew, and as the paper's comparison refits, for every label that the candidate may have.
"""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from alcli.heads._contract import LinearHead
from alcli.heads._model import Model
from alcli.numerics.blocks import thread_limit
from alcli.numerics.tangent import kernel_ridge
from alcli.numerics.tangent import look_ahead as ahead
from alcli.numerics.tangent.kernels import linear
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.strategies import ntk
from benchmarks.rows import clustered_rows
from benchmarks.timing import median_seconds, table

N, LABELLED, D, C, REFITTED, BATCH = 4_000, 1_000, 384, 10, 50, 10


def main(data: Path = Path()) -> None:
    del data  # the rows are made here
    with threadpool_limits(1), thread_limit(1):
        run()


def view() -> View:
    X, y, _ = clustered_rows(LABELLED + N, D, C, pull=1.5)
    model = Model(LinearHead("softmax", np.zeros((C, D + 1)), 1.0))
    return View(
        ArraySource(X, np.arange(len(y))), LABELLED + np.arange(N), np.arange(LABELLED), model, labels=y[:LABELLED]
    )


def run() -> None:
    now, strategy = view(), strategy_of(ntk)
    G = np.random.default_rng(1).standard_normal((N, D + 1)).astype(np.float32)
    product = median_seconds(lambda: G @ G.T, runs=3)
    flops = 2 * N * (D + 1) ** 2 + 2 * N * N * (D + 1)
    floor = flops * product / (2 * N * N * (D + 1))
    rows: list[tuple[object, ...]] = [("counted flops at the rate of sgemm", f"{flops / 1e9:.1f}", floor, 1.0, "")]

    def add(name: str, options: dict[str, object], runs: int = 3) -> float:
        seconds = median_seconds(lambda: select(strategy, now, BATCH, seed=0, options=options), runs)
        tracemalloc.start()
        select(strategy, now, BATCH, seed=0, options=options)
        rows.append((name, "", seconds, seconds / floor, f"{tracemalloc.get_traced_memory()[1] / 2**20:.0f}"))
        tracemalloc.stop()
        return seconds

    ours = add("mlmoc", {"batch": "top"})
    for acquisition in ("mlmoc-sq", "emoc", "flip"):
        add(acquisition, {"acquisition": acquisition, "batch": "top"})
    add("mlmoc, row by row (the default)", {}, runs=1)
    add("mlmoc, diversify=kmeanspp", {"diversify": "kmeanspp"}, runs=1)
    add("eer", {"acquisition": "eer"}, runs=1)
    naive = refitting(now)
    rows.append(("a refit for every candidate, its predicted label", "", naive, naive / floor, ""))
    rows.append(("a refit for every candidate and label", "", C * naive, C * naive / floor, ""))
    table(
        (f"{BATCH} of {N:,}, on as many rows, D={D}, C={C}, n={LABELLED:,}", "GFLOP", "seconds", "ratio", "peak MiB"),
        rows,
    )
    table(
        ("naive refitting over mlmoc, extrapolated from 50 candidates", "times faster"),
        [
            ("a refit for every candidate, its predicted label", naive / ours),
            ("a refit for every candidate and label", C * naive / ours),
        ],
    )


def refitting(now: View) -> float:
    """Seconds for all candidates, one label each, from those for some of them."""
    X_L, X, Y = now.labelled(), now.matrix("features"), now.labelled_targets()
    prior = kernel_ridge.left_out(linear(X_L), Y)[0]
    naive = ahead.Refit(linear(X_L), Y, linear(X), prior)
    start = time.perf_counter()
    for j in range(REFITTED):
        np.linalg.norm(naive.changes(np.array([j]), np.ones((1, C)), slice(None)), axis=1).sum()
    return (time.perf_counter() - start) / REFITTED * N
