"""Smallest lead of the most probable class over the second first.

Source: Scheffer, Decomain & Wrobel 2001, "Active hidden Markov models for information extraction"; score 1 - (p_1 - p_2).
Cost: O(N C) time (partial sort), O(B C) memory beyond the logits.
Passes: 1.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.strategies._contract import pointwise


@pointwise(needs=["log_probs"])
def margin(log_probs_BC: Float64) -> Float64:
    """1 - (p_1 - p_2), float64 [B], between 0 and 1; 1 where the two are equal."""
    C = log_probs_BC.shape[1]
    if C == 1:
        return np.zeros(len(log_probs_BC))
    top_B2 = np.partition(log_probs_BC, (C - 2, C - 1), axis=1)[:, -2:]
    # (1 - p_1) + p_2: unlike 1 - (p_1 - p_2) it keeps the order among rows whose lead rounds to 1.
    return np.exp(top_B2[:, 0]) - np.expm1(top_B2[:, 1])
