"""The rows of an audit as a sample: how many rows of the pool each of them stands for.

A row of weight w = 1 / (N q) has been drawn by the time t with probability 1 - exp(-t / w). The time is the one at
which the sample stands for all N rows: the sum of 1 / (1 - exp(-t / w)) over the drawn rows is N. So a drawn row that
had to come counts once, and the sample that holds every row is the pool.

Source: Rosen 1972, "Asymptotic theory for successive sampling with varying probabilities without replacement" (the
inclusion probabilities); Hajek 1981, "Sampling from a finite population" (the variance).
Cost: O(M) a step, some 50 steps.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Array, Float64


@dataclass(frozen=True)
class AuditSample:
    """M drawn rows. shares_M: the share of the pool that each stands for, with sum 1. left_M: 1 - the probability that
    the row was drawn, 0 in a sample that holds every row.
    """

    shares_M: Float64
    left_M: Float64

    def __len__(self) -> int:
        return len(self.shares_M)

    def only(self, kept_M: Array) -> AuditSample:
        """The rows of a mask, as a sample of the rows of the pool that the mask would keep."""
        shares_M = self.shares_M[kept_M]
        return AuditSample(shares_M / shares_M.sum(), self.left_M[kept_M])

    def variance(self, variances_M: Float64) -> float:
        """The variance of the mean over the sample, of values with a variance each around a mean that is known."""
        return float((self.left_M * self.shares_M**2) @ variances_M)


def sampled(weights_M: Float64, n: int) -> AuditSample:
    """Return the sample that M rows make which were drawn from n rows. weights_M: 1 / (n q) of each row, positive."""
    drawn_M = drawn_probabilities(weights_M, n)
    shares_M = 1.0 / drawn_M
    return AuditSample(shares_M / shares_M.sum(), 1.0 - drawn_M)


def drawn_probabilities(weights_M: Float64, n: int) -> Float64:
    """Return the probability that each row is among M that are drawn from n, float64 [M]; see the top."""
    from scipy.optimize import brentq  # imported here, since commands that measure nothing start without it

    m, total = len(weights_M), float(weights_M.sum())
    if m >= n:
        return np.ones(m)

    def excess(log_t: float) -> float:
        return float((-1.0 / np.expm1(-np.exp(log_t) / weights_M)).sum()) - n

    # The sum lies between sum(w) / t and sum(w) / t + M.
    log_t = brentq(excess, np.log(total / n) - 1e-9, np.log(total / (n - m)) + 1e-9, xtol=1e-13)
    return np.asarray(-np.expm1(-np.exp(log_t) / weights_M))
