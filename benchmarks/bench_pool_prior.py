"""The prior that is learnt from the pool: time beside its floor, and peak memory on a pool that is streamed.

Floor: the two products of every pass over the same blocks, by the same threads in the same run. Rows of 384 features,
77 classes, 154 labels. The large pool is 20,000 rows that are yielded again and again, so its own size is not measured.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from alcli.arrays import Floats
from alcli.heads._contract import Training
from alcli.heads._pool_prior import Constants, pool_prior
from alcli.numerics.blocks import BLOCK_ROWS, workers
from benchmarks.rows import clustered_rows
from benchmarks.timing import median_seconds, peak_mebibytes, seconds_of, table

D, C, LABELS = 384, 77, 154
SMALL, LARGE, STORED = 100_000, 1_000_000, 20_000


def main(data: Path) -> None:
    X_ND, y_N, _ = clustered_rows(STORED + LABELS, D, C, 0.5)
    rows = Training(X_ND[:LABELS], y_N[:LABELS], np.ones(LABELS), C)
    pool_ND, found = X_ND[LABELS:], []
    for n in (SMALL, LARGE):
        before = peak_mebibytes()
        took = seconds_of(partial(pool_prior, repeated(pool_ND, n), rows))
        peak = peak_mebibytes() - before
        floor = Constants().passes * n / STORED * median_seconds(lambda: products(pool_ND), runs=3)
        found.append((n, took, floor, took / floor, peak))
    table(("rows", "seconds", "floor, s", "ratio", "MiB more than before"), found)


def repeated(X_ND: Floats, n: int) -> Callable[[], list[Floats]]:
    """A pool of n rows that takes the memory of X_ND."""
    return lambda: [X_ND] * (n // len(X_ND))


def products(X_ND: Floats) -> None:
    """The two products of a pass."""
    means_DC = np.ones((D, C), np.float32)

    def work(first: int, last: int) -> None:
        for a in range(first, last, BLOCK_ROWS):
            X_BD = X_ND[a : min(a + BLOCK_ROWS, last)]
            (X_BD @ means_DC).T @ X_BD

    with workers() as spread:
        spread(len(X_ND), work)
