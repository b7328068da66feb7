"""The best rows by a costly score that a cheap one bounds from above.

Source: accelerated greedy search, Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions".
Cost: the bounds are sorted once; rows whose bound is below what was found are never scored.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Float32, Float64, Floats, Int64

ROUND = 128  # rows that are scored together


def best_rows(bounds_N: Floats, k: int, score: Callable[[Int64], Float64]) -> tuple[Int64, Float32, Int64]:
    """The k rows of largest score, equal ones (as float32) in the order of their numbers, as if all had been scored.

    score: row numbers -> float64 scores, none above its row's bound. Returns the rows with their scores, best first, and the rows
    that were scored, in the order of their bounds: the others have a bound below the last score.
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
