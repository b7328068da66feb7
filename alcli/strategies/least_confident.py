"""Lowest probability of the most likely class.

Source: Lewis & Gale 1994, "A sequential algorithm for training text classifiers"; score 1 - max_c p_c.
Cost: O(N C) time, O(B C) memory beyond the logits.
Passes: 1.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.selection.strategy import pointwise


# The modulus: the probability that one class gains, the other classes lose.
@pointwise(needs=["log_probs"], modulus=lambda l1_B, C: 0.5 * l1_B)
def least_confident(log_probs_BC: Float64) -> Float64:
    """The score 1 - max p, float64 [B], between 0 and 1 - 1/C."""
    # expm1 keeps the order among rows whose probability rounds to 1.
    return -np.expm1(log_probs_BC.max(axis=1))
