"""From a label to the next item, against one GEMV pass over the pool: N=50,000, D=768, C=77, float32.

Floor: the product of the features with one vector, in the same blocks on the same threads. A label moves the last
layer (update), its move is applied to the followed logits in one pass, the rows that can have become the best are
scored by the strategy (all of them where it does not say how far its score can move), and the best few from the
weights. Floor and label are timed in turn, and the ratio is the median of the pairs, so that what else the machine
does counts for both.
"""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from alcli import plugins
from alcli.data.ledger.entries import EMPTY, read_ledger, write_ledger
from alcli.data.ledger.shared import SharedLedger
from alcli.heads._contract import LinearHead, Training
from alcli.heads._model import Model, evidence_of
from alcli.live.live import Live
from alcli.live.ranking import can_rank
from alcli.numerics.blocks import n_threads, thread_limit, workers
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from benchmarks.timing import median_seconds, table

N, D, C, LABELLED, RUNS, SECONDS = 50_000, 768, 77, 200, 40, 4.0


def main(data: Path) -> None:
    rng = np.random.default_rng(0)
    X, y = rng.standard_normal((N, D), dtype=np.float32) / np.float32(D**0.5), rng.integers(C, size=N)
    for threads in sorted({1, n_threads()}):
        with thread_limit(threads), threadpool_limits(1):  # as the command line does
            latencies(X, y, threads)
    ledger()


def latencies(X: np.ndarray, y: np.ndarray, threads: int) -> None:
    vector, out = X[0].copy(), np.empty(N, np.float32)

    def gemv() -> None:
        with workers() as spread:
            spread(N, lambda a, b: np.dot(X[a:b], vector, out=out[a:b]))

    rows: list[tuple[object, ...]] = []
    for name in plugins.names("strategies"):
        strategy = strategy_of(plugins.load("strategies", name))
        if not can_rank(strategy if strategy.pointwise else strategy.single):
            continue  # chosen from scratch after every label, by design
        live = Live(ArraySource(X, np.arange(N)), np.arange(LABELLED, N), np.arange(LABELLED), model(X, y), strategy)
        asked = [live.next()[0]]

        def label(live: Live = live, asked: list[int] = asked) -> None:
            live.tell(asked[-1], int(y[asked[-1]]))
            asked.append(live.next()[0])
            live.predictive(asked[-1])

        pairs, end = [], time.perf_counter() + SECONDS
        while not pairs or (len(pairs) < RUNS and time.perf_counter() < end):
            pairs.append((seconds_of(gemv), seconds_of(label)))
        rows.append(
            (
                name,
                *(1e3 * statistics.median(column) for column in zip(*pairs)),
                statistics.median(b / a for a, b in pairs),
                min(b for _, b in pairs) / min(a for a, _ in pairs),
            )
        )
    table(
        (f"N={N} D={D} C={C}, {threads} threads", "GEMV ms", "label ms", "median ratio", "ratio of the fastest"), rows
    )


def model(X: np.ndarray, y: np.ndarray) -> Model:
    W = np.random.default_rng(1).normal(size=(C, D + 1))
    head = LinearHead("softmax", W, 1.0)
    rows = Training(X[:LABELLED], y[:LABELLED], np.ones(LABELLED), C)
    return Model(head, LaplaceShared.fit(W, evidence_of(head, rows), prior_precision=1.0, curvature=0.1)[1])


def ledger() -> None:
    """One id entered into a ledger, on disk before it is shown; beside it the ledger written anew."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "asked.parquet"
        for n in (100, 20_000, 500_000):
            ids = [f"item-{i}" for i in range(n)]
            batch = {"id": ids, "rank": list(range(n)), "score": [0.5] * n, "strategy": ["margin"] * n}
            write_ledger(path, EMPTY.and_then(batch, text_ids=True))
            shared = SharedLedger(path, read_ledger(path), 0.0, print)
            names = (f"new-{i}" for i in itertools.count())

            def enter(shared: SharedLedger = shared, names: Iterator[str] = names) -> None:
                shared.enter({"id": next(names), "rank": 0, "score": 0.5, "strategy": "margin"}, text_ids=True)

            enter()
            anew = median_seconds(lambda: write_ledger(path, read_ledger(path)))
            enter()
            rows.append((f"{n:,} entries", median_seconds(enter) * 1e3, anew * 1e3))
    table(("ledger, one more id", "ms in the journal", "ms to write anew"), rows)


def seconds_of(work: Callable[[], object]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
