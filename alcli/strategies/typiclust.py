"""The most typical row of each cluster, clusters without labels and large ones first.

Source: Hacohen, Dekel & Weinshall 2022, "Active learning on a budget: opposite strategies suit high and low budgets", Alg. 1, with
the semantics of the published code: k-means into min(labelled + batch, 500) clusters, those of at most 5 rows left out, visited in
rounds by (labelled rows, -size); typicality over squared distances to min(20, half of the unlabelled members) neighbours.
Deviations: full k-means in place of mini-batches; where clusters hold few rows on average, only those of at most half the average are left
out, since the published limit would leave out most of a small pool; a batch that exhausts the clusters goes on with the small ones.
Cost: k-means (about 10 iterations of 2 N D 500 flops), then O(m^2 D) per visited cluster of m rows.
Passes: about 10.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Annotated

import numpy as np

from alcli.arrays import Array, Int64
from alcli.numerics.blocks import workers
from alcli.numerics.kmeans import k_means
from alcli.numerics.neighbours import TypicalRows
from alcli.numerics.rows import safe_exponent
from alcli.strategies._checks import Count, at_least
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._view import View


@batch(needs=["features", "labelled"], random=True)
def typiclust(
    view: View, k: int, *, rng: np.random.Generator, neighbours: Count = 20, max_clusters: Count = 500,
    min_size: Annotated[int, partial(at_least, 0)] = 5,
) -> Selection:
    """Scores: typicality. neighbours: at most so many; max_clusters: of k-means; min_size: clusters up to it come last,
    or up to half the average size where that is less."""
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
    """Clusters by (labelled rows, -size) in rounds, each as often as it has unlabelled rows; small ones when the others are done."""
    sizes = np.bincount(labels_M)
    labelled = np.bincount(labels_M[is_labelled_M], minlength=len(sizes))
    order = np.lexsort((-sizes, labelled))
    left = sizes - labelled
    for group in (order[sizes[order] > min_size], order[sizes[order] <= min_size]):
        while len(group := group[left[group] > 0]):
            yield from group.tolist()
            left[group] -= 1
