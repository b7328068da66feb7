"""Ridge regression in closed form for many penalties at once, with exact leave-one-out predictions.

Rows are centred and rotated first (`rotate_centred` in rotated.py), so each penalty costs one division and one
product. The bias has a flat prior. R: dimensions of the rotated rows, the bias included.
Source: Golub, Heath & Wahba 1979 (leave-one-out residual = residual / (1 - leverage)).
Cost: the rotation, then 2 n R C flops for each penalty. Memory: 2 n R + n C + C R floats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from alcli.arrays import Float64
from alcli.numerics.last_layer.rotated import Rotated

# Penalties to try, in units of the mean squared distance of a row to the mean of the rows.
GRID = 10.0 ** np.arange(-6.0, 4.01, 0.5)


@dataclass(frozen=True)
class RidgeFit:
    """The solution W_CR, which minimises sum_n weight_n |target_n - W z_n|^2 + prior |W without the bias|^2.

    left_out_LC: the leave-one-out prediction of each row. objective: the minimum.
    """

    W_CR: Float64
    prior: float
    left_out_LC: Float64
    objective: float


class Path:
    """The solutions at all penalties. Quantities that no penalty changes are computed once."""

    def __init__(self, rows: Rotated, targets_LC: Float64) -> None:
        self._rows, self._targets_LC = rows, targets_LC
        self._pulled_CR = (targets_LC * rows.weights_L[:, None]).T @ rows.Z_LR
        self._squares_LR = rows.Z_LR**2

    def at(self, prior: float) -> RidgeFit:
        """The solution at the penalty `prior`."""
        rows, targets_LC, penalty_R = self._rows, self._targets_LC, self._rows.penalty(prior)
        scale_R = 1.0 / (rows.gram_R + penalty_R)
        W_CR = self._pulled_CR * scale_R
        residual_LC = targets_LC - rows.Z_LR @ W_CR.T
        left_L = 1.0 - rows.weights_L * (self._squares_LR @ scale_R)
        left_out_LC = targets_LC - residual_LC / np.maximum(left_L, 1e-12)[:, None]
        objective = float(rows.weights_L @ (residual_LC**2).sum(axis=1)) + float((W_CR**2 @ penalty_R).sum())
        return RidgeFit(W_CR, prior, left_out_LC, objective)


def solve(rows: Rotated, targets_LC: Float64, prior: float) -> RidgeFit:
    """The solution at the penalty `prior`."""
    return Path(rows, targets_LC).at(prior)


def left_out_error(rows: Rotated, targets_LC: Float64, fit: RidgeFit) -> float:
    """The weighted mean squared error of the leave-one-out predictions, over rows and outputs."""
    return float(np.average(((targets_LC - fit.left_out_LC) ** 2).mean(axis=1), weights=rows.weights_L))


def best(rows: Rotated, targets_LC: Float64) -> RidgeFit:
    """The fit with the least leave-one-out error on the grid; of equal errors, the one with the larger penalty."""
    path, priors = Path(rows, targets_LC), priors_to_try(rows)
    errors = [left_out_error(rows, targets_LC, path.at(prior)) for prior in priors]
    return path.at(priors[len(errors) - 1 - int(np.argmin(errors[::-1]))])


def priors_to_try(rows: Rotated) -> list[float]:
    """The penalties of `GRID`, ascending. Where all rows are equal, their unit is the mean squared norm, or 1."""
    square, norm = rows.mean_square(), float(np.einsum("lr,lr->l", rows.Z_LR, rows.Z_LR).mean())
    return [float(g * (square if square > 1e-12 * norm else norm or 1.0)) for g in GRID]


def noise_variance(rows: Rotated, targets_LC: Float64, fit: RidgeFit) -> float:
    """The noise variance of the targets that maximises the marginal likelihood at the penalty of `fit`; positive.

    A flat prior of the bias takes one degree of freedom: the likelihood is that of the contrasts between the rows.
    """
    n, C = targets_LC.shape
    centred_LC = targets_LC - np.average(targets_LC, axis=0, weights=rows.weights_L)
    degrees = max(n - 1, 1) if rows.free else n
    least = 1e-12 * float(((centred_LC if rows.free else targets_LC) ** 2).mean())
    return max(fit.objective / (degrees * C), least, np.finfo(np.float64).tiny)


def log_evidence(rows: Rotated, targets_LC: Float64, fit: RidgeFit, variance: float) -> float:
    """log p(targets) in nats, for noise of variance `variance` / weight and a prior of variance `variance` / prior.

    A bias with a flat prior is integrated out with density 1.
    """
    (n, C), weights_L = targets_LC.shape, rows.weights_L
    penalised_R = rows.gram_R[:-1] if rows.free else rows.gram_R
    spread = float(np.log1p(penalised_R / fit.prior).sum()) - float(np.log(weights_L).sum())
    if rows.free:
        n, spread = n - 1, spread + float(np.log(weights_L.sum()))
    return float(-0.5 * (C * n * np.log(2 * np.pi * variance) + C * spread + fit.objective / variance))


def solve_anchored(rows: Rotated, targets_LC: Float64, prior: float, anchor_CR: Float64) -> Float64:
    """Return the W_CR that minimises sum_n weight_n |target_n - W z_n|^2 + prior |W - anchor|^2, the bias free.

    The Gram matrix of the rows serves all targets and anchors.
    """
    away_LC = (targets_LC - rows.Z_LR @ anchor_CR.T) * rows.weights_L[:, None]
    return anchor_CR + away_LC.T @ rows.Z_LR / (rows.gram_R + rows.penalty(prior))


def solve_reweighted(rows: Rotated, targets_LC: Float64, prior: float, weights_L: Float64) -> Float64:
    """Solve for W_CR under other row weights, by one Cholesky factor: n R^2 + R^3 / 3 multiply-adds."""
    weighted_LR = rows.Z_LR * weights_L[:, None]
    gram_RR = weighted_LR.T @ rows.Z_LR
    gram_RR[np.diag_indices_from(gram_RR)] += rows.penalty(prior)
    return scipy.linalg.solve(gram_RR, weighted_LR.T @ targets_LC, assume_a="pos", check_finite=False).T
