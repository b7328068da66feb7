"""How far the class probabilities of many rows may have moved since they were last looked at, without looking at them.

A label moves the logits of row i by u_i a_C. On the way from p to p' the probabilities go along p(t) ~ p e^(t u a), and
sum |dp/dt| = |u| sum_c p_c(t) |a_c - mean_p(t) a| <= 2 |u| sum_c p_c(t) |a_c - m| for any m. No p_c(t) is larger than it was when it was
looked at by more than the factor e^r, r the sum of |u| (max a - min a) since then. So |p' - p|_1 <= 2 |u| e^r q.|a - m|, with q as it
was then, and the distances of several moves add up. m is the middle one of a: most classes hardly move.
Source: derived here from the gradient of softmax, dp_c = p_c (dz_c - p.dz).
Cost: a move 2 N C flops in one pass over N C probabilities. Memory: those and 16 bytes a row.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import DTypeLike

from alcli.arrays import Float64, Floats, Int64

MOST_MOVES = 4
FARTHEST = 64.0  # of r: beyond it too small a probability in float32 could have grown to one that counts


class ProbabilityDrift:
    """Bounds l1_N of sum_c |p_c - q_c| for each row, q what was last noted of it; inf where nothing was."""

    def __init__(self, n: int, n_classes: int, dtype: DTypeLike) -> None:
        self.l1_N: Float64 = np.full(n, np.inf)
        self._growth_N = np.zeros(n)
        self._Q_NC: Floats = np.zeros((n, n_classes), dtype)

    def move(self, first: int, last: int, U_BR: Floats, A_CR: Floats) -> None:
        """The logits of rows first..last moved by U A^T. Where that is more than a few products of vectors, the rows are forgotten."""
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
        """What the probabilities of these rows are now."""
        self._Q_NC[rows] = np.exp(log_probs_BC)
        self._growth_N[rows] = self.l1_N[rows] = 0.0

    def add_classes(self, n: int) -> None:
        """There are n classes more: all is forgotten."""
        self.l1_N[:] = np.inf
        self._Q_NC = np.pad(self._Q_NC, ((0, 0), (0, n)))
