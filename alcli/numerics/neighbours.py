"""The densest rows of a cluster, one after another.

Source: TypiClust (Hacohen, Dekel & Weinshall 2022, "Active learning on a budget", section 3.2) and its published code: typicality is
1 / (mean squared distance to the nearest neighbours + 1e-5), neighbours counted among the rows that are left.
Cost: O(M^2 D) once for a cluster of M rows, float64; O(M) per row taken, and O(m M D) for the m rows that have lost most
of the neighbours they knew. Memory O(M D).
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Floats, Int64

_CELLS = 1 << 22  # of the distance matrix at a time: 32 MiB


class TypicalRows:
    """Takes the most typical row of a cluster off it, as often as asked. most: neighbours looked at, never over half of the rows."""

    def __init__(self, X_MD: Floats, most: int) -> None:
        self._X_MD = X_MD.astype(np.float64)
        self._sq_M = np.square(self._X_MD).sum(axis=1)
        self._left = np.arange(len(X_MD))
        self._most = most
        # Twice as many neighbours as needed are kept: a row is looked at again only when most of its neighbours have left.
        width = min(2 * most, max(len(X_MD) - 1, 0))
        self._neighbours_MW: Int64 = np.full((len(X_MD), width), -1)
        self._gaps_MW = np.zeros((len(X_MD), width))

    def __len__(self) -> int:
        return len(self._left)

    def pop(self) -> tuple[int, float]:
        """The most typical row that is left (the lowest of equals) and its typicality."""
        k = min(self._most, len(self._left) // 2)
        typicality_B = (1.0 / (self._mean_gaps(k) + 1e-5)).astype(np.float32)
        place = int(typicality_B.argmax())
        row = int(self._left[place])
        self._left = np.delete(self._left, place)
        return row, float(typicality_B[place])

    def _mean_gaps(self, k: int) -> Float64:
        """Mean squared distance of every row that is left to the k nearest others (0 where k is 0)."""
        is_left = np.zeros(len(self._X_MD) + 1, bool)  # the last entry stands for neighbour -1, "not known"
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
        """Find the nearest rows left to each of `rows_B`, in order of distance."""
        sq_BM = self._sq_M[rows_B, None] + self._sq_M[self._left] - 2.0 * (self._X_MD[rows_B] @ self._X_MD[self._left].T)
        sq_BM[np.arange(len(rows_B)), np.searchsorted(self._left, rows_B)] = np.inf
        width = min(self._neighbours_MW.shape[1], len(self._left) - 1)
        nearest_BW = np.argpartition(sq_BM, width - 1, axis=1)[:, :width] if width else np.empty((len(rows_B), 0), np.int64)
        gaps_BW = np.maximum(np.take_along_axis(sq_BM, nearest_BW, axis=1), 0.0)
        order = np.argsort(gaps_BW, axis=1, kind="stable")
        self._neighbours_MW[rows_B] = -1
        self._neighbours_MW[rows_B, :width] = self._left[np.take_along_axis(nearest_BW, order, axis=1)]
        self._gaps_MW[rows_B, :width] = np.take_along_axis(gaps_BW, order, axis=1)
