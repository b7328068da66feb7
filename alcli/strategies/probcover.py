"""Rows whose surroundings hold most rows not yet covered.

Greedy cover by balls: each pick is the row whose ball, of a fixed radius, holds most rows that are not
covered yet. Features are scaled to length one. Balls around labelled rows are covered before the first pick.
The radius is the largest at which the balls of 95 % of the rows are pure: a pure ball holds rows of one
cluster of k-means only, with as many clusters as the head has classes. Once all rows are covered, random rows
fill the batch. No label is looked at.

Source: Yehuda, Dekel, Hacohen & Weinshall 2022, "Active learning through a covering lens" (ProbCover), Alg.
1, and its rule of purity.
Deviations: the radius is found exactly and not on a grid, from 2,000 random rows where there are more. While
there is no head, `classes` is the batch size. Coverage is measured on `evaluation` random candidates where
there are more. The published code leaves the balls of the last N mod 500 rows empty, and takes row 0 once
nothing is left to cover; both are not repeated.
Cost: 2 N M D flops, M = min(N, evaluation), half of that for M = N; each pair of a row and a row in its ball
is looked at once; the cost of k-means and of min(N, 2000) more columns unless `delta` is given.
Memory: 350 MiB at most beside the features: 10 bytes a pair, 16 while pairs are found. Where there are more
than 2^24 pairs, the radius is lowered until there are not, and a note says so. With `neighbours=faiss` no
pairs are kept, and the index takes 4 D + 8 bytes a row; a note gives the share of the pairs that it found.
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
from scipy import sparse

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.diversity.kcenter import nearest_centre
from alcli.numerics.diversity.kmeans import k_means
from alcli.numerics.diversity.near_balls import IndexedBalls
from alcli.numerics.diversity.near_pairs import CHUNK, Nearness, PairLists
from alcli.numerics.neighbours.faiss_index import index_bytes
from alcli.numerics.rows import feature_rows, sq_norms, unit_rows
from alcli.selection.conditions import given
from alcli.selection.options import AutoOrCount, at_least, count_or, positive_where_given, share
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import at_places, evaluation_places
from alcli.selection.view import View

MOST_PAIRS = 1 << 24
# Rows whose pairs are counted together.
_AT_ONCE = 4 * BLOCK_ROWS
# Rows whose balls are asked to be pure.
_PURITY_ROWS = 2000
# A count of fewer rows is mostly chance.
_FEW = 10
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
    X_ND = unit_rows(view.matrix("features"))
    of_all = neighbours == "faiss"
    places_M, notes = (np.arange(view.n), ()) if of_all else evaluation_places(view, evaluation, rng)
    if delta is None:
        labels_N = k_means(X_ND, min(max(classes or _known_classes(view) or k, 2), view.n), rng).labels_N
        sample_S = np.sort(rng.permutation(view.n)[:_PURITY_ROWS])
        delta = pure_radius(X_ND, labels_N, sample_S, purity)
    targets, delta = at_places(X_ND, places_M), min(delta, _WIDEST)
    balls = _indexed(view, X_ND, delta, rng) if of_all else Balls(X_ND, targets, delta)
    if balls.radius < delta:
        notes += (
            f"the radius was lowered from {delta:.3g} to {balls.radius:.3g}, "
            "as more pairs of rows are near each other than fit in memory",
        )
    covered_M = are_within(targets, unit_rows(view.labelled()), balls.radius)
    picks, counts = balls.cover(k, covered_M)
    notes += _told(balls, int(counts.max(initial=0)), len(places_M), view.n)
    free = np.setdiff1d(np.arange(view.n), picks)
    fill = rng.permutation(free)[: k - len(picks)]
    if len(fill):
        notes += (
            f"the balls of {len(picks)} picks and the labelled rows cover all that balls can; "
            f"the other {len(fill)} picks are random rows",
        )
    scores_K = np.append(counts / len(places_M), np.zeros(len(fill)))
    return Selection(
        view.rows[np.append(picks, fill)], finite32(scores_K), notes=notes, record={"radius": balls.radius}
    )


def _known_classes(view: View) -> int:
    """The number of classes of the head; 0 without a head, or where labels are numbers."""
    return len(view.network().W_CD1) if view.has_head and not view.regression else 0


def _indexed(view: View, X_ND: Floats, radius: float, rng: np.random.Generator) -> IndexedBalls:
    """The balls of all rows by an index; tells the user beforehand what it takes."""
    view.tell(f"an index of {view.n:,} rows takes {max(1, index_bytes(*X_ND.shape) >> 20):,} MiB beside the features")
    return IndexedBalls(X_ND, radius, rng)


def _told(balls: Balls | IndexedBalls, largest: int, M: int, n: int) -> tuple[str, ...]:
    """A note on what balls are known to hold: by the index, or by M of n rows. largest: the most rows of a ball."""
    if isinstance(balls, IndexedBalls):
        return (f"the index found {balls.share_found:.1%} of the rows in the balls of some rows",)
    if n == M or largest >= _FEW:
        return ()
    return (
        f"no ball holds more than {largest} of the {M:,} rows that coverage is measured on, too few to tell balls "
        "apart (-p neighbours=faiss counts all rows)",
    )


class Balls:
    """The pairs of N rows and M targets that are nearer to each other than a radius.

    targets_MD: X_ND itself (the same object, which halves the work) or other rows of its type. radius: the
    radius that was asked for, lowered where there would be too many pairs. within_NM: sparse [N, M], one
    entry a pair.
    """

    def __init__(self, X_ND: Floats, targets_MD: Floats, radius: float) -> None:
        N, M = len(X_ND), len(targets_MD)
        lists, nearness = PairLists(N), Nearness(X_ND, targets_MD)
        asked = limit = float(X_ND.dtype.type(-(radius**2)))
        with workers() as spread:
            limit = _that_fits(limit, nearness.sampled(spread)[1], MOST_PAIRS / (N * M))
            for a in range(0, N, _AT_ONCE):
                nearness.see_all(a, a + _AT_ONCE, spread, partial(_keep, lists, limit))
                if len(lists) > MOST_PAIRS:
                    limit = -float(np.partition(-lists.nearness(), MOST_PAIRS // 2)[MOST_PAIRS // 2])
                    lists.keep_nearer(limit)
        self.radius = radius if limit == asked else float(np.sqrt(max(-limit, 0.0)))
        blocks = [(np.diff(starts), targets) for starts, targets, _ in lists.by_row()]
        counts, targets = (np.concatenate(parts) for parts in zip(*blocks))
        pairs = np.ones(len(targets), np.int8), targets, np.append(0, np.cumsum(counts))
        self.within_NM = sparse.csr_array(pairs, shape=(N, M))

    def cover(self, k: int, is_covered_M: Array) -> tuple[Int64, Int64]:
        """Pick at most k rows, fewer once no row covers another target.

        is_covered_M: targets that are covered before. Returns the picks and the number of targets that each
        covered first, int64. Ties go to the lowest row.
        """
        rows_of = self.within_NM.tocsc()
        left_M = ~is_covered_M
        degrees_N = self.within_NM @ left_M.astype(np.int64)
        picks: list[int] = []
        covered: list[int] = []
        while len(picks) < k and degrees_N.max(initial=0) > 0:
            row = int(degrees_N.argmax())
            picks.append(row)
            covered.append(int(degrees_N[row]))
            ball = self.within_NM.indices[self.within_NM.indptr[row] : self.within_NM.indptr[row + 1]]
            new = ball[left_M[ball]]
            left_M[new] = False
            losers = [rows_of.indices[rows_of.indptr[i] : rows_of.indptr[i + 1]] for i in new]
            degrees_N -= np.bincount(np.concatenate(losers), minlength=len(degrees_N))
        return np.array(picks, np.int64), np.array(covered, np.int64)


def _that_fits(limit: float, near_NS: Floats, share: float) -> float:
    """The limit; where a sample has more than twice the share of pairs above the limit, a limit that leaves the share.

    So that no block has far too many pairs.
    """
    if (near_NS > limit).mean() <= 2.0 * share:
        return limit
    place = int((1.0 - share) * near_NS.size)
    return float(np.partition(near_NS, place, axis=None)[place])


def _keep(lists: PairLists, limit: float, a: int, c: int, near_BC: Floats, both: bool) -> None:
    """Add the pairs of a block that are above the limit; with `both` their mirror images too."""
    lists.add(a, c, near_BC, limit)
    if both:
        lists.add_mirrored(a, c, near_BC, limit)


def are_within(targets_MD: Floats, centres_LD: Floats, radius: float) -> Array:
    """True where a target lies nearer than the radius to any of the centres, [M]."""
    if not len(centres_LD):
        return np.zeros(len(targets_MD), bool)
    targets, centres = feature_rows(targets_MD, centres_LD)
    with workers() as spread:
        return np.sqrt(nearest_centre(targets, centres, spread)) * targets.scale < radius


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
