"""Greedy k-centre: each pick is the row farthest from all centres so far.

Source: Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"; the batch form of Sener & Savarese 2018, Alg. 1.
Cost: at most 2 (L + k) N D flops and O(32 N) memory; in practice a fraction of k passes, see `numerics/columns.py`.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.numerics.blocks import Spread, workers
from alcli.numerics.columns import WIDTH, Columns, largest
from alcli.numerics.rows import Rows, sq_distances


def k_center(rows: Rows, k: int, centres: Rows | None = None, *, start_N: Float64 | None = None) -> tuple[Int64, Float64]:
    """Pick k <= N rows. Without centres the first is the row of largest norm; ties go to the lowest row.

    start_N: squared distances, in units of the rows' scale, to centres that are no rows; with `rows.sq_norms` the point 0 is one. Once
    every row coincides with a centre, the rest then come by norm, largest first.

    Returns picks int64 [k] and, for each, its distance to the nearest centre when it was picked (the first: its norm).
    """
    picks, distances = np.empty(k, np.int64), np.empty(k)
    with workers() as spread:
        if centres is not None and centres.n:
            nearest = nearest_centre(rows, centres, spread)
            seen = nearest
        elif start_N is not None:
            nearest = seen = start_N.copy()
        else:
            nearest, seen = np.full(rows.n, np.inf), rows.sq_norms
        columns = Columns(rows, spread)
        for t in range(k):
            i = int(seen.argmax())
            if start_N is not None and seen[i] == 0.0:
                picks[t:], distances[t:] = free_by_norm(rows, picks[:t])[: k - t], 0.0
                break
            picks[t], distances[t] = i, seen[i]
            if t + 1 == k:
                break
            inner_N = columns.of(i, lambda seen=seen: largest(seen))  # type: ignore[misc]
            np.minimum(nearest, sq_distances(rows.sq_norms, inner_N, rows.sq_norms[i], float(inner_N[i])), out=nearest)
            nearest[i] = -np.inf
            seen = nearest
    return picks, np.sqrt(distances) * rows.scale


def free_by_norm(rows: Rows, picks: Int64) -> Int64:
    """The rows that were not picked, largest norm first; ties go to the lowest."""
    free = np.setdiff1d(np.arange(rows.n), picks)
    return free[np.argsort(-rows.sq_norms[free], kind="stable")]


def nearest_centre(rows: Rows, centres: Rows, spread: Spread, labels_N: Int64 | None = None) -> Float64:
    """Squared distance of every row to the nearest centre. labels_N: where given, the lowest such centre is written to it (0 for copies)."""
    nearest = np.where(np.isin(rows.marks, centres.marks), 0.0, np.inf)
    for start in range(0, centres.n, WIDTH):
        index = np.arange(start, min(start + WIDTH, centres.n))
        inner_NM = rows.inner_with(centres, index, spread)
        for m, c in enumerate(index):
            sq_N = sq_distances(rows.sq_norms, inner_NM[:, m], centres.sq_norms[c])
            if labels_N is not None:
                labels_N[sq_N < nearest] = c
            np.minimum(nearest, sq_N, out=nearest)
    return nearest
