"""Ridge regression in closed form for many penalties at once, with exact leave-one-out predictions.

Rows are rotated first (`rotate` in softmax_map.py), so each penalty costs one division and one product.
R: dimensions of the rotated rows.
Source: Golub, Heath & Wahba 1979 (leave-one-out residual = residual / (1 - leverage)).
Cost: the rotation, then 2 n R C flops for each penalty. Memory: 2 n R + n C + C R floats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from alcli.arrays import Float64
from alcli.numerics.last_layer.softmax_map import Rotated

# Penalties to try, in units of the mean squared norm of a row.
GRID = 10.0 ** np.arange(-6.0, 4.01, 0.5)


@dataclass(frozen=True)
class RidgeFit:
    """The solution W_CR, which minimises sum_n weight_n |target_n - W z_n|^2 + prior |W|^2.

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
        rows, targets_LC = self._rows, self._targets_LC
        scale_R = 1.0 / (rows.gram_R + prior)
        W_CR = self._pulled_CR * scale_R
        residual_LC = targets_LC - rows.Z_LR @ W_CR.T
        left_L = 1.0 - rows.weights_L * (self._squares_LR @ scale_R)
        left_out_LC = targets_LC - residual_LC / np.maximum(left_L, 1e-12)[:, None]
        objective = float(rows.weights_L @ (residual_LC**2).sum(axis=1)) + prior * float(np.vdot(W_CR, W_CR))
        return RidgeFit(W_CR, prior, left_out_LC, objective)


def solve(rows: Rotated, targets_LC: Float64, prior: float) -> RidgeFit:
    """The solution at the penalty `prior`."""
    return Path(rows, targets_LC).at(prior)


def left_out_error(rows: Rotated, targets_LC: Float64, fit: RidgeFit) -> float:
    """The weighted mean squared error of the leave-one-out predictions, over rows and outputs."""
    return float(np.average(((targets_LC - fit.left_out_LC) ** 2).mean(axis=1), weights=rows.weights_L))


def best(rows: Rotated, targets_LC: Float64) -> RidgeFit:
    """The fit with the least leave-one-out error on the grid; of equal errors, the one with the larger penalty."""
    path, square = Path(rows, targets_LC), float(rows.gram_R.sum() / rows.weights_L.sum())
    errors = [left_out_error(rows, targets_LC, path.at(float(g * square))) for g in GRID]
    i = len(errors) - 1 - int(np.argmin(errors[::-1]))
    return path.at(float(GRID[i] * square))


def noise_variance(rows: Rotated, targets_LC: Float64, fit: RidgeFit) -> float:
    """The noise variance of the targets that maximises the marginal likelihood at the penalty of `fit`; positive."""
    return max(fit.objective / targets_LC.size, 1e-12 * float((targets_LC**2).mean()), np.finfo(np.float64).tiny)


def log_evidence(rows: Rotated, targets_LC: Float64, fit: RidgeFit, variance: float) -> float:
    """log p(targets) in nats, for noise of variance `variance` / weight and a prior of variance `variance` / prior."""
    C = targets_LC.shape[1]
    spread = float(np.log1p(rows.gram_R / fit.prior).sum())
    constant = targets_LC.size * float(np.log(2 * np.pi * variance)) - C * float(np.log(rows.weights_L).sum())
    return float(-0.5 * (constant + C * spread + fit.objective / variance))


def solve_anchored(rows: Rotated, targets_LC: Float64, prior: float, anchor_CR: Float64) -> Float64:
    """Return the W_CR that minimises sum_n weight_n |target_n - W z_n|^2 + prior |W - anchor|^2.

    The Gram matrix of the rows serves all targets and anchors.
    """
    away_LC = (targets_LC - rows.Z_LR @ anchor_CR.T) * rows.weights_L[:, None]
    return anchor_CR + away_LC.T @ rows.Z_LR / (rows.gram_R + prior)


def solve_reweighted(rows: Rotated, targets_LC: Float64, prior: float, weights_L: Float64) -> Float64:
    """Solve for W_CR under other row weights, by one Cholesky factor: n R^2 + R^3 / 3 multiply-adds."""
    weighted_LR = rows.Z_LR * weights_L[:, None]
    gram_RR = weighted_LR.T @ rows.Z_LR
    gram_RR[np.diag_indices_from(gram_RR)] += prior
    return scipy.linalg.solve(gram_RR, weighted_LR.T @ targets_LC, assume_a="pos", check_finite=False).T
