"""Largest cluster, maximum distance: pick the farthest row of the cluster with the largest sum of squared distances.

The centres are the labelled rows and the picks. A cluster is the set of rows with the same nearest centre.

Source: Holzmueller, Zaverkin, Kaestner & Steinwart 2023, "A framework and benchmark for deep batch active learning for
regression", section 4.3 (LCMD-TP: labelled rows are centres from the start).
Cost: at most 2 N D flops for each centre, usually much fewer (`numerics/diversity/columns.py`), and three passes over N
numbers a pick; O(32 N) memory.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.numerics.blocks import workers
from alcli.numerics.diversity.columns import WIDTH, GramColumns
from alcli.numerics.diversity.kcenter import nearest_centre
from alcli.numerics.rows import Rows, sq_distances
from alcli.remarks import steps

# The second row of a cluster is guessed to be as likely a pick as the first row of a cluster with 0.95 times its sum.
# The value was tuned to compute few columns; it does not change the picks.
_NEXT_BEST = 0.95


def lcmd(rows: Rows, k: int, centres: Rows | None = None) -> tuple[Int64, Float64]:
    """Pick k <= N rows. Without centres the first is the row of largest norm.

    Ties go to the lowest cluster, then to the lowest row. Once every row coincides with a centre, the remaining
    picks are the free rows in order.
    Returns picks int64 [k] and, for each, its distance to the nearest centre when it was picked (the first: its norm).
    """
    picks, distances = np.empty(k, np.int64), np.empty(k)
    n_centres, labels = 0 if centres is None else centres.n, np.zeros(rows.n, np.int64)
    nearest, is_free = np.full(rows.n, np.inf), np.ones(rows.n, bool)
    with workers() as spread:
        columns = GramColumns(rows, spread)
        if centres is not None and n_centres:
            nearest = nearest_centre(rows, centres, spread, labels)
        for t in steps(range(k), "picking", k):
            sums: Float64 = (
                np.bincount(labels, nearest, n_centres + t).astype(np.float64) if n_centres + t else np.empty(0)
            )
            i = _next(rows, labels, nearest, is_free, sums)
            picks[t], distances[t] = i, nearest[i] if len(sums) else rows.sq_norms[i]
            is_free[i] = False
            inner_N = columns.of(i, lambda sums=sums: _likely(labels, nearest, sums))  # type: ignore[misc]
            sq_N = sq_distances(rows.sq_norms, inner_N, rows.sq_norms[i], float(inner_N[i]))
            sq_N[i] = 0.0
            labels[sq_N < nearest] = n_centres + t
            np.minimum(nearest, sq_N, out=nearest)
    return picks, np.sqrt(distances) * rows.scale


def _next(rows: Rows, labels: Int64, nearest: Float64, is_free: np.ndarray, sums: Float64) -> int:
    """Choose the next pick.

    sums: the sum of the squared distances of each cluster, empty while there are no centres.
    """
    if not len(sums):
        return int(rows.sq_norms.argmax())
    cluster = int(sums.argmax())
    if sums[cluster] == 0.0:
        return int(is_free.argmax())
    return int(np.where(labels == cluster, nearest, -1.0).argmax())


def _likely(labels: Int64, nearest: Float64, sums: Float64) -> Int64:
    """Guess the next picks: the farthest rows of clusters with large sums.

    A pick divides its cluster, and other rows of the cluster may be picked soon after it. So a cluster offers several
    rows, each with a lower priority than the one before.
    """
    if not len(sums):
        return np.arange(min(len(labels), WIDTH))
    order = np.lexsort((-nearest, labels))
    sizes = np.bincount(labels, minlength=len(sums))
    rank_in_cluster = np.arange(len(order)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    promise = sums[labels[order]] * _NEXT_BEST**rank_in_cluster
    return order[np.argsort(-promise, kind="stable")[:WIDTH]]
