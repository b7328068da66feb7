"""Two-round greedy (--merge greedi) beside the exact greedy choice, by the number of parts that choose for themselves.

100,000 x 64 rows of length one around 200 centres. `radius` is the largest distance of a row to its nearest of 100
picks of coreset, which lowers it; `coverage` the mean kernel of 5,000 rows with their nearest of 50 picks of
maxherding, which raises it.
Usage: python -m benchmarks --only two_rounds.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from alcli import plugins
from alcli.numerics.teams import Here, using
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from benchmarks.rows import clustered_rows
from benchmarks.timing import table
from tests.helpers import view_of

N, D, CENTRES, EVALUATED = 100_000, 64, 200, 5_000
PARTS = (1, 4, 16, 48)


def main(data: Path) -> None:
    X_ND, _, _ = clustered_rows(N, D, CENTRES, 1.0)
    rows = list(compared(X_ND))
    table(("parts", "radius", "to exact", "coverage", "to exact"), rows)


def compared(X_ND: np.ndarray) -> Iterator[tuple[object, ...]]:
    exact: tuple[float, float] | None = None
    for parts in PARTS:
        found = radius(X_ND, picks("coreset", 100, parts, X_ND)), coverage(X_ND, picks("maxherding", 50, parts, X_ND))
        exact = exact or found
        share = [f"{value / best - 1:+.1%}" for value, best in zip(found, exact)]
        yield parts, f"{found[0]:.4f}", share[0], f"{found[1]:.5f}", share[1]


def picks(name: str, k: int, parts: int, X_ND: np.ndarray) -> np.ndarray:
    with using(Here(parts), "greedi"):
        options = {"evaluation": str(EVALUATED)} if name == "maxherding" else {}
        return select(strategy_of(plugins.load("strategies", name)), view_of(X_ND), k, seed=0, options=options).rows_K


def radius(X_ND: np.ndarray, chosen: np.ndarray) -> float:
    return float(np.sqrt((2.0 - 2.0 * X_ND @ X_ND[chosen].T).min(axis=1).max()))


def coverage(X_ND: np.ndarray, chosen: np.ndarray) -> float:
    some = X_ND[np.random.default_rng(1).permutation(N)[:EVALUATED]]
    return float(np.exp(-np.maximum(2.0 - 2.0 * some @ X_ND[chosen].T, 0.0)).max(axis=1).mean())
