"""The batch of items whose labels say most about the weights of a regression, greedily.

Labels are normal: y_i = f_i + noise, where the numbers f of all rows are jointly normal under the posterior, with the
covariances c_ij = root_i . root_j. The labels of a set of rows say 1/2 log det(I + C / noise) nats about the weights.
The gain of an item is what its labels still say once the labels of the picked items are known, by the covariances that
are left then. A pick takes one column of a pivoted Cholesky factorisation of C + noise I for each of its rows.
Letters: R rows of N items, Q numbers of a row of the root, T rows picked so far.

Source: BatchBALD (Kirsch, van Amersfoort & Gal 2019, "BatchBALD: efficient and diverse batch acquisition for deep
Bayesian active learning", eq. 10) of normal labels; the greedy choice of a Gaussian process as in Krause, Singh &
Guestrin 2008, "Near-optimal sensor placements in Gaussian processes".
Cost: for each picked row 2 R (Q + T) flops; items of r rows r R (Q + T) flops a pick beside them. Memory: R T numbers.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float32, Float64, Int64
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.segments import runs, sizes_of
from alcli.remarks import steps


def greedy_labels(root_RQ: Float64, starts_N: Int64, noise: float, k: int) -> tuple[Int64, Float32]:
    """Pick k items one by one, each of the largest gain as float32; the lowest of equals.

    root_RQ: the rows of an item follow each other, and begin at starts_N. noise: the variance of the labels' noise.
    Returns picks int64 [k], and the gain of each in nats.
    """
    left = _Left(root_RQ, starts_N, noise)
    is_open_N = np.ones(len(starts_N), bool)
    picks: list[int] = []
    gains: list[np.float32] = []
    with workers():
        for _ in steps(range(k), "picking", k):
            gains_N = left.gains().astype(np.float32)
            i = int(np.where(is_open_N, gains_N, -np.inf).argmax())
            picks.append(i)
            gains.append(gains_N[i])
            is_open_N[i] = False
            left.pick(i)
    return np.array(picks, np.int64), np.array(gains, np.float32)


class _Left:
    """The covariances that are left: root root^T - F F^T, where F has a column for each picked row."""

    def __init__(self, root_RQ: Float64, starts_N: Int64, noise: float) -> None:
        self._root_RQ, self._starts_N, self._noise = root_RQ, starts_N, noise
        self._sizes_N = sizes_of(starts_N, len(root_RQ))
        self._variance_R = np.vecdot(root_RQ, root_RQ)
        self._F_RT = np.empty((len(root_RQ), 0))

    def pick(self, item: int) -> None:
        """Take the labels of all rows of an item as known."""
        first = int(self._starts_N[item])
        for row in range(first, first + int(self._sizes_N[item])):
            column_R = self._root_RQ @ self._root_RQ[row] - self._F_RT @ self._F_RT[row]
            column_R /= np.sqrt(self._noise + max(column_R[row], 0.0))
            self._variance_R = np.maximum(self._variance_R - column_R**2, 0.0)
            self._F_RT = np.column_stack([self._F_RT, column_R])

    def gains(self) -> Float64:
        """The gain of every item in nats, [N], at least 0."""
        if len(self._starts_N) == len(self._root_RQ):
            return 0.5 * np.log1p(self._variance_R / self._noise)
        parts = [self._gains(a, b) for a, b in runs(self._sizes_N, BLOCK_ROWS)]
        return np.maximum(np.concatenate(parts), 0.0)

    def _gains(self, a: int, b: int) -> Float64:
        """The gains of items a..b. Rows of zeros fill up smaller items; they change no determinant."""
        sizes_B = self._sizes_N[a:b]
        item_P = np.repeat(np.arange(b - a), sizes_B)
        place_P = np.arange(len(item_P)) - np.repeat(np.cumsum(sizes_B) - sizes_B, sizes_B)
        rows = slice(int(self._starts_N[a]), int(self._starts_N[a]) + len(item_P))

        def gram(X_RM: Array) -> Float64:
            filled = np.zeros((b - a, int(sizes_B.max()), X_RM.shape[1]))
            filled[item_P, place_P] = X_RM[rows]
            return filled @ filled.transpose(0, 2, 1)

        left_Bmm = (gram(self._root_RQ) - gram(self._F_RT)) / self._noise + np.eye(int(sizes_B.max()))
        return 0.5 * np.linalg.slogdet(left_Bmm)[1]
