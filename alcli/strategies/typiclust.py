"""Typical rows, one a cluster; clusters without labels first.

k-means divides the rows into min(labelled + batch, `max-clusters`) clusters. Clusters are visited in rounds,
clusters with the fewest labelled rows first, then the largest first, and clusters of at most `min-size` rows
last. Each visit picks the most typical unlabelled row. The typicality of a row is 1 / (mean squared distance
to its nearest neighbours + 1e-5), where neighbours are the unlabelled rows of the cluster that are not picked
yet: `neighbours` of them, or half of all of them where that is less.

Source: Hacohen, Dekel & Weinshall 2022, "Active learning on a budget: opposite strategies suit high and low
budgets", section 3.2 and Alg. 1, with the semantics of the published code: 500 clusters at most, clusters of
at most 5 rows left out, 20 neighbours.
Deviations: full k-means in place of mini-batches. Where clusters hold few rows on average, only clusters of
at most half the average are left out, since the published limit would leave out most of a small pool. A batch
that exhausts the clusters goes on with the small ones.
Cost: k-means (about 10 iterations of 2 N D 500 flops), then O(m^2 D) per visited cluster of m rows.
Passes: about 10.

Options:
    neighbours: the most neighbours that typicality looks at.
    max-clusters: the most clusters of k-means.
    min-size: size up to which a cluster is visited last; half the average size where that is less.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import workers
from alcli.numerics.diversity.kmeans import k_means
from alcli.numerics.factors import safe_exponent
from alcli.selection.options import Count, at_least
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View

# Numbers of the distance matrix that are computed together: 32 MiB.
_CELLS = 1 << 22


@batch(needs=["features", "labelled"], random=True)
def typiclust(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    neighbours: Count = 20,
    max_clusters: Count = 500,
    min_size: Annotated[int, partial(at_least, 0)] = 5,
) -> Selection:
    """Pick the most typical rows of the clusters. Scores: the typicality when the row was picked."""
    at_least(1, neighbours=neighbours, max_clusters=max_clusters)
    at_least(0, min_size=min_size)
    rows_M, X_MD, is_labelled_M = view.with_labelled()
    n_clusters = min(view.n_labelled + k, max_clusters, len(X_MD))
    labels_M = k_means(X_MD, n_clusters, rng, greedy=True).labels_N
    small = min(min_size, len(X_MD) / n_clusters / 2)
    exponent = safe_exponent(X_MD)
    clusters: dict[int, tuple[Int64, TypicalRows]] = {}
    picks, scores = [], []
    with workers():
        for cluster in _visits(labels_M, is_labelled_M, small):
            if cluster not in clusters:
                members = np.flatnonzero((labels_M == cluster) & ~is_labelled_M)
                clusters[cluster] = members, TypicalRows(np.ldexp(X_MD[members], -exponent), neighbours)
            members, typical = clusters[cluster]
            row, score = typical.pop()
            picks.append(members[row])
            scores.append(score)
            if len(picks) == k:
                break
    return Selection(rows_M[picks], finite32(np.array(scores)))


def _visits(labels_M: Int64, is_labelled_M: Array, min_size: float) -> Iterator[int]:
    """The clusters in rounds, by (labelled rows, -size), each as often as it has unlabelled rows.

    Clusters of at most `min_size` rows follow when the others are exhausted.
    """
    sizes = np.bincount(labels_M)
    labelled = np.bincount(labels_M[is_labelled_M], minlength=len(sizes))
    order = np.lexsort((-sizes, labelled))
    left = sizes - labelled
    for group in (order[sizes[order] > min_size], order[sizes[order] <= min_size]):
        while len(group := group[left[group] > 0]):
            yield from group.tolist()
            left[group] -= 1


class TypicalRows:
    """The M unlabelled rows of a cluster, from which the most typical row is taken, again and again.

    most: the most neighbours that are looked at, never more than half of the rows that are left.
    Cost: O(M^2 D) once, float64; O(M) per row taken, and O(m M D) for the m rows that have lost most of the
    neighbours they knew. Memory: O(M D).
    """

    def __init__(self, X_MD: Floats, most: int) -> None:
        self._X_MD = X_MD.astype(np.float64)
        self._sq_M = np.square(self._X_MD).sum(axis=1)
        self._left = np.arange(len(X_MD))
        self._most = most
        # Twice as many neighbours as needed are kept: a row is looked at again only when most of its
        # neighbours are taken.
        width = min(2 * most, max(len(X_MD) - 1, 0))
        self._neighbours_MW: Int64 = np.full((len(X_MD), width), -1)
        self._gaps_MW = np.zeros((len(X_MD), width))

    def __len__(self) -> int:
        return len(self._left)

    def pop(self) -> tuple[int, float]:
        """Take the most typical row that is left (the lowest of equals); return (row, its typicality)."""
        k = min(self._most, len(self._left) // 2)
        typicality_B = (1.0 / (self._mean_gaps(k) + 1e-5)).astype(np.float32)
        place = int(typicality_B.argmax())
        row = int(self._left[place])
        self._left = np.delete(self._left, place)
        return row, float(typicality_B[place])

    def _mean_gaps(self, k: int) -> Float64:
        """The mean squared distance of every row that is left to the k nearest others (0 where k is 0)."""
        # The last entry stands for neighbour -1, "not known".
        is_left = np.zeros(len(self._X_MD) + 1, bool)
        is_left[self._left] = True
        counts = is_left[self._neighbours_MW[self._left]]
        stale = counts.sum(axis=1) < k
        step = max(1, _CELLS // max(len(self._left), 1))
        for rows in np.array_split(self._left[stale], -(-int(stale.sum()) // step) or 1):
            self._look_again(rows)
        counts[stale] = is_left[self._neighbours_MW[self._left[stale]]]
        nearest = counts & (np.cumsum(counts, axis=1) <= k)
        totals: Float64 = np.where(nearest, self._gaps_MW[self._left], 0.0).sum(axis=1)
        return totals / max(k, 1)

    def _look_again(self, rows_B: Int64) -> None:
        """Find the nearest rows, among those that are left, to each of `rows_B`, in the order of their distances."""
        sq_BM = (
            self._sq_M[rows_B, None] + self._sq_M[self._left] - 2.0 * (self._X_MD[rows_B] @ self._X_MD[self._left].T)
        )
        sq_BM[np.arange(len(rows_B)), np.searchsorted(self._left, rows_B)] = np.inf
        width = min(self._neighbours_MW.shape[1], len(self._left) - 1)
        nearest_BW = (
            np.argpartition(sq_BM, width - 1, axis=1)[:, :width] if width else np.empty((len(rows_B), 0), np.int64)
        )
        gaps_BW = np.maximum(np.take_along_axis(sq_BM, nearest_BW, axis=1), 0.0)
        order = np.argsort(gaps_BW, axis=1, kind="stable")
        self._neighbours_MW[rows_B] = -1
        self._neighbours_MW[rows_B, :width] = self._left[np.take_along_axis(nearest_BW, order, axis=1)]
        self._gaps_MW[rows_B, :width] = np.take_along_axis(gaps_BW, order, axis=1)
