"""Optimal look-ahead: 2,000 batches of 10 at C=10, D=384, judged on 2,000 rows, drawn from 10,000 candidates; one
BLAS thread.

Floor: the counted flops, 2 J N D1 for the products of J judging rows with N candidates, 2 B J K C for what B batches
of K rows do to them, D1^2 (N + J) for whitening, at the rate of the first of these products (float32), timed in the
same run. Beside it, the explicit way: `Model.update` and one product with the judging rows per batch, timed on 20
batches.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.softmax import softmax
from alcli.numerics.blocks import thread_limit
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.source import ArraySource
from alcli.simulation.optimal_look_ahead import optimal_look_ahead
from alcli.simulation.oracle import Oracle
from alcli.simulation.round import Situation
from benchmarks.rows import clustered_rows
from benchmarks.timing import median_seconds, table

N, J, D, C, B, K, LABELLED = 10_000, 2_000, 384, 10, 2_000, 10, 100


def main(data: Path = Path()) -> None:
    del data  # the rows are made here
    with threadpool_limits(1), thread_limit(1):
        run()


def situation() -> Situation:
    X, y, _ = clustered_rows(LABELLED + J + N, D, C, pull=1.5)
    first = np.arange(LABELLED)
    model = fit(Training(X[first], y[first], np.ones(LABELLED), C), FitSpec(softmax.head, LaplaceShared))
    oracle = Oracle(y, np.arange(len(y)))
    oracle.ask(first)
    return Situation(ArraySource(X, np.arange(len(y))), oracle, model, C, LABELLED + np.arange(J))


def run() -> None:
    rng = np.random.default_rng(1)
    A, V = rng.standard_normal((N, D + 1), np.float32), rng.standard_normal((J, D + 1), np.float32)
    cross = median_seconds(lambda: A @ V.T, runs=3)
    rate = 2 * J * N * (D + 1) / cross
    flops = 2 * J * N * (D + 1) + 2 * B * J * K * C + (D + 1) ** 2 * (N + J)
    floor, now = flops / rate, situation()
    rows: list[tuple[object, ...]] = [("counted flops at the rate of sgemm", f"{flops / 1e9:.1f}", floor, 1.0)]
    for proposal in ("random", "mixed"):
        for score in ("accuracy", "cross-entropy"):
            seconds = median_seconds(
                lambda p=proposal, s=score: optimal_look_ahead(
                    now, K, rng=np.random.default_rng(0), batches=B, proposal=p, score=s
                ),
                runs=3,
            )  # type: ignore[misc]
            rows.append((f"{proposal} batches, by {score}", "", seconds, seconds / floor))
    seconds = explicit(now) * B
    rows.append((f"explicit updates, {B:,} batches", "", seconds, seconds / floor))
    table((f"{B:,} batches of {K}, C={C}, D={D}, {J:,} judging rows", "GFLOP", "seconds", "ratio"), rows)


def explicit(now: Situation) -> float:
    """Seconds a batch."""
    X, y = now.source.take(now.judges), now.oracle.truth(now.judges)
    start = time.perf_counter()
    for i in range(20):
        rows = LABELLED + J + K * i + np.arange(K)
        model = now.model.update(Training(now.source.take(rows), now.oracle.truth(rows), np.ones(K), C))
        (model.head.logits(X).argmax(axis=1) == y).mean()
    return (time.perf_counter() - start) / 20
