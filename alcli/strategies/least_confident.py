"""Lowest probability of the predicted class first.

Source: Lewis & Gale 1994, "A sequential algorithm for training text classifiers"; score 1 - max_c p_c.
Cost: O(N C) time, O(B C) memory beyond the logits.
Passes: 1.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.strategies._continuous import continuous
from alcli.strategies._contract import pointwise


@continuous(lambda l1_B, C: 0.5 * l1_B)  # what one class gains the others lose
@pointwise(needs=["log_probs"])
def least_confident(log_probs_BC: Float64) -> Float64:
    """1 - max p, float64 [B], between 0 and 1 - 1/C."""
    # expm1 keeps the order among rows whose probability rounds to 1.
    return -np.expm1(log_probs_BC.max(axis=1))  # type: ignore[no-any-return]
