"""The exact MAP of a softmax regression by a truncated Newton method, and the Laplace evidence of its prior precision.

The objective is the summed cross-entropy + prior_precision/2 |W - anchor|^2. The penalty does not change under
rotations of the features. So the rows are first rotated into the eigenbasis of their Gram matrix (rotated.py), of
R = min(n, D1) dimensions. In these coordinates the Kronecker preconditioner lambda I + A_bar (x) X^T X of the Hessian
(exact at W = 0) is nearly diagonal. The bias has a weaker prior by the value of its column (prior.py).
Gradients and the objective are float64. Only the search direction is computed in float32, which may cost more steps
but no accuracy.
The evidence is the Laplace approximation of the marginal likelihood of the labels. It takes the log determinant of the
Kronecker form of the Hessian, whose eigenvalues are lambda + a_i s_j. a_i are the eigenvalues of A_bar, the mean of
diag(p) - p p^T over the rows; s_j are the eigenvalues of X^T X.
Source: Nocedal & Wright, Numerical Optimization, 2nd ed., Algorithm 7.1 (line-search Newton-CG), preconditioned.
Evidence: MacKay, The Evidence Framework Applied to Classification Networks, 1992, eq. 5; Kronecker form as in Ritter et
al., 2018.
Cost: the rotation, then 4 n R C flops for each conjugate-gradient step. There are about 100 steps where
the prior is strong, and 1000 where rows are separable and the prior is weak. The evidence adds n C^2 + C^3 + C R.
Memory: 6 n C + 5 C R + n R + D1 R floats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64
from alcli.errors import DataError
from alcli.numerics.last_layer.rotated import Rotated
from alcli.numerics.logistic import one_hot, soft_cross_entropy, softmax

MAX_NEWTON = 100
MAX_CG = 250
GRADIENT_TOLERANCE = 1e-11
# Relative residual of the search direction: far from the optimum, and near it.
FORCING = (0.1, 0.01)
# Directions are computed in float32 up to this ratio of the largest Gram eigenvalue to the prior precision.
FLOAT32_CONDITION = 1e6


@dataclass(frozen=True)
class MapFit:
    """A MAP estimate. W_CR: in rotated coordinates. log_likelihood: of the labels, without the prior."""

    W_CR: Float64
    probs_LC: Float64
    log_likelihood: float
    iterations: int
    gradient_norm: float


def fit_map(
    rows: Rotated,
    prior_precision: float,
    *,
    start_CR: Float64 | None = None,
    tolerance: float = GRADIENT_TOLERANCE,
    targets_LC: Float64 | None = None,
    anchor_CR: Float64 | None = None,
) -> MapFit:
    """Minimise the objective until the gradient norm is at most `tolerance` times `rows.scale()`.

    start_CR: the starting point in rotated coordinates; zero by default. targets_LC: rows that sum to 1 and need not be
    probabilities; one-hot rows of the classes by default. anchor_CR: the centre of the prior in rotated coordinates;
    zero by default. Raises DataError where the method does not converge.
    """
    targets_LC = one_hot(rows.y_L, rows.n_classes) if targets_LC is None else targets_LC
    W_CR = np.zeros((rows.n_classes, rows.Z_LR.shape[1])) if start_CR is None else start_CR.copy()
    anchor_CR = np.zeros_like(W_CR) if anchor_CR is None else anchor_CR
    logits_LC = rows.Z_LR @ W_CR.T
    goal, norms = tolerance * rows.scale(), []
    for iteration in range(MAX_NEWTON + 1):
        probs_LC = softmax(logits_LC)
        residual_LC = (probs_LC - targets_LC) * rows.weights_L[:, None]
        gradient_CR = residual_LC.T @ rows.Z_LR + prior_precision * (W_CR - anchor_CR)
        norms.append(float(np.linalg.norm(gradient_CR)))
        if norms[-1] <= goal:
            return MapFit(
                W_CR, probs_LC, -soft_cross_entropy(logits_LC, targets_LC, rows.weights_L), iteration, norms[-1]
            )
        forcing = min(FORCING[0], max(FORCING[1], (norms[-1] / norms[0]) ** 0.5))
        step_CR = newton_direction(rows, probs_LC, gradient_CR, prior_precision, forcing)
        step_LC = rows.Z_LR @ step_CR.T
        length = _line_search(
            (targets_LC, rows.weights_L),
            prior_precision,
            (W_CR - anchor_CR, logits_LC),
            (step_CR, step_LC),
            gradient_CR,
        )
        if length == 0.0:
            break
        W_CR += length * step_CR
        logits_LC += length * step_LC
    # Rounding ended the descent, not the method: this is as near as float64 gets.
    if norms[-1] <= 1e3 * goal:
        return MapFit(W_CR, probs_LC, -soft_cross_entropy(logits_LC, targets_LC, rows.weights_L), iteration, norms[-1])
    raise DataError(
        f"the softmax head did not converge: {iteration} iterations, gradient norm {norms[-1]:.3g} (wanted {goal:.3g})",
        hint=f"raise --prior-precision (now {prior_precision:.3g}) or normalise the features",
    )


def newton_direction(rows: Rotated, probs_LC: Float64, gradient_CR: Float64, prior: float, forcing: float) -> Float64:
    """Solve Hessian step = -gradient by preconditioned conjugate gradients to the relative residual `forcing`."""
    well_conditioned = float(rows.gram_R.max()) < FLOAT32_CONDITION * prior
    real = np.dtype(np.float32 if well_conditioned else np.float64)
    # Rows are scaled by a power of 2, because squares of large features overflow float32.
    unit = float(2.0 ** np.round(0.5 * np.log2(max(float(rows.gram_R.max()), prior))))
    Z_LR, prior, gram_R = (rows.Z_LR / unit).astype(real), prior / unit**2, rows.gram_R / unit**2
    P_LC, w_LC = probs_LC.astype(real), (probs_LC * rows.weights_L[:, None]).astype(real)
    curvature_C = (w_LC * (1 - P_LC)).sum(axis=0) / rows.weights_L.sum()
    preconditioner_CR = (1.0 / (prior + curvature_C[:, None] * gram_R)).astype(real)
    size = np.linalg.norm(gradient_CR)
    residual_CR = (gradient_CR / -size).astype(real)
    step_CR = np.zeros_like(residual_CR)
    direction_CR = z_CR = preconditioner_CR * residual_CR
    rz = first = float(np.vdot(residual_CR, z_CR))
    for _ in range(MAX_CG):
        v_LC = Z_LR @ direction_CR.T
        v_LC -= np.einsum("lc,lc->l", P_LC, v_LC)[:, None]
        v_LC *= w_LC
        product_CR = v_LC.T @ Z_LR + real.type(prior) * direction_CR
        alpha = real.type(rz / float(np.vdot(direction_CR, product_CR)))
        step_CR += alpha * direction_CR
        residual_CR -= alpha * product_CR
        z_CR = preconditioner_CR * residual_CR
        rz, previous = float(np.vdot(residual_CR, z_CR)), rz
        if rz <= forcing**2 * first:
            break
        direction_CR = z_CR + real.type(rz / previous) * direction_CR
    return step_CR.astype(np.float64) * (float(size) / unit**2)


def _line_search(
    labels: tuple[Float64, Float64],
    prior: float,
    at: tuple[Float64, Float64],
    step: tuple[Float64, Float64],
    gradient_CR: Float64,
) -> float:
    """Halve the step until the Armijo condition (1e-4) holds; return its length.

    The length is 0 where no step meets the condition because rounding hides every decrease.

    labels: (targets, row weights). at: (weights minus anchor, logits). step: (step of the weights, step of the logits).
    """
    (W_CR, logits_LC), (step_CR, step_LC) = at, step
    slope = float(np.vdot(gradient_CR, step_CR))
    linear, square = float(np.vdot(W_CR, step_CR)), float(np.vdot(step_CR, step_CR))
    here = soft_cross_entropy(logits_LC, *labels)
    rounding = 1e-14 * (abs(here) + prior * float(np.vdot(W_CR, W_CR)))
    for length in 0.5 ** np.arange(40):
        there = soft_cross_entropy(logits_LC + length * step_LC, *labels)
        change = there - here + prior * (length * linear + 0.5 * length**2 * square)
        if change <= 1e-4 * length * slope + rounding:
            return float(length)
    return 0.0


def log_evidence(rows: Rotated, fit: MapFit, prior_precision: float, anchor_CR: Float64 | None = None) -> float:
    """The Laplace approximation of log p(labels | prior_precision) at the MAP `fit`, in nats.

    anchor_CR: the centre of the prior; zero by default.
    """
    away_CR = fit.W_CR if anchor_CR is None else fit.W_CR - anchor_CR
    penalty = 0.5 * prior_precision * float(np.vdot(away_CR, away_CR))
    curvatures_C = np.maximum(np.linalg.eigvalsh(mean_curvature(fit.probs_LC, rows.weights_L)), 0.0)
    spread = float(np.log1p(np.outer(curvatures_C, rows.gram_R / prior_precision)).sum())
    return fit.log_likelihood - penalty - 0.5 * spread


def mean_curvature(probs_LC: Float64, weights_L: Float64) -> Float64:
    """The weighted mean of diag(p) - p p^T over the rows, A_bar, [C, C]."""
    weighted_LC = probs_LC * (weights_L / weights_L.sum())[:, None]
    A_CC: Float64 = -(weighted_LC.T @ probs_LC)
    A_CC[np.diag_indices_from(A_CC)] += weighted_LC.sum(axis=0)
    return A_CC
