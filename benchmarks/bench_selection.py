"""Batch strategies against the memory passes they must make, at three sizes, and against scikit-activeml.

Floor at N=50,000, D=384, C=77, b=1,000: b products of the feature matrix with one vector (coreset), and of the
residual matrix too (badge), float32, timed in the same run. Peak memory is that of a process which makes the rows and
selects once.
Usage: python -m benchmarks --only selection.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from alcli import plugins
from alcli.numerics.blocks import thread_limit
from alcli.selection.select import select
from alcli.selection.strategy import Selection, strategy_of
from alcli.selection.view import View
from alcli.workflows.simulate.request import CORE
from benchmarks.rows import clustered_rows
from benchmarks.timing import median_seconds, seconds_of, table
from tests.helpers import TableHead, fresh, view_of

N, D, C, B = 50_000, 384, 77, 1_000
BATCH = ("badge", "coreset", "kmeans", "typiclust")


def rows_and_head(n: int) -> tuple[np.ndarray, TableHead]:
    """Unit-norm float32 rows around C centres, and a head that knows the centres."""
    X_ND, _, centres_CD = clustered_rows(n, D, C, pull=1.0)
    return X_ND, TableHead(6.0 * centres_CD / np.linalg.norm(centres_CD, axis=1, keepdims=True))


def pick(name: str, view: View, k: int) -> Selection:
    return select(strategy_of(plugins.load("strategies", name)), view, k, seed=0, options={})


def main(data: Path) -> None:
    large()
    as_in_a_simulation(data)
    beside_scikit_activeml(data)


def large() -> None:
    X_ND, head = rows_and_head(N)
    A_NC, x_D, a_C = head.log_probs(X_ND).astype(np.float32), X_ND[0].copy(), np.ones(C, np.float32)
    floors = {"coreset": lambda: X_ND @ x_D, "badge": lambda: (X_ND @ x_D, A_NC @ a_C)}
    view, rows = view_of(X_ND, labelled=np.arange(100), head=head), []
    for name in BATCH:
        seconds, ticks = [], []
        for _ in range(3):  # floor and strategy in turns, so that both see the same machine
            if name in floors:
                ticks.append(fastest_tick(floors[name]))
            seconds.append(seconds_of(lambda name=name: pick(name, fresh(view), B)))
        floor = B * statistics.median(ticks) if ticks else None
        median = statistics.median(seconds)
        rows.append((name, median, floor or "-", median / floor if floor else "-", peak_mebibytes(name)))
    limit = (1.3 * X_ND.nbytes + 200e6) / 2**20
    print(
        f"N={N:,} D={D} C={C} b={B:,}; features {X_ND.nbytes / 2**20:.0f} MiB, "
        f"limit of coreset and badge {limit:.0f} MiB"
    )
    table(("strategy", "seconds", "floor s", "ratio", "peak MiB"), rows)


def fastest_tick(product: Callable[[], object]) -> float:
    """Median seconds of one pass with the BLAS on one or on all threads, whichever is less: threads that wait for
    each other cost more.
    """
    with threadpool_limits(1):
        alone = median_seconds(product, 15)
    return min(alone, median_seconds(product, 15))


def peak_mebibytes(name: str) -> float:
    """Peak memory of a fresh process that selects once. It reads its own mark: wait4 would add what this process
    holds at the fork.
    """
    code = f"from benchmarks import bench_selection as b; b.select_once({name!r})"
    return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True).stdout)


def select_once(name: str) -> None:
    """Make the rows, select, and print the peak memory of this process in MiB."""
    X_ND, head = rows_and_head(N)
    pick(name, view_of(X_ND, head=head), B)
    marks = Path("/proc/self/status").read_text().split("VmHWM:")[1]
    print(int(marks.split()[0]) / 1024)


def as_in_a_simulation(data: Path) -> None:
    """One round of the core strategies on banking77's 10,000 training rows (or made-up ones), 577 labels, batch 100."""
    X_ND, head = banking(data)
    labelled = np.random.default_rng(1).choice(len(X_ND), 577, replace=False)
    view, rows = view_of(X_ND, labelled=labelled, head=head, labels=head.logits(X_ND[labelled]).argmax(axis=1)), []
    for name in ("random", "least-confident", "kmeans", *CORE):
        seconds = []
        for threads in (1, 2):
            with thread_limit(threads):
                seconds.append(median_seconds(lambda name=name: pick(name, fresh(view), 100), 5))
        rows.append((name, *seconds))
    print(f"\nN={len(X_ND):,} D={X_ND.shape[1]} C={C} b=100, 577 labels")
    table(("strategy", "1 thread s", "2 threads s"), rows)


def banking(data: Path) -> tuple[np.ndarray, TableHead]:
    """banking77's training rows and a head of class means; made-up rows without the file."""
    file = data / "banking77" / "features.parquet"
    if not file.exists():
        return rows_and_head(10_000)
    import pyarrow.parquet as pq

    rows = pq.read_table(file, columns=["features", "label"], filters=[("split", "=", "train")])[:10_000]
    X_ND = np.stack(rows["features"].to_numpy()).astype(np.float32)
    y_N = np.unique(rows["label"].to_numpy(), return_inverse=True)[1]
    return X_ND, TableHead([12.0 * X_ND[y_N == c].mean(0) for c in range(y_N.max() + 1)])


def beside_scikit_activeml(data: Path) -> None:
    """Badge and CoreSet of scikit-activeml on the same 10,000 rows with the same probabilities, batch 100."""
    from skactiveml.pool import Badge, CoreSet

    from benchmarks.skactiveml_peers import Given

    X_ND, head = rows_and_head(10_000)
    y_N = np.full(len(X_ND), np.nan)
    y_N[:C] = np.arange(C)
    view, rows = view_of(X_ND, labelled=np.arange(C), head=head), []
    peers = {
        "badge": lambda: Badge(random_state=0).query(X_ND, y_N, Given(view, range(C)), fit_clf=False, batch_size=100),
        "coreset": lambda: CoreSet(random_state=0).query(X_ND, y_N, batch_size=100),
    }
    for name, peer in peers.items():
        ours = median_seconds(lambda name=name: pick(name, fresh(view), 100), 3)
        theirs = seconds_of(peer)
        rows.append((name, ours, theirs, theirs / ours))
    print("\nN=10,000 b=100 beside scikit-activeml")
    table(("strategy", "seconds", "scikit-activeml s", "times faster"), rows)
