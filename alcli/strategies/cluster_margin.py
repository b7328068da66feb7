"""Rows of small margin, spread evenly over clusters.

The margins of all candidates are looked at. The `factor` K rows of smallest margin and random other rows,
`candidates` in all, are clustered by average linkage. The batch takes one random row of small margin from
each cluster in turn, small clusters first.

Source: Citovsky, DeSalvo, Gentile, Karydas, Rajagopalan, Rostamizadeh & Kumar 2021, "Batch active learning at
scale" (Cluster-Margin), Alg. 1 and 2; linkage by the nearest-neighbour chain (Murtagh 1983).
Deviations: the paper clusters the whole pool once for all rounds, here the clusters follow from each query
alone. Without eps, which the paper sets to leave enough clusters, merging stops at as many clusters as rows
asked for; it never goes on beyond that number.
Cost: the head's predictions for N rows, then M^2 D flops and M^2 steps of the chain for M = min(N,
candidates) rows; memory 8 M^2 bytes, two triangles of float64 (0.8 GB for 10,000 rows, 3.2 GB for 20,000).
Passes: 1.

Options:
    factor: number of rows of small margin, as a multiple of the batch size.
    eps: mean distance between two clusters up to which they merge; none merges until there are as many
        clusters as rows asked for.
    candidates: number of rows that are clustered, at least the rows of small margin.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.errors import UsageError
from alcli.numerics.blocks import workers
from alcli.numerics.factors import safe_exponent
from alcli.selection.options import positive, positive_where_given
from alcli.selection.order import finite32
from alcli.selection.parts import Parts
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.margin import margin

# Rows, and other rows, whose distances are computed together.
_ROWS, _OTHERS = 256, 2048
_MOST = 20_000  # rows that are clustered


@batch(needs=["features", "log_probs"], random=True)
def cluster_margin(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    factor: Annotated[float, positive] = 10.0,
    eps: Annotated[float | None, positive_where_given] = None,
    candidates: Annotated[int, _linked] = 10_000,
) -> Selection:
    """Pick k rows of small margin from the clusters in turn.

    Scores: 1 - (p_1 - p_2). Raises UsageError for more than 20,000 rows of small margin.
    """
    positive(factor=factor)
    positive_where_given(eps=eps)
    _linked(candidates=candidates)
    scores_N = finite32(Parts.of(view).means(margin, "log_probs"))
    order_N = np.argsort(-scores_N, kind="stable")
    small_M = order_N[: max(k, round(min(factor * k, view.n)))]
    if len(small_M) > _MOST:
        raise UsageError(
            f"{len(small_M):,} rows of small margin are too many to cluster (at most {_MOST:,})",
            hint="lower -p factor, or ask for fewer rows",
        )
    others = rng.permutation(order_N[len(small_M) :])[: max(candidates - len(small_M), 0)]
    labels = average_clusters(view.matrix("features")[np.append(small_M, others)], at_least=k, eps=eps)
    picks_K = small_M[in_turns(labels[: len(small_M)], k, rng)]
    return Selection(view.rows[picks_K], scores_N[picks_K], record={"clusters": int(labels.max()) + 1})


def _linked(**options: int) -> None:
    """Raise UsageError for a number of rows that cannot be clustered."""
    for name, value in options.items():
        if not 1 <= value <= _MOST:
            raise UsageError(
                f"parameter '{name}' must be at least 1 and at most {_MOST:,}, as the distances of all pairs are held, "
                f"got {value}"
            )


def average_clusters(X_ND: Floats, *, at_least: int, eps: float | None) -> Int64:
    """Cluster rows by average linkage; return the cluster of each row, int64 [N].

    Clusters merge while their mean distance is at most eps and there are more than `at_least` clusters. eps:
    None merges until there are `at_least` clusters (at most N).
    Cost: O(N^2 D) for the distances, O(N^2) for the chain; memory 8 N^2 bytes.
    """
    N = len(X_ND)
    if N == 1:
        return np.zeros(1, np.int64)
    exponent = safe_exponent(X_ND)
    merges = linkage(_pair_distances(np.ldexp(X_ND.astype(np.float64), -exponent)), "average")
    most = max(N - at_least, 0)
    n_merges = (
        most if eps is None else min(most, int(np.searchsorted(merges[:, 2], np.ldexp(eps, -exponent), side="right")))
    )
    parents = np.repeat(N + np.arange(n_merges), 2)
    children = merges[:n_merges, :2].astype(np.int64).ravel()
    links = coo_array((np.ones(2 * n_merges, bool), (parents, children)), shape=(2 * N, 2 * N))
    labels: Array = connected_components(links, directed=False)[1][:N]
    return np.unique(labels, return_inverse=True)[1].astype(np.int64)


def _pair_distances(X_ND: Float64) -> Float64:
    """The distances of all pairs, row after row of the upper triangle, float64 [N (N - 1) / 2]."""
    N, sq_N = len(X_ND), np.square(X_ND).sum(axis=1)
    # The place at which the distance of row i to row 0 would stand if the whole row were written out.
    before_N = np.append(0, np.cumsum(np.arange(N - 1, 0, -1))) - np.arange(N) - 1
    out = np.empty(N * (N - 1) // 2)

    def work(first: int, last: int) -> None:
        for a in range(first, last, _ROWS):
            b = min(a + _ROWS, last)
            minus_twice_BD = -2.0 * X_ND[a:b]
            for c in range(a, N, _OTHERS):
                d = min(c + _OTHERS, N)
                sq_BC = sq_N[a:b, None] + sq_N[c:d]
                sq_BC += minus_twice_BD @ X_ND[c:d].T
                np.sqrt(np.maximum(sq_BC, 0.0, out=sq_BC), out=sq_BC)
                for i in range(a, min(b, d - 1)):
                    from_ = max(c, i + 1)
                    out[before_N[i] + from_ : before_N[i] + d] = sq_BC[i - a, from_ - c :]

    with workers() as spread:
        spread(N, work)
    return out


def in_turns(labels_M: Int64, k: int, rng: np.random.Generator) -> Int64:
    """Pick k <= M rows: one random row of each cluster in turn, small clusters first, round after round.

    labels_M: the cluster of each row. A cluster without rows left is passed over.
    """
    order_M = rng.permutation(len(labels_M))
    by_cluster_M = order_M[np.argsort(labels_M[order_M], kind="stable")]
    sizes_C = np.bincount(labels_M)
    # The round in which a row's turn comes.
    round_M = np.empty(len(labels_M), np.int64)
    round_M[by_cluster_M] = np.arange(len(labels_M)) - np.repeat(np.cumsum(sizes_C) - sizes_C, sizes_C)
    return np.lexsort((labels_M, sizes_C[labels_M], round_M))[:k]
