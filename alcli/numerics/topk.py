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

    def offer(self, rows_B: Int64, scores_B: Float32) -> None:
        """Add a block of rows with their scores."""
        if len(self._rows) == self._k:
            can_win = scores_B >= self._scores[-1]
            rows_B, scores_B = rows_B[can_win], scores_B[can_win]
        if len(rows_B):
            self._keep_best(np.concatenate([self._rows, rows_B]), np.concatenate([self._scores, scores_B]))

    def _keep_best(self, rows: Int64, scores: Float32) -> None:
        if len(rows) > self._k:
            border = -np.partition(-scores, self._k - 1)[self._k - 1]
            rows, scores = rows[scores >= border], scores[scores >= border]
        # Keys may be strings; ranks among the few that are left sort faster than object comparisons in lexsort.
        ranks = np.unique(self._keys(rows), return_inverse=True)[1]
        order = np.lexsort((ranks, -scores))[: self._k]
        self._rows, self._scores = rows[order], scores[order]

    def result(self) -> tuple[Int64, Float32]:
        """Rows and scores, best first."""
        return self._rows, self._scores
