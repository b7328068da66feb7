"""Rows whose surroundings hold most rows not yet covered.

Greedy cover by balls: each pick is the row whose ball, of a fixed radius, holds most rows that are not
covered yet. Features are scaled to length one. Balls around labelled rows are covered before the first pick.
The radius is the largest at which the balls of 95 % of the rows are pure: a pure ball holds rows of one
cluster of k-means only, with as many clusters as the head has classes. Once all rows are covered, random rows
fill the batch. No label is looked at.

Source: Yehuda, Dekel, Hacohen & Weinshall 2022, "Active learning through a covering lens" (ProbCover), Alg.
1, and its rule of purity.
Deviations: the radius is found exactly and not on a grid, from 2,000 random rows where there are more; of more
than 50,000 rows, k-means and the nearest rows of other clusters look at 50,000 random ones. While there is no
head, `classes` is the batch size. Coverage is measured on `evaluation` random candidates where there are more.
The published code leaves the balls of the last N mod 500 rows empty, and takes row 0 once nothing is left to
cover; both are not repeated.
Cost: 2 N M D flops, M = min(N, evaluation), half of that for M = N; each pair of a row and a row in its ball
is looked at once; the cost of k-means of min(N, 50,000) rows and of min(N, 2000) more columns unless `delta` is
given.
Memory: 10 bytes a pair of a row and a row in its ball, about 500 MiB for 2^24 pairs with all that is freed in
between. Where there are more pairs, the radius is lowered until there are not, by exact counts, and a note says
so; this takes up to 700 MiB. Features in a file are read block by block, and whole only where coverage is
measured on all candidates. With `neighbours=faiss` no pairs are kept, and the index takes
4 D + 8 bytes a row; a note gives the share of the pairs that it found.
Passes: 1.

Options:
    delta: radius of the balls; none finds it by `purity`.
    purity: share of the rows whose balls are to be pure.
    classes: number of clusters of k-means; 0 takes the number of classes of the head, or the batch size
        without a head (at least 2).
    neighbours: the candidates among which the rows of a ball are counted.
        sample: the random candidates of `evaluation`.
        faiss: all candidates, as far as an index of faiss finds them; for many candidates in small clusters.
    evaluation: number of random candidates that coverage is measured on; auto takes all of up to 20,000
        candidates; of more candidates it takes as many as cost the same, at least 5,000.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.engine.forecast import foretell
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.diversity.balls import BallCover, are_within, ball_cover
from alcli.numerics.diversity.kmeans import k_means
from alcli.numerics.diversity.near_pairs import CHUNK
from alcli.numerics.neighbours.faiss_index import NeighbourIndex, index_bytes
from alcli.numerics.rows import sq_norms, stored_unit_rows, unit_rows
from alcli.remarks import steps
from alcli.selection.conditions import given
from alcli.selection.options import AutoOrCount, at_least, count_or, positive_where_given, share
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import at_places, evaluation_places
from alcli.selection.view import View

# Rows that k-means looks at, at most.
_CLUSTERED_ROWS = 50_000
# Rows whose balls are asked to be pure.
_PURITY_ROWS = 2000
# A count of fewer rows is mostly chance.
_FEW = 10
# Rows that are counted anew together.
_ROUND = 64
# Queries that are asked together.
_ASKED = 1024
# Rows whose balls are compared with those of all pairs.
_CHECKED = 128
# No two rows of length one are farther apart.
_WIDEST = 2.0


@batch(needs=["features", "labelled", "network"], random=True, cold=True)
def probcover(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    delta: Annotated[float | None, positive_where_given] = None,
    purity: Annotated[float, share, given(delta=None)] = 0.95,
    classes: Annotated[int, partial(at_least, 0), given(delta=None)] = 0,
    neighbours: Literal["sample", "faiss"] = "sample",
    evaluation: Annotated[AutoOrCount, given(neighbours="sample")] = "auto",
) -> Selection:
    """Pick k rows by greedy cover.

    Scores: the share of the candidates that a pick was the first to cover, 0 for rows that fill the batch.
    """
    at_least(0, classes=classes)
    count_or("auto", evaluation=evaluation)
    share(purity=purity)
    positive_where_given(delta=delta)
    of_all = neighbours == "faiss"
    places_M, notes = (np.arange(view.n), ()) if of_all else evaluation_places(view, evaluation, rng)
    if not of_all:
        foretell(view.tell_cost, "probcover", (view.n, view.dim), len(places_M), CHUNK)
    X_ND, X_LD = stored_unit_rows(view.stored("features")), unit_rows(view.labelled())
    if delta is None:
        delta = _found_radius(X_ND, max(classes or _known_classes(view) or k, 2), purity, rng)
    delta = min(delta, _WIDEST)
    if of_all:
        found, told = _indexed_cover(view, X_ND, k, X_LD, delta, rng)
    else:
        found = ball_cover(X_ND, k, at_places(X_ND, places_M), X_LD, delta)
        told = _few_counted(int(found.counts.max(initial=0)), len(places_M), view.n)
    if found.radius < delta:
        notes += (
            f"the radius was lowered from {delta:.3g} to {found.radius:.3g}, "
            "as more pairs of rows are near each other than fit in memory",
        )
    notes += told
    free = np.setdiff1d(np.arange(view.n), found.picks)
    fill = rng.permutation(free)[: k - len(found.picks)]
    if len(fill):
        notes += (
            f"the balls of {len(found.picks)} picks and the labelled rows cover all that balls can; "
            f"the other {len(fill)} picks are random rows",
        )
    scores_K = np.append(found.counts / len(places_M), np.zeros(len(fill)))
    return Selection(
        view.rows[np.append(found.picks, fill)], finite32(scores_K), notes=notes, record={"radius": found.radius}
    )


def _known_classes(view: View) -> int:
    """The number of classes of the head; 0 without a head, or where labels are numbers."""
    return len(view.network().W_CD1) if view.has_head and not view.regression else 0


def _found_radius(X_ND: BlockArray, n_clusters: int, purity: float, rng: np.random.Generator) -> float:
    """The radius by `purity` with clusters of k-means, of a random part of the rows where there are many."""
    n = len(X_ND)
    X_PD = X_ND[np.sort(rng.permutation(n)[:_CLUSTERED_ROWS])] if n > _CLUSTERED_ROWS else X_ND[0:n]
    labels_P = k_means(X_PD, min(n_clusters, len(X_PD)), rng).labels_N
    return pure_radius(X_PD, labels_P, np.sort(rng.permutation(len(X_PD))[:_PURITY_ROWS]), purity)


def _indexed_cover(
    view: View, X_ND: BlockArray, k: int, X_LD: Floats, radius: float, rng: np.random.Generator
) -> tuple[BallCover, tuple[str, ...]]:
    """A cover by balls that an index finds, and a note on what it finds. What it takes is told beforehand."""
    view.tell(f"an index of {view.n:,} rows takes {max(1, index_bytes(*X_ND.shape) >> 20):,} MiB beside the features")
    balls = IndexedBalls(X_ND, radius, rng)
    picks, counts = balls.cover(k, are_within(X_ND, X_LD, radius))
    note = f"the index found {balls.share_found:.1%} of the rows in the balls of some rows"
    return BallCover(picks, counts, radius), (note,)


def _few_counted(largest: int, M: int, n: int) -> tuple[str, ...]:
    """The note that balls hold few of the M rows of n that coverage is measured on. largest: the rows of one ball."""
    if n == M or largest >= _FEW:
        return ()
    return (
        f"no ball holds more than {largest} of the {M:,} rows that coverage is measured on, too few to tell balls "
        "apart (-p neighbours=faiss counts all rows)",
    )


class IndexedBalls:
    """The balls of N rows of length one, each with all rows that an index finds within the radius.

    The rows of every ball are counted once, and not kept. A pick covers its ball. The count of another row can only
    fall then, so its last count is a bound: only rows whose bound is the largest are counted anew, until the largest
    count is a new one (Minoux 1978). The picks are those of counting all rows anew after each pick.
    Cost: an index, a query for each row, and a query for each count anew. Memory: the index, 4 P + 17 bytes a row for P
    lists that a query looks into, and the rows found by 1,024 queries.
    share_found: of the rows in the balls of 128 rows, the share that the index finds; 1 for balls without rows.
    """

    def __init__(self, X_ND: BlockArray, radius: float, rng: np.random.Generator) -> None:
        self.radius = radius
        self._X_ND = X_ND
        self._index = NeighbourIndex(X_ND, rng)
        self._lists_NP = self._index.lists_of(X_ND)
        self.share_found = self._share_found()

    def cover(self, k: int, is_covered_N: Array) -> tuple[Int64, Int64]:
        """Pick at most k rows, fewer once no row covers another row; see `ball_cover`."""
        left_N = ~is_covered_N
        counts_N = self._count_all(left_N)
        counted_at_N = np.zeros(len(counts_N), np.int64)
        picks: list[int] = []
        covered: list[int] = []
        for _ in steps(range(k), "covering", k):
            while counted_at_N[row := int(counts_N.argmax())] < len(picks) and counts_N[row] > 0:
                stale = np.flatnonzero((counted_at_N < len(picks)) & (counts_N > 0))
                rows = stale[np.argsort(-counts_N[stale], kind="stable")[:_ROUND]]
                counts_N[rows], counted_at_N[rows] = self._count(rows, left_N), len(picks)
            if counts_N[row] == 0:
                break
            picks.append(row)
            covered.append(int(counts_N[row]))
            left_N[self._ball(np.array([row]))[1]] = False
        return np.array(picks, np.int64), np.array(covered, np.int64)

    def _count_all(self, left_N: Array) -> Int64:
        """Count the rows of every ball that are left."""
        counts_N = np.empty(len(left_N), np.int64)
        for a in steps(range(0, len(counts_N), _ASKED), "counting neighbours", -(-len(counts_N) // _ASKED)):
            rows = np.arange(a, min(a + _ASKED, len(counts_N)))
            counts_N[rows] = self._count(rows, left_N)
        return counts_N

    def _count(self, rows_B: Int64, left_N: Array) -> Int64:
        starts, found = self._ball(rows_B)
        totals = np.append(0, np.cumsum(left_N[found]))
        return totals[starts[1:]] - totals[starts[:-1]]

    def _ball(self, rows_B: Int64) -> tuple[Int64, Int64]:
        return self._index.within(self._X_ND[rows_B], self.radius, self._lists_NP[rows_B])

    def _share_found(self) -> float:
        """Compare the balls of a few rows, evenly spread, with those of all pairs. Cost: 256 N D flops."""
        rows = np.unique(np.linspace(0, len(self._X_ND) - 1, _CHECKED).astype(np.int64))
        S_SD, true = self._X_ND[rows], 0
        own_S = sq_norms(S_SD)
        for a in range(0, len(self._X_ND), _ASKED):
            X_BD = self._X_ND[a : a + _ASKED]
            sq_SB = own_S[:, None] + sq_norms(X_BD) - 2.0 * (S_SD @ X_BD.T)
            true += int((sq_SB < self.radius**2).sum())
        found = len(self._ball(rows)[1])
        return min(1.0, found / true) if true else 1.0


def pure_radius(X_ND: Floats, labels_N: Int64, sample_S: Int64, purity: float) -> float:
    """The largest radius at which a share `purity` of the sampled rows have pure balls; inf for one cluster.

    A ball is pure up to the distance of the nearest row of another cluster, so the radius is a quantile of
    such distances over the S sampled rows. Cost: 2 N S D flops.
    """
    sq_N, sq_S = sq_norms(X_ND), sq_norms(X_ND[sample_S])
    S_SD, labels_S = X_ND[sample_S], labels_N[sample_S]
    nearest_S = np.full(len(sample_S), np.inf)
    with workers() as spread:

        def work(first: int, last: int) -> None:
            for s in range(first, last, CHUNK):
                part = slice(s, min(s + CHUNK, last))
                for a in range(0, len(X_ND), BLOCK_ROWS):
                    sq_PB = (
                        sq_S[part, None] + sq_N[a : a + BLOCK_ROWS] - 2.0 * (S_SD[part] @ X_ND[a : a + BLOCK_ROWS].T)
                    )
                    sq_PB[labels_S[part, None] == labels_N[a : a + BLOCK_ROWS]] = np.inf
                    np.minimum(nearest_S[part], sq_PB.min(axis=1), out=nearest_S[part])

        spread(len(sample_S), work)
    gaps_S: Float64 = np.sort(np.sqrt(np.maximum(nearest_S, 0.0)))[::-1]
    return float(gaps_S[int(np.ceil(purity * len(gaps_S))) - 1])
