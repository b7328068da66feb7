"""Largest entropy of the predicted class probabilities.

Source: Shannon entropy as in Settles 2009, "Active learning literature survey", section 3.1, eq. 3; score
-sum_c p_c log p_c.
Cost: O(N C) time, O(B C) memory beyond the logits.
Passes: 1.
"""

from __future__ import annotations

import numpy as np
from scipy.special import xlog1py, xlogy

from alcli.arrays import Float64
from alcli.selection.strategy import pointwise


def change(l1_B: Float64, C: int) -> Float64:
    """The largest change of the entropy at distance l1, float64 [B].

    Source: Audenaert 2007, "A sharp continuity estimate for the von Neumann entropy".
    """
    t_B = np.minimum(0.5 * l1_B, 1.0 - 1.0 / C)
    return t_B * np.log(max(C - 1, 1)) - xlogy(t_B, t_B) - xlog1py(1.0 - t_B, -t_B)


@pointwise(needs=["log_probs"], modulus=change)
def entropy(log_probs_BC: Float64) -> Float64:
    """The entropy H(p) in nats, float64 [B], between 0 and log C."""
    # p log p is 0 at p = 0, where log p = -inf would make it NaN.
    finite_BC = np.maximum(log_probs_BC, np.finfo(np.float64).min / log_probs_BC.shape[1])
    return -np.einsum("bc,bc->b", np.exp(finite_BC), finite_BC)
