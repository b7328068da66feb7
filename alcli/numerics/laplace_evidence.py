"""How well a prior precision explains the labels: the Laplace approximation of the marginal likelihood of a softmax regression.

The log determinant of the Hessian is that of its Kronecker form lambda I + A_bar (x) X^T X, whose eigenvalues are
lambda + a_i s_j, with A_bar the mean of diag(p) - p p^T over the rows.
Source: MacKay, The Evidence Framework Applied to Classification Networks, 1992, eq. 5; Kronecker form as in Ritter et al., 2018.
Cost: n C^2 + C^3 + C R beyond the MAP itself.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.numerics.softmax_map import MapFit, Rotated


def log_evidence(rows: Rotated, fit: MapFit, prior_precision: float) -> float:
    """log p(labels | prior_precision) at the MAP `fit`, in nats."""
    penalty = 0.5 * prior_precision * float(np.vdot(fit.W_CR, fit.W_CR))
    curvatures_C = np.maximum(np.linalg.eigvalsh(mean_curvature(fit.probs_LC, rows.weights_L)), 0.0)
    spread = float(np.log1p(np.outer(curvatures_C, rows.gram_R / prior_precision)).sum())
    return fit.log_likelihood - penalty - 0.5 * spread


def mean_curvature(probs_LC: Float64, weights_L: Float64) -> Float64:
    """A_bar = weighted mean of diag(p) - p p^T, shape [C, C]."""
    weighted_LC = probs_LC * (weights_L / weights_L.sum())[:, None]
    A_CC: Float64 = -(weighted_LC.T @ probs_LC)
    A_CC[np.diag_indices_from(A_CC)] += weighted_LC.sum(axis=0)
    return A_CC
