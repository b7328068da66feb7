"""Lloyd's k-means with a k-means++ start.

K is the number of clusters. An empty cluster is moved to the row that is farthest from its centre.

Source: Lloyd 1982; Arthur & Vassilvitskii 2007 for the start.
Cost: 2 N D K flops per iteration (products in the dtype of the rows, float64 sums) and O(N + K D) memory beside the
rows.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.diversity.kmeanspp import greedy_k_means_pp, k_means_pp
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows, feature_rows
from alcli.remarks import steps

_SUM_ROWS = 4 * BLOCK_ROWS
_CENTRES = 32
_START_ROWS, _START_ROWS_A_CLUSTER = 2 * BLOCK_ROWS, 16


@dataclass(frozen=True)
class Clusters:
    """A clustering of N rows.

    labels_N: the cluster of every row, int64. centres_KD: the means of the clusters, float64.
    inertia: the sum of the squared distances of the rows to their centres.
    """

    labels_N: Int64
    centres_KD: Float64
    inertia: float


def k_means(
    X_ND: Floats,
    k: int,
    rng: np.random.Generator,
    *,
    iterations: int = 20,
    tolerance: float = 1e-3,
    greedy: bool = False,
) -> Clusters:
    """Divide the rows into k <= N clusters.

    Stops when an iteration lowers the inertia by at most `tolerance` of itself.
    greedy: choose each initial centre as the best of several draws, which lowers the final inertia by some per
    cent. With many rows the initial centres come from a random part of the rows, so that the choice costs about one
    iteration. The result depends on the rows, their order and `rng`, not on the number of threads.
    """
    rows = Rows(Factor(X_ND))
    F_ND = rows.factors[0].F_ND
    picks = _greedy_start(X_ND, k, rng) if greedy else k_means_pp(rows, k, int(rng.integers(rows.n)), rng)[0]
    centres, inertia = F_ND[picks].astype(np.float64), np.inf
    with workers() as spread:
        for _ in steps(range(iterations), "clustering", iterations):
            labels, gaps = _assign(rows, centres, spread)
            centres, sizes = _means(F_ND, _without_empty(labels, gaps, k), k)
            spread_within = float(rows.sq_norms.sum() - sizes @ np.square(centres).sum(axis=1))
            before, inertia = inertia, max(spread_within, 0.0)
            if before - inertia <= tolerance * inertia:
                break
    return Clusters(labels, centres * rows.scale, inertia * rows.scale**2)


def central_rows(X_ND: Floats, k: int, rng: np.random.Generator) -> tuple[Int64, Float64]:
    """Find the row nearest to the centre of each of k clusters, the largest cluster first.

    Returns row numbers int64 [k] and the sizes of the clusters, float64 [k].
    """
    clusters = k_means(X_ND, k, rng)
    sizes_K = np.bincount(clusters.labels_N, minlength=k)
    order_K = np.argsort(-sizes_K, kind="stable")
    picks_K, _ = nearest_rows(X_ND, clusters.centres_KD, order_K)
    return picks_K, sizes_K[order_K].astype(np.float64)


def nearest_rows(X_ND: Floats, centres_KD: Float64, order_K: Int64) -> tuple[Int64, Float64]:
    """Give each centre, in the order of `order_K`, the nearest row that no earlier centre was given.

    Returns row numbers int64 [K] and their distances to the centre float64 [K], both in the order of `order_K`.
    Cost: 2 N D K flops, O(32 N) memory.
    """
    centres_KD = centres_KD[order_K].astype(X_ND.dtype)
    rows, centres = feature_rows(X_ND, centres_KD)
    picks, gaps = np.empty(centres.n, np.int64), np.empty(centres.n)
    is_taken = np.zeros(rows.n, bool)
    with workers() as spread:
        for start in range(0, centres.n, _CENTRES):
            index = np.arange(start, min(start + _CENTRES, centres.n))
            inner_NM = rows.inner_with(centres, index, spread)
            for m, c in enumerate(index):
                sq_N = rows.sq_norms - 2.0 * inner_NM[:, m]
                sq_N[is_taken] = np.inf
                picks[c] = sq_N.argmin()
                gaps[c] = sq_N[picks[c]] + centres.sq_norms[c]
                is_taken[picks[c]] = True
    return picks, np.sqrt(np.maximum(gaps, 0.0)) * rows.scale


def _greedy_start(X_ND: Floats, k: int, rng: np.random.Generator) -> Int64:
    """Choose k rows as initial centres by greedy k-means++, with many rows among a random part of the rows."""
    most = max(_START_ROWS, _START_ROWS_A_CLUSTER * k)
    if len(X_ND) <= most:
        return greedy_k_means_pp(Rows(Factor(X_ND)), k, rng)
    part = np.sort(rng.permutation(len(X_ND))[:most])
    return part[greedy_k_means_pp(Rows(Factor(X_ND[part])), k, rng)]


def _assign(rows: Rows, centres_KD: Float64, spread: Spread) -> tuple[Int64, Float64]:
    """Find the nearest centre of every row (the lowest of equals), and the squared distance to it."""
    F_ND = rows.factors[0].F_ND
    labels, gaps = np.empty(rows.n, np.int64), np.empty(rows.n)
    C_DK = np.ascontiguousarray(centres_KD.T, dtype=F_ND.dtype)
    half_K = (np.square(centres_KD).sum(axis=1) / 2).astype(F_ND.dtype)

    def work(first: int, last: int) -> None:
        for a in range(first, last, BLOCK_ROWS):
            closeness_BK = F_ND[a : min(a + BLOCK_ROWS, last)] @ C_DK
            closeness_BK -= half_K
            best_B = closeness_BK.argmax(axis=1)
            labels[a : a + len(best_B)] = best_B
            gaps[a : a + len(best_B)] = -2.0 * closeness_BK[np.arange(len(best_B)), best_B]

    spread(rows.n, work)
    return labels, np.maximum(gaps + rows.sq_norms, 0.0)


def _without_empty(labels_N: Int64, gaps_N: Float64, k: int) -> Int64:
    """Give every empty cluster the row farthest from its centre, in place. The last row of a cluster stays there."""
    sizes = np.bincount(labels_N, minlength=k)
    empty = np.flatnonzero(sizes == 0)
    if len(empty):
        far = iter(np.argsort(-gaps_N, kind="stable"))
        for cluster in empty:
            row = next(i for i in far if sizes[labels_N[i]] > 1)
            sizes[labels_N[row]] -= 1
            labels_N[row], sizes[cluster] = cluster, 1
    return labels_N


def _means(F_ND: Array, labels_N: Int64, k: int) -> tuple[Float64, Float64]:
    """Compute the mean and the number of rows of every cluster. Sums are float64, in the order of the rows."""
    sums = np.zeros((k, F_ND.shape[1]))
    for a in range(0, len(F_ND), _SUM_ROWS):
        labels_B = labels_N[a : a + _SUM_ROWS]
        member_KB = sparse.csr_matrix(
            (np.ones(len(labels_B)), (labels_B, np.arange(len(labels_B)))), shape=(k, len(labels_B))
        )
        sums += member_KB @ F_ND[a : a + _SUM_ROWS]
    sizes = np.bincount(labels_N, minlength=k).astype(np.float64)
    return sums / sizes[:, None], sizes
