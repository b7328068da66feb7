"""Second-order updates in two other forms, to compare the updates of a posterior with: the dual form, and the form of
a pool.

Both give the logits and variances after a sequence of rank-one updates from inner products phi^T covariance phi' alone.
Source: dual form of Sherman-Morrison; the triangular factor of I + curvature G replaces the recursion over covariances.
Cost: dual m^3 / 3 + m^2 C for m rows; pool 2 N + 2 N C flops a row beyond the product u = phi_pool t.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import scipy.linalg

from alcli.arrays import Float64
from alcli.numerics.last_layer.implicit import implicit_row


@dataclass(frozen=True)
class DualUpdate:
    """W' = W + coefficients_MC^T X covariance, and logits(x)' = logits(x) + (phi^T covariance X^T) coefficients_MC."""

    coefficients_MC: Float64

    def shift(self, cross_BM: Float64) -> Float64:
        """Change of the logits of rows whose products with the absorbed rows, phi^T covariance phi_m, are cross_BM."""
        return cross_BM @ self.coefficients_MC


def dual_update(
    gram_MM: Float64,
    logits_MC: Float64,
    targets_MC: Float64,
    *,
    gamma: float | None,
    curvature: float,
    mean: Callable[[Float64], Float64],
) -> DualUpdate:
    """Absorb m rows one after another. gram_MM: X covariance X^T of the new rows; mean: logits to expected targets,
    by row.

    gamma: None for the implicit rule, which is for a softmax.
    """
    M = len(gram_MM)
    upper_MM = scipy.linalg.cholesky(np.eye(M) + curvature * gram_MM, lower=False, check_finite=False)
    # Column i is the last column of (I + curvature G_1:i)^-1: what step i does, in terms of the covariance before all
    # steps.
    T_MM = scipy.linalg.solve_triangular(upper_MM, np.diag(1.0 / np.diag(upper_MM)), check_finite=False)
    U_MM = gram_MM @ T_MM
    residuals_MC = np.zeros_like(targets_MC)
    grown_M = np.diag(upper_MM) ** 2  # 1 + curvature times the variance of each row when its turn comes
    for i in range(M):
        now_C = logits_MC[i] + U_MM[i, :i] @ residuals_MC[:i]
        if gamma is None:
            residuals_MC[i] = grown_M[i] * implicit_row(now_C, targets_MC[i], (grown_M[i] - 1.0) / curvature, 1.0)
        else:
            residuals_MC[i] = gamma * (targets_MC[i] - mean(now_C[None])[0])
    return DualUpdate(T_MM @ residuals_MC)


def absorb_into_pool(
    logits_NC: Float64, variances_N: Float64, u_N: Float64, variance: float, step_C: Float64, curvature: float
) -> None:
    """Advance the logits and variances of a pool in place by one update.

    Variances are phi covariance phi, without a noise variance. u_N = phi_pool covariance phi_new and variance =
    phi_new covariance phi_new, both before the update; step_C: gamma (target - mean) of the new row, or by the
    implicit rule (1 + curvature variance) times its `implicit_row`.
    """
    scaled_N = u_N / (1.0 + curvature * variance)
    logits_NC += np.outer(scaled_N, step_C)
    variances_N -= curvature * u_N * scaled_N
    np.maximum(variances_N, 0.0, out=variances_N)
