"""The implicit update of rows whose logits all have one variance: a single unknown, solved to rounding in about seven steps.

The new probabilities q solve q = softmax(u - v q) with v = weight variance and u = logits + v target. By class that is v q + log v q =
u + log v - level, so v q = omega(u + log v - level), omega the function with omega + log omega = x, and the level is what makes q sum to 1.
That sum falls and is convex in the level; Newton's method from a level below the solution rises to it without overshooting.
Source: Corless & Jeffrey, The Wright omega function, 2002, for omega.
Cost: about 7 evaluations of omega a class, whatever the variance.
"""

from __future__ import annotations

import numpy as np
from scipy.special import wrightomega

from alcli.arrays import Float64

TOLERANCE = 1e-13
MAX_NEWTON = 60
SMALLEST = 1e-100  # a variance below it moves nothing, and would leave no room for small probabilities


def implicit_shared(logits_BC: Float64, targets_BC: Float64, variances_B: Float64, weights_B: Float64 | float = 1.0) -> Float64:
    """residual = weight (target - softmax(logits + variance residual)), for B rows, each absorbed alone, [B, C]. Targets sum to 1."""
    weights_B1 = np.broadcast_to(np.asarray(weights_B, np.float64), variances_B.shape)[:, None]
    v_B1 = np.maximum(variances_B[:, None] * weights_B1, SMALLEST)
    u_BC = logits_BC + v_B1 * targets_BC
    top_B1 = u_BC.max(axis=1, keepdims=True)
    x_BC, level_B1 = u_BC - top_B1 + np.log(v_B1), -v_B1
    for _ in range(MAX_NEWTON):
        omega_BC = wrightomega(x_BC - level_B1)
        excess_B1 = omega_BC.sum(axis=1, keepdims=True) - v_B1
        if (np.abs(excess_B1) <= TOLERANCE * v_B1).all():
            break
        level_B1 = level_B1 + excess_B1 / (omega_BC / (1.0 + omega_BC)).sum(axis=1, keepdims=True)
    out: Float64 = weights_B1 * (targets_BC - omega_BC / omega_BC.sum(axis=1, keepdims=True))
    return out
