"""Strategies over joint draws of a posterior against the products they must make, and batchbald against
batchbald_redux.

Floor of bald, at N=50,000, D=384, C=10 and 100 draws: one float64 product of the features (with bias) with all drawn
weights, timed in the same run. batchbald_redux 2.0.5 is Kirsch's own; it gets the same draws, in float64, and as many
configurations.
Usage: python -m benchmarks --only bayesian.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import statistics
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits

from alcli import plugins
from alcli.arrays import with_bias
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads.softmax import softmax
from alcli.numerics.blocks import thread_limit
from alcli.numerics.information.committee import information
from alcli.posteriors.laplace_shared import LaplaceShared
from alcli.selection.select import select
from alcli.selection.strategy import Selection, strategy_of
from alcli.selection.view import View
from alcli.strategies.batchbald import greedy
from benchmarks.bench_selection import seconds_of
from benchmarks.timing import median_seconds, table
from tests.helpers import view_of

N, D, C, S, LABELS = 50_000, 384, 10, 100, 200
BATCH = 100
BLOCK = 2048
OTHERS = ("qbc", "variation-ratio", "mean-std", "power-bald", "predictive-variance", "batchbald", "epig", "bemps")


def main(data: Path) -> None:
    X_ND, model = rows_and_model(N, D, C)
    against_the_product(X_ND, model)
    all_at_once(X_ND, model)
    beside_redux()


def rows_and_model(n: int, dim: int, n_classes: int) -> tuple[np.ndarray, Model]:
    """Unit-norm float32 rows around class centres, and a head with a Laplace posterior that knows the labels of the
    first.
    """
    rng = np.random.default_rng(0)
    y_N = rng.integers(n_classes, size=n)
    X_ND = 0.6 * rng.standard_normal((n_classes, dim), np.float32)[y_N] + rng.standard_normal((n, dim), np.float32)
    X_ND /= np.linalg.norm(X_ND, axis=1, keepdims=True)
    known = Training(X_ND[:LABELS], y_N[:LABELS], np.ones(LABELS), n_classes)
    return X_ND, fit(known, FitSpec(softmax.head, LaplaceShared))


def pick(name: str, view: View, **options: object) -> Selection:
    return select(strategy_of(plugins.load("strategies", name)), view, BATCH, seed=0, options=options)


def fresh(X_ND: np.ndarray, model: Model) -> View:
    return view_of(X_ND, labelled=np.arange(LABELS), head=model)


def against_the_product(X_ND: np.ndarray, model: Model) -> None:
    W_DX = model.draw(S, seed=0).reshape(S * C, D + 1).T.copy()

    def product() -> None:
        for i in range(0, N, BLOCK):
            with_bias(X_ND[i : i + BLOCK]) @ W_DX

    rows = []
    for threads in (1, 2):
        floors, seconds = [], []
        with thread_limit(threads), threadpool_limits(threads):
            for _ in range(5):  # in turns, so that both see the same machine
                floors.append(seconds_of(product))
                seconds.append(seconds_of(lambda: pick("bald", fresh(X_ND, model))))
        rows.append(
            (
                threads,
                statistics.median(seconds),
                statistics.median(floors),
                statistics.median(seconds) / statistics.median(floors),
            )
        )
    print(f"bald, N={N:,} D={D} C={C} S={S}")
    table(("threads", "seconds", "floor s", "ratio"), rows)


def all_at_once(X_ND: np.ndarray, model: Model) -> None:
    rows = []
    for name in OTHERS:
        chosen: list[Selection] = []
        seconds = seconds_of(lambda name=name, chosen=chosen: chosen.append(pick(name, fresh(X_ND, model))))
        rows.append((name, seconds, chosen[0].record.get("exact-picks", "-"), *chosen[0].notes))
    print(f"\nN={N:,} D={D} C={C} b={BATCH}, default options")
    table(("strategy", "seconds", "exact picks", "note"), [(*row, "")[:4] for row in rows])


def beside_redux() -> None:
    """The same batch from the same draws: picks, values, seconds."""
    if importlib.util.find_spec("batchbald_redux") is None:
        print("\nbatchbald_redux is not installed: comparison left out")
        return
    import torch
    from batchbald_redux.batchbald import get_batchbald_batch

    rows = []
    for n, n_classes, samples, k, configurations in ((200, 4, 20, 7, 10_000), (200, 10, 50, 6, 10_000)):
        X_ND, model = rows_and_model(n + LABELS, 64, n_classes)
        log_probs_MSC = model.sample_log_probs(X_ND[LABELS:], model.draw(samples, seed=0))
        given = torch.from_numpy(np.ascontiguousarray(log_probs_MSC))
        torch.manual_seed(0)

        def ours(log_probs=log_probs_MSC, k=k, configurations=configurations):
            return greedy(
                log_probs, information(log_probs).astype(np.float32), k, configurations, np.random.default_rng(0)
            )

        def theirs(given=given, k=k, configurations=configurations):
            with contextlib.redirect_stderr(io.StringIO()):
                return get_batchbald_batch(given, k, configurations, dtype=torch.double, device="cpu")

        picks_K, gains_K, exact = ours()
        batch = theirs()
        values_K = np.cumsum(gains_K, dtype=np.float64)
        same = int(np.cumprod(picks_K == batch.indices).sum())
        gap = float(np.abs(values_K - batch.scores)[: min(exact, same)].max())
        seconds, peer = median_seconds(ours, 3), seconds_of(theirs)
        rows.append(
            (
                f"{n} {n_classes} {samples} {k}",
                seconds,
                peer,
                peer / seconds,
                f"{same} of {k}",
                exact,
                gap,
                values_K[-1],
                batch.scores[-1],
            )
        )
    print("\nbatchbald beside batchbald_redux, 10,000 configurations")
    table(
        (
            "N C S b",
            "seconds",
            "redux s",
            "times faster",
            "same picks",
            "exact picks",
            "gap of exact",
            "value",
            "redux value",
        ),
        rows,
    )


if __name__ == "__main__":
    main(Path())
