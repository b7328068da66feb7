"""probcover, typicality and the neighbours of labelled rows by an index of faiss, beside samples and all pairs.

300,000 x 128 rows of length one, 200 picks. Clustered rows lie around 1,000 centres, uniform rows around none.
`covered` is the share of all rows that lie within the radius of a pick, by all pairs.
Usage: python -m benchmarks --only neighbours.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from alcli.numerics.blocks import workers
from alcli.numerics.neighbours.faiss_index import NeighbourIndex
from alcli.numerics.neighbours.nearest_rows import NearestRows
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.strategies import probcover, typiclust
from alcli.strategies.probcover import are_within
from benchmarks.rows import clustered_rows
from benchmarks.timing import seconds_of, table
from tests.helpers import view_of

N, D, K = 300_000, 128, 200
# (rows, pull of a centre, radius)
POOLS = (("clustered", 1.0, 0.8), ("clustered", 1.0, 0.9), ("uniform", 0.0, 1.1))
WAYS = ({}, {"neighbours": "faiss"}, {"evaluation": str(N)})
# Rows of a cluster, of which typicality looks at the 20 nearest others.
CLUSTERS, NEIGHBOURS = (3_000, 20_000), 20

# Labelled rows, and the number of their neighbours that --candidates knn:K asks for.
LABELLED, NEAREST = (100, 1_000, 2_000, 8_000), 100


def main(data: Path) -> None:
    table(("rows", "rows in a cluster", "all pairs s", "index s", "recall", "same of 20 most typical"), list(typical()))
    table(("labelled rows", "one pass s", "index s", "its answers s", "found"), list(near_labelled()))
    for name, pull, radius in POOLS:
        print(f"\n{name} rows, radius {radius}")
        table(("way", "seconds", "picks by cover", "covered", "said"), list(covers(pull, radius)))


def covers(pull: float, radius: float) -> Iterator[tuple[object, ...]]:
    X_ND, _, _ = clustered_rows(N, D, 1000, pull)
    for way in WAYS:
        yield covered(view_of(X_ND), X_ND, radius, way)


def covered(view: View, X_ND: np.ndarray, radius: float, way: dict[str, str]) -> tuple[object, ...]:
    """(the way, seconds, picks that cover, share of the rows that these cover, what was said)."""
    start = time.perf_counter()
    chosen = select(strategy_of(probcover), view, K, seed=0, options={"delta": radius, **way})
    seconds = time.perf_counter() - start
    picks = chosen.rows_K[chosen.scores_K > 0]
    share = float(are_within(X_ND, X_ND[picks], radius).mean())
    said = "; ".join(text for text in chosen.notes if "judged" not in text)
    return " ".join(f"{key}={value}" for key, value in way.items()), seconds, len(picks), f"{share:.2%}", said


def near_labelled() -> Iterator[tuple[object, ...]]:
    X_ND, _, _ = clustered_rows(N, D, 1000, 1.0)
    start = time.perf_counter()
    index = NeighbourIndex(X_ND, np.random.default_rng(0))
    built = time.perf_counter() - start
    for L in LABELLED:
        centres_LD, start = X_ND[np.random.default_rng(1).permutation(N)[:L]], time.perf_counter()
        nearest = NearestRows(centres_LD, NEAREST)
        with workers() as spread:
            for a in range(0, N, 8192):
                nearest.see(np.arange(a, min(a + 8192, N)), X_ND[a : a + 8192], spread)
        true = nearest.keys()
        one_pass, start = time.perf_counter() - start, time.perf_counter()
        found = np.unique(index.nearest(centres_LD, NEAREST)[0])
        seconds = time.perf_counter() - start
        yield L, one_pass, built, seconds, f"{len(np.intersect1d(true, found)) / len(true):.2%}"


def typical() -> Iterator[tuple[object, ...]]:
    for name, centres, pull in (("clustered", 20, 1.0), ("uniform", 1, 0.0)):
        for m in CLUSTERS:
            X_MD = clustered_rows(m, D, centres, pull)[0]
            exact = typiclust.TypicalRows(X_MD, NEIGHBOURS)
            plain = seconds_of(exact.pop)
            start = time.perf_counter()
            index = NeighbourIndex(X_MD, np.random.default_rng(0))
            rows_MK, gaps_MK = index.nearest(X_MD, NEIGHBOURS + 1)
            seconds = time.perf_counter() - start
            true_MW = exact._neighbours_MW[:, :NEIGHBOURS]
            recall = np.mean([len(np.intersect1d(a, b)) / NEIGHBOURS for a, b in zip(true_MW, rows_MK)])
            best = np.argsort(exact._gaps_MW[:, :NEIGHBOURS].mean(axis=1), kind="stable")[:NEIGHBOURS]
            found = np.argsort(np.square(gaps_MK[:, 1:]).mean(axis=1), kind="stable")[:NEIGHBOURS]
            yield name, m, plain, seconds, f"{recall:.1%}", len(np.intersect1d(best, found))


if __name__ == "__main__":
    main(Path())
