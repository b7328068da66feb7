"""Greedy maximisation of the determinant of a Gram matrix: each pick is the row farthest from the span of the picks.

This is a Cholesky factorisation with diagonal pivoting, and also the greedy search for the mode of a k-DPP.
Letters: R pivots found, M columns of the Gram matrix that are kept, T pivots so far.

Source: Chen, Zhang & Zhou 2018, "Fast greedy MAP inference for determinantal point process", Alg. 1, which
maximises the log-determinant.
Cost: N k^2 flops for the factor, and the columns of the Gram matrix, both for 32 likely picks at once; memory N k
numbers.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.diversity.columns import WIDTH, batch_of
from alcli.numerics.diversity.kcenter import free_by_norm
from alcli.numerics.diversity.shard_rows import largest
from alcli.numerics.rows import Rows

# In machine epsilons of the largest squared norm: a smaller squared distance to the span is rounding error.
_ROUNDINGS = 64


class Pivots(NamedTuple):
    """A pivoted Cholesky factorisation.

    picks_R: the pivots, int64. distances_R: the distance of each pivot to the span of the earlier ones, float64.
    F_NR: the factor, F F^T = Gram matrix of the scaled rows projected on the span.
    """

    picks_R: Int64
    distances_R: Float64
    F_NR: Array


def max_det(rows: Rows, k: int) -> tuple[Int64, Float64]:
    """Pick k <= N rows, each the farthest from the span of the earlier picks; ties go to the lowest row.

    Once every row lies in the span, up to rounding, the remaining picks come by norm, largest first, at distance 0.
    Returns picks int64 [k] and the distance of each to the span of the earlier picks, float64 [k].
    """
    picks_R, distances_R, _ = pivoted_cholesky(rows, k)
    rest = free_by_norm(rows.sq_norms, picks_R)[: k - len(picks_R)]
    return np.append(picks_R, rest).astype(np.int64), np.append(distances_R, np.zeros(len(rest)))


def pivoted_cholesky(rows: Rows, k: int) -> Pivots:
    """Factorise with at most k pivots. There are fewer if the rank of the rows, up to rounding, is smaller than k."""
    left_N = rows.sq_norms.copy()
    picks: list[int] = []
    distances: list[float] = []
    with workers() as spread:
        left = _Left(rows, k, spread)
        least = _ROUNDINGS * float(np.finfo(left.F_NK.dtype).eps) * float(left_N.max(initial=0.0))
        while len(picks) < k and left_N.max() > least:
            i = int(left_N.argmax())
            picks.append(i)
            distances.append(float(left_N[i]))
            left_N -= np.square(left.append(i, left_N), dtype=np.float64)
            left_N[i] = 0.0
    F_NR = left.F_NK[:, : len(picks)]
    return Pivots(np.array(picks, np.int64), np.sqrt(np.array(distances)) * rows.scale, F_NR)


class _Left:
    """The factor so far, and columns of the residual Gram matrix for the 32 rows farthest from the span."""

    def __init__(self, rows: Rows, k: int, spread: Spread) -> None:
        self._rows, self._spread = rows, spread
        # The number of columns of the factor, now and at the time when the columns of the residual were computed.
        self._n, self._from = 0, 0
        self._make_columns(batch_of(int(rows.sq_norms.argmax()), largest(rows.sq_norms, WIDTH)))
        self.F_NK: Array = np.empty((rows.n, k), self._left_NM.dtype)

    def append(self, i: int, left_N: Float64) -> Array:
        """Append the column of pivot row i to the factor, and return the column."""
        if i not in self._place:
            self._make_columns(batch_of(i, largest(left_N, WIDTH)))
        column_N: Array = (
            self._left_NM[:, self._place[i]] - self.F_NK[:, self._from : self._n] @ self.F_NK[i, self._from : self._n]
        )
        column_N /= np.sqrt(max(column_N[i], np.finfo(column_N.dtype).tiny))
        self.F_NK[:, self._n] = self._rows.same_for_copies(column_N)
        self._n += 1
        return column_N

    def _make_columns(self, index_M: Int64) -> None:
        """Compute the columns of the residual for rows `index_M`: their inner products less the factor's part."""
        self._left_NM: Array = self._rows.inner_with(self._rows, index_M, self._spread)
        self._place: dict[int, int] = {int(row): m for m, row in enumerate(index_M)}
        self._from = self._n
        if self._n:
            pivots_TM = np.ascontiguousarray(self.F_NK[index_M, : self._n].T)

            def work(first: int, last: int) -> None:
                for a in range(first, last, BLOCK_ROWS):
                    b = min(a + BLOCK_ROWS, last)
                    self._left_NM[a:b] -= self.F_NK[a:b, : self._n] @ pivots_TM

            self._spread(self._rows.n, work)
