"""The k best of a stream, exact under ties."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float32, Int64


class TopK:
    """Keeps the k rows with the largest scores; equal scores are ordered by the row's key, ascending.

    keys: row numbers -> sortable keys (ids), called only for rows that can still win. Memory O(k + block).
    The result does not depend on the order or the size of the blocks that are offered.
    """

    def __init__(self, k: int, keys: Callable[[Int64], Array]) -> None:
        self._k = k
        self._keys = keys
        self._rows = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float32)
        self._kept: Array | None = None

    def offer(self, rows_B: Int64, scores_B: Float32, kept_BD: Array | None = None) -> None:
        """Add a block of rows with their scores, and what is to be kept of each row that wins."""
        if len(self._rows) == self._k:
            can_win = scores_B >= self._scores[-1]
            rows_B, scores_B = rows_B[can_win], scores_B[can_win]
            kept_BD = None if kept_BD is None else kept_BD[can_win]
        if not len(rows_B):
            return
        if self._kept is not None and kept_BD is not None:
            kept_BD = np.concatenate([self._kept, kept_BD])
        best = self._best(np.concatenate([self._rows, rows_B]), np.concatenate([self._scores, scores_B]))
        self._kept = None if kept_BD is None else kept_BD[best]

    def _best(self, rows: Int64, scores: Float32) -> Int64:
        """Make the k best of these rows the present ones; returns their places."""
        places = np.arange(len(rows))
        if len(rows) > self._k:
            border = -np.partition(-scores, self._k - 1)[self._k - 1]
            places = np.flatnonzero(scores >= border)
        # Keys may be strings; ranks among the few that are left sort faster than object comparisons in lexsort.
        ranks = np.unique(self._keys(rows[places]), return_inverse=True)[1]
        places = places[np.lexsort((ranks, -scores[places]))[: self._k]]
        self._rows, self._scores = rows[places], scores[places]
        return places

    def result(self) -> tuple[Int64, Float32]:
        """Rows and scores, best first."""
        return self._rows, self._scores

    @property
    def kept(self) -> Array | None:
        """What was kept of the winners, in the order of `result`; None when nothing was offered to be kept."""
        return self._kept
