"""Greedy k-centre: each pick is the row farthest from all centres so far.

Source: Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"; the batch form of Sener & Savarese 2018, Alg. 1.
Cost: at most 2 (L + k) N D flops and O(32 N) memory; in practice a fraction of k passes, see `_Columns`.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.numerics.blocks import Spread, workers
from alcli.numerics.rows import Rows, sq_distances

_WIDTH = 32


def k_center(rows: Rows, k: int, centres: Rows | None = None) -> tuple[Int64, Float64]:
    """Pick k <= N rows. Without centres the first is the row of largest norm; ties go to the lowest row.

    Returns picks int64 [k] and, for each, its distance to the nearest centre when it was picked (the first: its norm).
    """
    picks, distances = np.empty(k, np.int64), np.empty(k)
    with workers() as spread:
        if centres is not None and centres.n:
            nearest = nearest_centre(rows, centres, spread)
            seen = nearest
        else:
            nearest, seen = np.full(rows.n, np.inf), rows.sq_norms
        columns = _Columns(rows, spread)
        for t in range(k):
            i = int(seen.argmax())
            picks[t], distances[t] = i, seen[i]
            if t + 1 == k:
                break
            inner_N = columns.of(i, seen)
            np.minimum(nearest, sq_distances(rows.sq_norms, inner_N, rows.sq_norms[i], float(inner_N[i])), out=nearest)
            nearest[i] = -np.inf
            seen = nearest
    return picks, np.sqrt(distances) * rows.scale


def nearest_centre(rows: Rows, centres: Rows, spread: Spread) -> Float64:
    """Squared distance of every row to the nearest centre."""
    nearest = np.where(np.isin(rows.marks, centres.marks), 0.0, np.inf)
    for start in range(0, centres.n, _WIDTH):
        index = np.arange(start, min(start + _WIDTH, centres.n))
        inner_NM = rows.inner_with(centres, index, spread)
        for m, c in enumerate(index):
            np.minimum(nearest, sq_distances(rows.sq_norms, inner_NM[:, m], centres.sq_norms[c]), out=nearest)
    return nearest


class _Columns:
    """Inner products with a row, computed for the 32 farthest rows at once.

    Distances only fall, so the next picks are nearly always among the rows that are farthest now, and a product with 32 columns
    costs about as much as six with one. A wrong guess costs nothing but the column: the answer is the exact one.
    """

    def __init__(self, rows: Rows, spread: Spread) -> None:
        self._rows, self._spread = rows, spread
        self._place: dict[int, int] = {}
        self._inner_NM: Array = np.empty((0, 0))

    def of(self, i: int, distances_N: Float64) -> Array:
        if i not in self._place:
            index = self._farthest(i, distances_N)
            self._inner_NM = self._rows.inner_with(self._rows, index, self._spread)
            self._place = {int(row): m for m, row in enumerate(index)}
        return self._inner_NM[:, self._place[i]]

    def _farthest(self, i: int, distances_N: Float64) -> Int64:
        """Row i and the farthest others, _WIDTH in all; a small pool repeats row i."""
        others = np.argpartition(-distances_N, _WIDTH)[:_WIDTH] if len(distances_N) > _WIDTH else np.arange(len(distances_N))
        others = others[others != i][: _WIDTH - 1]
        return np.concatenate([others, np.full(_WIDTH - len(others), i)])
