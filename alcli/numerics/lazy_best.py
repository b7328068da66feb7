"""The best rows by a costly score that has a cheap upper bound.

Source: accelerated greedy search, Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions".
Cost: one sort of the bounds, and the scores of the rows whose bound is not below the k-th best score, in rounds of 128.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Float32, Float64, Floats, Int64

# Rows scored at a time.
ROUND = 128


def best_rows(bounds_N: Floats, k: int, score: Callable[[Int64], Float64]) -> tuple[Int64, Float32, Int64]:
    """Find the k rows of largest score; rows whose scores are equal as float32 are ordered by row number.

    The answer is the same as if every row had been scored.
    score: row numbers -> float64 scores, none above the bound of its row.
    Returns the k rows int64, their scores float32, both best first, and the rows that were scored, int64, by descending
    bound. Every other row has a bound below the k-th score.
    """
    bounds_N = bounds_N.astype(np.float32)
    order_N = np.argsort(-bounds_N, kind="stable")
    scores = np.empty(0, np.float32)
    while len(scores) < len(order_N):
        rest = order_N[len(scores) : len(scores) + ROUND]
        if len(scores) >= k and np.partition(scores, len(scores) - k)[len(scores) - k] > bounds_N[rest[0]]:
            break
        scores = np.append(scores, score(rest).astype(np.float32))
    scored = order_N[: len(scores)]
    best = np.lexsort((scored, -scores))[:k]
    return scored[best], scores[best], scored
