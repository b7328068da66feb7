"""Largest entropy of the predicted distribution first.

Source: Shannon entropy as in Settles 2009, "Active learning literature survey", section 3.1, eq. 3; score -sum_c p_c log p_c.
Cost: O(N C) time, O(B C) memory beyond the logits.
Passes: 1.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.strategies._contract import pointwise


@pointwise(needs=["log_probs"])
def entropy(log_probs_BC: Float64) -> Float64:
    """H(p) in nats, float64 [B], between 0 and log C."""
    # p log p is 0 at p = 0, where log p = -inf would make it NaN.
    finite_BC = np.maximum(log_probs_BC, np.finfo(np.float64).min / log_probs_BC.shape[1])
    return -np.einsum("bc,bc->b", np.exp(finite_BC), finite_BC)  # type: ignore[no-any-return]
