"""The densest rows of a cluster, one after another.

Source: TypiClust (Hacohen, Dekel & Weinshall 2022, "Active learning on a budget", section 3.2) and its published code: typicality is
1 / (mean squared distance to the nearest neighbours + 1e-5), neighbours counted among the rows that are left.
Cost: O(M^2 D) once for a cluster of M rows, float64; then only the rows that lose a neighbour are looked at again. Memory O(M D).
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64

_CELLS = 1 << 22  # of the distance matrix at a time: 32 MiB


class TypicalRows:
    """Takes the most typical row of a cluster off it, as often as asked. most: neighbours looked at, never over half of the rows."""

    def __init__(self, X_MD: Floats, most: int) -> None:
        self._X_MD = X_MD.astype(np.float64)
        self._sq_M = np.square(self._X_MD).sum(axis=1)
        self._left = np.arange(len(X_MD))
        self._most = most
        self._k = -1
        self._neighbours_MK: Int64 = np.empty((len(X_MD), 0), np.int64)
        self._typicality_M = np.zeros(len(X_MD), np.float32)

    def __len__(self) -> int:
        return len(self._left)

    def pop(self) -> tuple[int, float]:
        """The most typical row that is left (the lowest of equals) and its typicality."""
        self._refresh()
        place = int(self._typicality_M[self._left].argmax())
        row = int(self._left[place])
        self._left = np.delete(self._left, place)
        return row, float(self._typicality_M[row])

    def _refresh(self) -> None:
        k = min(self._most, len(self._left) // 2)
        if k != self._k:
            stale = self._left
            self._k, self._neighbours_MK = k, np.empty((len(self._X_MD), k), np.int64)
        else:
            is_left = np.zeros(len(self._X_MD), bool)
            is_left[self._left] = True
            stale = self._left[~is_left[self._neighbours_MK[self._left]].all(axis=1)]
        step = max(1, _CELLS // len(self._left))
        for a in range(0, len(stale), step):
            rows = stale[a : a + step]
            self._neighbours_MK[rows], mean_B = self._nearest(rows)
            self._typicality_M[rows] = 1.0 / (mean_B + 1e-5)

    def _nearest(self, rows_B: Int64) -> tuple[Array, Float64]:
        """The k nearest of the rows left to each of `rows_B`, and their mean squared distance (0 where k is 0)."""
        sq_BM = self._sq_M[rows_B, None] + self._sq_M[self._left] - 2.0 * (self._X_MD[rows_B] @ self._X_MD[self._left].T)
        sq_BM[np.arange(len(rows_B)), np.searchsorted(self._left, rows_B)] = np.inf
        nearest_BK = np.argpartition(sq_BM, max(self._k - 1, 0), axis=1)[:, : self._k]
        total_B = np.maximum(np.take_along_axis(sq_BM, nearest_BK, axis=1), 0.0).sum(axis=1)
        return self._left[nearest_BK], total_B / max(self._k, 1)
