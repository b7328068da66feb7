"""Cover by balls that hold all rows near their centre, where all pairs of rows do not fit: neighbours by an index.

A ball is what the index finds within the radius of its row. The rows of every ball are counted once, and not kept. A
pick covers its ball. The count of another row can only fall then, so its last count is a bound: only rows whose bound
is the largest are counted anew, until the largest count is a new one. The picks are those of counting all rows anew
after each pick.

Source: Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions".
Cost: an index, a query for each row, and a query for each count anew. Memory: the index, 4 P + 17 bytes a row, and the
rows found by 1,024 queries.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Int64
from alcli.numerics.block_array import BlockArray
from alcli.numerics.neighbours.faiss_index import NeighbourIndex
from alcli.numerics.rows import sq_norms
from alcli.remarks import steps

# Rows that are counted anew together.
_ROUND = 64
# Queries that are asked together.
_ASKED = 1024
# Rows whose balls are compared with those of all pairs.
_CHECKED = 128


class IndexedBalls:
    """The balls of N rows of length one, each with all rows that the index finds within the radius.

    share_found: of the rows in the balls of 128 rows, the share that the index finds; 1 for balls without rows.
    """

    def __init__(self, X_ND: BlockArray, radius: float, rng: np.random.Generator) -> None:
        self.radius = radius
        self._X_ND = X_ND
        self._index = NeighbourIndex(X_ND, rng)
        self._lists_NP = self._index.lists_of(X_ND)
        self.share_found = self._share_found()

    def cover(self, k: int, is_covered_N: Array) -> tuple[Int64, Int64]:
        """Pick at most k rows, fewer once no row covers another row; see `Balls.cover` of probcover."""
        left_N = ~is_covered_N
        counts_N = self._count_all(left_N)
        counted_at_N = np.zeros(len(counts_N), np.int64)
        picks: list[int] = []
        covered: list[int] = []
        for _ in steps(range(k), "covering", k):
            while counted_at_N[row := int(counts_N.argmax())] < len(picks) and counts_N[row] > 0:
                stale = np.flatnonzero((counted_at_N < len(picks)) & (counts_N > 0))
                rows = stale[np.argsort(-counts_N[stale], kind="stable")[:_ROUND]]
                counts_N[rows], counted_at_N[rows] = self._count(rows, left_N), len(picks)
            if counts_N[row] == 0:
                break
            picks.append(row)
            covered.append(int(counts_N[row]))
            left_N[self._ball(np.array([row]))[1]] = False
        return np.array(picks, np.int64), np.array(covered, np.int64)

    def _count_all(self, left_N: Array) -> Int64:
        """Count the rows of every ball that are left."""
        counts_N = np.empty(len(left_N), np.int64)
        for a in steps(range(0, len(counts_N), _ASKED), "counting neighbours", -(-len(counts_N) // _ASKED)):
            rows = np.arange(a, min(a + _ASKED, len(counts_N)))
            counts_N[rows] = self._count(rows, left_N)
        return counts_N

    def _count(self, rows_B: Int64, left_N: Array) -> Int64:
        starts, found = self._ball(rows_B)
        totals = np.append(0, np.cumsum(left_N[found]))
        return totals[starts[1:]] - totals[starts[:-1]]

    def _ball(self, rows_B: Int64) -> tuple[Int64, Int64]:
        return self._index.within(self._X_ND[rows_B], self.radius, self._lists_NP[rows_B])

    def _share_found(self) -> float:
        """Compare the balls of a few rows, evenly spread, with those of all pairs. Cost: 256 N D flops."""
        rows = np.unique(np.linspace(0, len(self._X_ND) - 1, _CHECKED).astype(np.int64))
        S_SD, true = self._X_ND[rows], 0
        own_S = sq_norms(S_SD)
        for a in range(0, len(self._X_ND), _ASKED):
            X_BD = self._X_ND[a : a + _ASKED]
            sq_SB = own_S[:, None] + sq_norms(X_BD) - 2.0 * (S_SD @ X_BD.T)
            true += int((sq_SB < self.radius**2).sum())
        found = len(self._ball(rows)[1])
        return min(1.0, found / true) if true else 1.0
