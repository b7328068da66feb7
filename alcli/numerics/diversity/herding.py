"""Kernel herding by coverage: each pick raises most the mean over targets of the kernel with their nearest pick.

The kernel is k(x, y) = exp(-|x - y|^2 / h^2), and m_i is the largest kernel of target i with a centre or a pick.
The gain of a row j is mean_i w_i max(k_ij - m_i, 0). The sum of the gains is a facility-location function, monotone
and submodular. Therefore an earlier gain of a row is an upper bound on its present gain, and a row whose bound is
below the best gain found need not be evaluated (lazy greedy search). `numerics/diversity/coverage.py` computes the
gains. It keeps the pairs of all rows that can still gain, as soon as they fit into memory, and from then on no
kernel is computed.

While the pairs do not fit, usually because there are few centres, the bounds of all rows are lowered after each
pick: the targets that the pick covers better tell how far every gain has fallen at least. That keeps the bounds
tight.

Letters: M targets.
Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active learning" (MaxHerding); lazy
greedy search by Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions".
Cost: 2 N M D flops for the gains at the start, half of that if the targets are the rows (products in the dtype of
the rows, float64 sums), and an exponential for each pair that gains. While the pairs do not fit, 2 N T D flops a
pick for the T targets that it covers better: after n picks and centres about one target in n + 1. So M = 5,000
targets and 50,000 rows take about three passes more, and one pass to keep the pairs. Memory: O(N + M), N^2 / 512
bytes if the targets are the rows, and at most 2^23 pairs of 8 bytes (16 while they are found).
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.diversity.coverage import Coverage
from alcli.numerics.factors import Factor
from alcli.numerics.lazy_best import ROUND
from alcli.numerics.rows import Rows
from alcli.remarks import steps


def max_herding(
    X_ND: Floats,
    k: int,
    targets_MD: Floats,
    centres_LD: Floats,
    *,
    bandwidth: float = 1.0,
    weights_M: Float64 | None = None,
) -> tuple[Int64, Float64]:
    """Pick k <= N rows of X_ND one by one, each of the largest gain.

    Gains are compared as float32; ties go to the lowest row.
    targets_MD: X_ND itself (the same object, which halves the work) or other rows of the same dtype.
    centres_LD: rows that cover the targets already. bandwidth: h. weights_M: weights of the targets, by default 1.
    Returns picks int64 [k] and their gains float64 [k], which never rise. Once no row gains anything, the remaining
    picks are the lowest free rows, with gain 0.
    """
    picks, gains = np.empty(k, np.int64), np.zeros(k)
    with workers() as spread:
        coverage = Coverage(X_ND, targets_MD, weights_M, bandwidth, spread)
        coverage.add_all(centres_LD)
        bounds_N = coverage.all_gains()
        # Once the first of equal rows is picked, the others gain nothing.
        bounds_N[_copies(X_ND)] = 0.0
        for t in steps(range(k), "picking", k):
            if bounds_N.max() <= 0.0:
                picks[t:] = np.flatnonzero(bounds_N == 0.0)[: k - t]
                break
            picks[t] = _best(bounds_N, coverage)
            gains[t] = bounds_N[picks[t]]
            risen = coverage.add(picks[t])
            bounds_N[picks[t]] = -np.inf
            if coverage.keeps_all:
                continue
            if coverage.can_keep_all():
                np.minimum(bounds_N, coverage.all_gains(), out=bounds_N)
            elif t + 1 < k:
                np.maximum(bounds_N - coverage.falls(*risen), 0.0, out=bounds_N, where=bounds_N > 0.0)
    return picks, np.minimum.accumulate(gains)


def _best(bounds_N: Float64, coverage: Coverage) -> int:
    """Find the row of largest gain.

    bounds_N: upper bounds on the gains. The largest bounds are replaced by gains in place, until the largest value
    of all is a gain.
    """
    is_bound_N, found = np.ones(len(bounds_N), bool), np.float32(-1.0)
    while True:
        values_N = bounds_N.astype(np.float32)
        first = int(values_N.argmax())
        if not is_bound_N[first]:
            return first
        largest_N = np.where(is_bound_N, values_N, np.float32(-np.inf))
        rows = np.union1d(np.argpartition(-largest_N, min(ROUND, len(largest_N)) - 1)[:ROUND], first)
        rows = rows[largest_N[rows] >= found]
        bounds_N[rows] = np.minimum(bounds_N[rows], coverage.gains(rows))
        is_bound_N[rows] = False
        found = max(found, np.float32(bounds_N[rows].max()))


def _copies(X_ND: Floats) -> Int64:
    """Find the rows that equal an earlier row."""
    _, first = np.unique(Rows(Factor(X_ND)).marks, return_index=True)
    return np.setdiff1d(np.arange(len(X_ND)), first)


def smallest_distance(X_LD: Array) -> float:
    """Compute the smallest distance above 0 between two rows; inf if all rows are equal. Cost: L^2 D flops, float64."""
    X_LD = np.unique(X_LD.astype(np.float64), axis=0)
    sq_L, least = np.square(X_LD).sum(axis=1), np.inf
    for a in range(0, len(X_LD), BLOCK_ROWS):
        sq_BL = sq_L[a : a + BLOCK_ROWS, None] + sq_L[a:] - 2.0 * (X_LD[a : a + BLOCK_ROWS] @ X_LD[a:].T)
        sq_BL[np.arange(len(sq_BL)), np.arange(len(sq_BL))] = np.inf
        sq_BL[sq_BL <= 0.0] = np.inf
        least = min(least, float(sq_BL.min(initial=np.inf)))
    return float(least**0.5)
