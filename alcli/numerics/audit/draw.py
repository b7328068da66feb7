"""The draw of an audit: rows of a pool with known chances, in an order that a larger audit goes on with.

Half of the chance is the same for every row, and half follows the spread of what is measured: sqrt(c (1 - c)) of the
confidence c where answers are right or wrong. Each row gets an arrival time E / q, where E is an exponential draw by
seed and id, and q the chance of the row. The first M rows to arrive are the audit. So rows are drawn one after another
without replacement, each time in proportion to q among the rows that are left, and a larger M keeps the rows of a
smaller one.

Source: Owen & Zhou 2000, "Safe and effective importance sampling" (the mixture); Zrnic & Candes 2024, "Active
statistical inference" (the spread); Efraimidis & Spirakis 2006, "Weighted random sampling with a reservoir" (the
arrival times).
Cost: O(N) time and memory.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Keys
from alcli.numerics.hashing import uniforms

# No row has less than this share of the chance that it would have if all were equal. A weight is 1 / share at most.
UNIFORM = 0.5
LARGEST_WEIGHT = 1.0 / UNIFORM
_STREAM = 2  # the candidates of a query are drawn by stream 1


def chances(spread_N: Float64) -> Float64:
    """Return the chance of each row at the first draw, float64 [N], with sum 1.

    spread_N: at least 0, in any unit. Where all are 0, every row has the same chance.
    """
    n, total = len(spread_N), float(spread_N.sum())
    if total == 0.0:
        return np.full(n, 1.0 / max(n, 1))
    return UNIFORM / n + (1.0 - UNIFORM) / total * spread_N


def arrivals(keys_N: Keys, chances_N: Float64, seed: int) -> Float64:
    """Return the time at which each row arrives, float64 [N]. keys_N: hashes of the ids."""
    return -np.log(uniforms(keys_N, seed, _STREAM)) / chances_N
