"""Smallest lead of the most likely class over the second.

Source: Scheffer, Decomain & Wrobel 2001, "Active hidden Markov models for information extraction"; score
1 - (p_1 - p_2).
Cost: O(N C) time, O(B C) memory beyond the logits.
Passes: 1.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.selection.strategy import pointwise


# The modulus: each of p_1 and p_2 moves on one side of the sum at most.
@pointwise(needs=["log_probs"], modulus=lambda l1_B, C: l1_B)
def margin(log_probs_BC: Float64) -> Float64:
    """The score 1 - (p_1 - p_2), float64 [B], between 0 and 1; 1 where the two probabilities are equal."""
    if log_probs_BC.shape[1] == 1:
        return np.zeros(len(log_probs_BC))
    rows_B, best_B = np.arange(len(log_probs_BC)), log_probs_BC.argmax(axis=1)
    first_B = log_probs_BC[rows_B, best_B]
    others_BC = log_probs_BC.copy()
    # Two maxima cost a fifth of a partial sort of 77 classes, and argmax costs half of max.
    others_BC[rows_B, best_B] = -np.inf
    # (1 - p_1) + p_2: unlike 1 - (p_1 - p_2) it keeps the order among rows whose lead rounds to 1.
    return np.exp(others_BC[rows_B, others_BC.argmax(axis=1)]) - np.expm1(first_B)
