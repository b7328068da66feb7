"""Upper bounds on the change of class probabilities since they were last noted, without computing the probabilities.

A label moves the logits of row i by u_i a_C. On the way from p to p' the probabilities follow p(t) ~ p e^(t u a), and
    sum |dp/dt| = |u| sum_c p_c(t) |a_c - mean_p(t) a| <= 2 |u| sum_c p_c(t) |a_c - m|    for any m.
Let q be the probabilities that were last noted, and r the sum of |u| (max a - min a) since then. No p_c(t) exceeds
e^r q_c. So |p' - p|_1 <= 2 |u| e^r q.|a - m|, and the bounds of several moves add up. m is the median of a, because
most classes hardly move.
R: the vectors a by which one call moves a row.
Source: derived here from the gradient of softmax, dp_c = p_c (dz_c - p.dz).
Cost of a move: 2 N C flops in one pass over N C probabilities. Memory: N C probabilities and 16 bytes for each row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from alcli.arrays import Float64, Floats, Int64

# With more vectors a in one call, no bound is computed.
MOST_MOVES = 4
# The largest r. Beyond it, a probability too small for float32 could have grown to one that matters.
FARTHEST = 64.0


class ProbabilityDrift:
    """Upper bounds l1_N of sum_c |p_c - q_c| for each row; infinity for a row that was not noted."""

    def __init__(self, n: int, n_classes: int, dtype: DTypeLike) -> None:
        self.l1_N: Float64 = np.full(n, np.inf)
        self._growth_N = np.zeros(n)
        self._Q_NC: Floats = np.zeros((n, n_classes), dtype)

    def move(self, first: int, last: int, U_BR: Floats, A_CR: Floats) -> None:
        """Raise the bounds of rows first..last, whose logits moved by U A^T; to infinity for R > `MOST_MOVES`."""
        l1_B = self.l1_N[first:last]
        if U_BR.shape[1] > MOST_MOVES:
            l1_B[:] = np.inf
            return
        growth_B = self._growth_N[first:last]
        for u_B, a_C in zip(np.abs(U_BR.T).astype(np.float64), A_CR.T):
            ordered_C = np.sort(a_C)
            growth_B += u_B * float(ordered_C[-1] - ordered_C[0])
            moved_B = self._Q_NC[first:last] @ np.abs(a_C - ordered_C[len(a_C) // 2])
            l1_B += 2.0 * u_B * np.exp(np.minimum(growth_B, FARTHEST)) * moved_B
        l1_B[growth_B > FARTHEST] = np.inf

    def note(self, rows: Int64, log_probs_BC: Floats) -> None:
        """Note the current log-probabilities of some rows; their bounds become 0."""
        self._Q_NC[rows] = np.exp(log_probs_BC)
        self._growth_N[rows] = self.l1_N[rows] = 0.0

    def add_classes(self, n: int) -> None:
        """Add n classes; the bounds of all rows become infinity."""
        self.l1_N[:] = np.inf
        self._Q_NC = np.pad(self._Q_NC, ((0, 0), (0, n)))
