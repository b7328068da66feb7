"""The implicit update (implicit.py) of rows whose logits all have the same variance: one scalar equation for each row.

The new probabilities q solve q = softmax(u - v q) with v = weight variance and u = logits + v target. For each class,
v q + log(v q) = u + log v - level, so v q = omega(u + log v - level). Here omega(x) solves omega + log omega = x, and
the level is the number for which q sums to 1.
The sum decreases with the level and is convex, and its derivatives follow from omega. So the level is found to rounding
by Halley's method. It starts from the level that the probabilities before the update would have.
Source: Corless & Jeffrey, The Wright omega function, 2002, for omega.
Cost: one evaluation of omega for each class and step; 3 steps where v is below 1, 10 where v is a million.
"""

from __future__ import annotations

import numpy as np
from scipy.special import wrightomega

from alcli.arrays import Float64
from alcli.numerics.logistic import softmax

TOLERANCE = 1e-13
MAX_STEPS = 60
# Bounds of the divisor that turns a Newton step into a Halley step: far from the solution the curvature misleads.
BENDS = 0.3, 2.0
# The least v. A smaller one moves nothing, and its products with small probabilities would underflow.
SMALLEST = 1e-100


def implicit_shared(
    logits_BC: Float64, targets_BC: Float64, variances_B: Float64, weights_B: Float64 | float = 1.0
) -> Float64:
    """Solve residual = weight (target - softmax(logits + variance residual)) for B rows, each absorbed alone, [B, C].

    variances_B: the variance of all logits of a row. targets_BC: each row sums to 1.
    """
    weights_B1 = np.broadcast_to(np.asarray(weights_B, np.float64), variances_B.shape)[:, None]
    v_B1 = np.maximum(variances_B[:, None] * weights_B1, SMALLEST)
    u_BC = logits_BC + v_B1 * targets_BC
    x_BC = u_BC - u_BC.max(axis=1, keepdims=True) + np.log(v_B1)
    # No solution lies below -v: the class with the largest u has a probability q of at most 1.
    lowest_B1 = -v_B1
    level_B1 = np.maximum(lowest_B1, _log_sum(x_BC - v_B1 * softmax(logits_BC)) - np.log(v_B1))
    for _ in range(MAX_STEPS):
        omega_BC = wrightomega(x_BC - level_B1)
        excess_B1 = omega_BC.sum(axis=1, keepdims=True) - v_B1
        if (np.abs(excess_B1) <= TOLERANCE * v_B1).all():
            break
        less_BC = 1.0 / (1.0 + omega_BC)
        slopes_BC = omega_BC * less_BC
        slope_B1 = slopes_BC.sum(axis=1, keepdims=True)
        newton_B1 = excess_B1 / slope_B1
        bend_B1 = 1.0 - newton_B1 * (slopes_BC * less_BC * less_BC).sum(axis=1, keepdims=True) / (2.0 * slope_B1)
        # The sum is convex. So from a level where it is too large, a Newton step does not pass the solution.
        lowest_B1 = np.where(excess_B1 > 0.0, level_B1 + newton_B1, lowest_B1)
        level_B1 = np.maximum(lowest_B1, level_B1 + newton_B1 / np.minimum(np.maximum(bend_B1, BENDS[0]), BENDS[1]))
    return weights_B1 * (targets_BC - omega_BC / omega_BC.sum(axis=1, keepdims=True))


def _log_sum(exponents_BC: Float64) -> Float64:
    """The logarithm of each row's sum of exponentials, [B, 1]."""
    top_B1 = exponents_BC.max(axis=1, keepdims=True)
    return top_B1 + np.log(np.exp(exponents_BC - top_B1).sum(axis=1, keepdims=True))
