"""The implicit update: the exact mode of the likelihood of new labels under the Gaussian prior of their logits.

With K the prior covariance of the new rows' logits, it solves
    residual = weight (target - softmax(logits + K residual)),
and the logits then move by K residual. No step size is needed. A linearised step takes the right side at the logits
before the step. It overshoots wherever the variance is large, and there a label is most informative.
M: the number of new rows.
Source: Rasmussen & Williams, Gaussian Processes for Machine Learning, 2006, Algorithm 3.3, with the current logits as
prior mean.
Cost: for one row, 5 to 15 Newton steps of O(C). For M rows at once, 5 to 15 Newton steps, each of up to MAX_CG products
with K and O(M C) work beside each product.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Float64
from alcli.numerics.last_layer.implicit_shared import implicit_shared
from alcli.numerics.logistic import log_softmax, softmax

# The largest difference between the two sides of the equation, relative to the weight of a row.
TOLERANCE = 1e-12
MAX_NEWTON = 100
MAX_CG = 1000
CG_TOLERANCE = 1e-8
MAX_HALVINGS = 40


def implicit_row(logits_C: Float64, target_C: Float64, variance_C: Float64 | float, weight: float) -> Float64:
    """Compute the residual of one row, [C]. variance_C: independent prior variances of its logits, or one for all."""
    if np.ndim(variance_C) == 0:
        return implicit_shared(logits_C[None], target_C[None], np.array([variance_C]), weight)[0]
    variances = np.asarray(variance_C, np.float64)
    return implicit_each(logits_C[None], target_C[None], variances[None], np.array([weight]))[0]


def implicit_each(logits_BC: Float64, targets_BC: Float64, variances_BC: Float64, weights_B: Float64) -> Float64:
    """Compute the residuals of B rows, [B, C], each row absorbed alone.

    variances_BC: independent prior variances of the logits; [B, 1] where all classes of a row have the same.
    """
    w_B1 = weights_B[:, None]

    def objective(residual_BC: Float64) -> Float64:
        losses_BC: Float64 = -w_B1 * targets_BC * log_softmax(logits_BC + variances_BC * residual_BC)
        return (losses_BC + 0.5 * variances_BC * residual_BC**2).sum(axis=1)

    residual_BC = np.zeros_like(targets_BC)
    value_B = objective(residual_BC)
    for _ in range(MAX_NEWTON):
        probs_BC = softmax(logits_BC + variances_BC * residual_BC)
        gap_BC = w_B1 * (targets_BC - probs_BC) - residual_BC
        if (np.abs(gap_BC) <= TOLERANCE * w_B1).all():
            break
        # Newton step: (I + weight (diag p - p p^T) diag variance)^-1 gap. The matrix is diagonal plus rank one.
        scale_BC = 1.0 / (1.0 + w_B1 * probs_BC * variances_BC)
        pulled_B = (probs_BC * variances_BC * gap_BC * scale_BC).sum(axis=1) / (probs_BC * scale_BC).sum(axis=1)
        step_BC = (gap_BC + w_B1 * pulled_B[:, None] * probs_BC) * scale_BC
        residual_BC, value_B = _shortened(objective, residual_BC, step_BC, value_B)
    return residual_BC


def _shortened(
    objective: Callable[[Float64], Float64], at_BC: Float64, step_BC: Float64, value_B: Float64
) -> tuple[Float64, Float64]:
    """Halve each row's step until its objective does not rise; return the point reached and the objective there."""
    for _ in range(MAX_HALVINGS):
        there_BC = at_BC + step_BC
        new_B = objective(there_BC)
        worse_B = new_B > value_B + 1e-14 * np.abs(value_B)
        if not worse_B.any():
            break
        step_BC = np.where(worse_B[:, None], 0.5 * step_BC, step_BC)
    return there_BC, new_B


def implicit_rows(
    logits_MC: Float64, targets_MC: Float64, weights_M: Float64, multiply: Callable[[Float64], Float64]
) -> Float64:
    """Compute the residuals of several rows that are absorbed together, [M, C].

    multiply: returns the product of K, the prior covariance of all their logits, with an array [M, C].
    """
    w_M1 = weights_M[:, None]
    residual_MC = shift_MC = np.zeros_like(targets_MC)

    def objective(residual_MC: Float64, shift_MC: Float64) -> float:
        loss = -float(np.vdot(w_M1 * targets_MC, log_softmax(logits_MC + shift_MC)))
        return loss + 0.5 * float(np.vdot(residual_MC, shift_MC))

    value = objective(residual_MC, shift_MC)
    for _ in range(MAX_NEWTON):
        probs_MC = softmax(logits_MC + shift_MC)
        gap_MC = w_M1 * (targets_MC - probs_MC) - residual_MC
        if np.abs(gap_MC).max(initial=0.0) <= TOLERANCE * weights_M.max(initial=0.0):
            break
        step_MC = _newton_step(gap_MC, probs_MC, w_M1, multiply)
        moved_MC = multiply(step_MC)
        for length in 0.5 ** np.arange(MAX_HALVINGS):
            there = residual_MC + length * step_MC, shift_MC + length * moved_MC
            new = objective(*there)
            if new <= value + 1e-14 * abs(value):
                break
        (residual_MC, shift_MC), value = there, new
    return residual_MC


def _newton_step(gap_MC: Float64, probs_MC: Float64, w_M1: Float64, multiply: Callable[[Float64], Float64]) -> Float64:
    """Solve (I + A K) step = gap, where A = weight (diag p - p p^T) in each row is the curvature of the loss.

    A has the root R = diag sqrt(weight p) - p sqrt(weight p)^T, A = R R^T. So the step is
    gap - R (I + R^T K R)^-1 R^T K gap. The inner system is solved by conjugate gradients.
    """
    root_MC = np.sqrt(w_M1 * probs_MC)

    def times_R(v_MC: Float64) -> Float64:
        rooted_MC = root_MC * v_MC
        return rooted_MC - probs_MC * rooted_MC.sum(axis=1, keepdims=True)

    def times_R_transposed(v_MC: Float64) -> Float64:
        return root_MC * (v_MC - (probs_MC * v_MC).sum(axis=1, keepdims=True))

    residual_MC = times_R_transposed(multiply(gap_MC))
    solution_MC, direction_MC = np.zeros_like(gap_MC), residual_MC.copy()
    square = first = float(np.vdot(residual_MC, residual_MC))
    for _ in range(MAX_CG):
        if square <= CG_TOLERANCE**2 * first:
            break
        product_MC = direction_MC + times_R_transposed(multiply(times_R(direction_MC)))
        alpha = square / float(np.vdot(direction_MC, product_MC))
        solution_MC += alpha * direction_MC
        residual_MC -= alpha * product_MC
        square, previous = float(np.vdot(residual_MC, residual_MC)), square
        direction_MC = residual_MC + (square / previous) * direction_MC
    return gap_MC - times_R(solution_MC)
