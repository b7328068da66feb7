"""Sparse approximation beside badge, coreset, entropy and random: the shape of table 3 of Shen et al. 2022 on made-up
features.

N=50,000, D=512, C=10, b=1,000 and 3,000. Floors are the matrix products of the method, timed in the same run by one
call each: greedy b residual products (2 N C D flops each) or, where it keeps columns, b products of features and
residuals with one row and b of the columns with their weights; iht two residual products an iteration, 100 of them;
badge b products of features and residuals with one row. Badge as published writes the gradients out, N x C D: it is
timed for a few picks, and what b picks take is extrapolated. Peak memory is that of a process which makes the rows
and selects once. Usage: python -m benchmarks --only sparse.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from alcli import plugins
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.gradients.sparse.support import cheaper_form
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies.badge import residuals
from benchmarks.rows import clustered_rows
from benchmarks.timing import table
from tests.helpers import TableHead, view_of

N, D, C = 50_000, 512, 10
BATCHES = (1_000, 3_000)
ITERATIONS = 100
FEW = 20
TEMPERATURE = 1.5
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "sparse-greedy": ("sparse-greedy", {}),
    "sparse-iht": ("sparse-iht", {"iterations": ITERATIONS, "tol": 0.0}),
    "sparse-greedy bayesian": ("sparse-greedy", {"form": "bayesian"}),
    "acs-fw": ("acs-fw", {}),
    "badge": ("badge", {}),
    "coreset": ("coreset", {}),
    "entropy": ("entropy", {}),
    "random": ("random", {}),
}


def rows_and_head(n: int) -> tuple[np.ndarray, TableHead]:
    """Unit-norm float32 rows around C centres, and a calibrated head of the centres that is sure of most rows."""
    X_ND, _, centres_CD = clustered_rows(n, D, C, pull=0.5)
    return X_ND, TableHead(
        10.0 * centres_CD / np.linalg.norm(centres_CD, axis=1, keepdims=True), spread=0.3, temperature=TEMPERATURE
    )


def main(data: Path, n: int = N, batches: tuple[int, ...] = BATCHES) -> None:
    X_ND, head = rows_and_head(n)
    products = Products(X_ND, head)
    published = badge_as_published(X_ND, products.A_NC)
    for b in batches:
        lines = []
        for name in METHODS:
            ticks, seconds = [], []
            for _ in range(3 if name in ("entropy", "random") else 1):
                ticks.append(products.floor(name, b))
                seconds.append(seconds_of(lambda name=name, b=b: pick(name, X_ND, head, b)))
            floor, median = ticks[0] and min(t for t in ticks if t), statistics.median(seconds)
            lines.append((name, median, floor or "-", median / floor if floor else "-", peak_mebibytes(name, n, b)))
        extrapolated = published[0] + b * published[1]
        lines.append(
            ("badge as published", extrapolated, f"extrapolated from {FEW}", "-", peak_mebibytes("published", n, FEW))
        )
        form = cheaper_form(n, C, D + 1, b)
        print(f"N={n:,} D={D} C={C} b={b:,}; features {X_ND.nbytes / 2**20:.0f} MiB; sparse-greedy keeps {form}")
        table(("strategy", "seconds", "floor s", "ratio", "peak MiB"), lines)
        print(f"b residual products (2 N C D each): {b * products.residual:.3g} s\n")


def pick(name: str, X_ND: np.ndarray, head: TableHead, b: int) -> None:
    strategy, options = METHODS[name]
    select(strategy_of(plugins.load("strategies", strategy)), view_of(X_ND, head=head), b, seed=0, options=options)


class Products:
    """Seconds of the products that the methods are made of, at this moment on this machine."""

    def __init__(self, X_ND: np.ndarray, head: TableHead) -> None:
        self.X_ND, self.head = X_ND, head
        self.A_NC = residuals(head.log_probs(X_ND).astype(np.float32))
        self.residual = self._spread(self._residual)

    def floor(self, name: str, b: int) -> float | None:
        self.residual = self._spread(self._residual)
        if name == "sparse-iht":
            return 2 * ITERATIONS * self.residual
        if name == "badge":
            return b * self._spread(self._row)
        if name != "sparse-greedy":
            return None
        if cheaper_form(len(self.X_ND), C, D + 1, b) == "residuals":
            return b * self.residual
        half = np.ones((b // 2, len(self.X_ND)), np.float32)  # on average half of the batch is chosen
        ones = np.ones(len(half), np.float32)
        return b * (self._spread(self._row) + self._spread(lambda rows: ones @ half[:, rows]))

    def _residual(self, rows: slice) -> None:
        np.dot(self.X_ND[rows], self.X_ND[:C].T)

    def _row(self, rows: slice) -> None:
        np.dot(self.X_ND[rows], self.X_ND[0])
        np.dot(self.A_NC[rows], self.A_NC[0])

    def _spread(self, product: Callable[[slice], Any]) -> float:
        """Median seconds of a product with all rows, in blocks over all threads."""

        def work(first: int, last: int) -> None:
            for i in range(first, last, BLOCK_ROWS):
                product(slice(i, min(i + BLOCK_ROWS, last)))

        with workers() as spread:
            return statistics.median(seconds_of(lambda: spread(len(self.X_ND), work)) for _ in range(15))


def badge_as_published(
    X_ND: np.ndarray, A_NC: np.ndarray, clock: Callable[[], float] = time.perf_counter
) -> tuple[float, float]:
    """(seconds to write the gradients out, seconds of a pick), by a clock."""
    start = clock()
    G = (A_NC[:, :, None] * X_ND[:, None, :]).reshape(len(X_ND), -1)
    sq_norms = np.vecdot(G, G)
    made = clock() - start
    nearest = np.full(len(G), np.inf, np.float32)
    rng = np.random.default_rng(0)
    start = clock()
    j = int(sq_norms.argmax())
    for _ in range(FEW):
        nearest = np.minimum(nearest, np.maximum(sq_norms + sq_norms[j] - 2 * (G @ G[j]), 0))
        p = nearest.astype(np.float64)
        j = int(rng.choice(len(G), p=p / p.sum()))
    return made, (clock() - start) / FEW


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def peak_mebibytes(name: str, n: int, b: int) -> float:
    """Peak memory of a fresh process that selects once. It reads its own mark: wait4 would add what this process
    holds at the fork.
    """
    code = f"from benchmarks import bench_sparse as s; s.select_once({name!r}, {n}, {b})"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)


def select_once(name: str, n: int, b: int) -> None:
    """Make the rows, select, and print the peak memory of this process in MiB."""
    X_ND, head = rows_and_head(n)
    if name == "published":
        badge_as_published(X_ND, residuals(head.log_probs(X_ND).astype(np.float32)))
    else:
        pick(name, X_ND, head, b)
    marks = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    print(int(marks.split()[0]) / 1024)
