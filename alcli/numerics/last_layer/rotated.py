"""Labelled rows in coordinates where their Gram matrix is diagonal and the penalty of a fit is one number.

A penalty that treats all weights alike does not change under rotations of the features. So the rows are rotated once
into the eigenbasis of their Gram matrix, of R = min(n, D1) dimensions: with fewer rows than features, the space that
the rows span. The bias has a prior of its own (prior.py), which comes in by one of two ways. `rotate` scales the bias
column. `rotate_centred` centres the features first, and leaves the bias as a last coordinate without a penalty.

Source: textbook; centring, Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, section 3.4.1.
Cost: min(n, D1)^2 max(n, D1) multiply-adds, a few times. Memory: 2 n R + 2 D1 R floats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from alcli.arrays import Array, Float64


@dataclass(frozen=True)
class Rotated:
    """Rows in coordinates where their weighted Gram matrix is diagonal.

    Z_LR = phi V: the rows. V_D1R, U_D1R: weights in these coordinates are W U, and W is (W U) V^T for every W that a
    fit can end at: a combination of the rows, scaled or centred, and any bias that is free. gram_R: the diagonal of
    Z^T diag(weights) Z. y_L: class numbers. weights_L: row weights. free: the last coordinate is the bias and has no
    penalty.
    """

    Z_LR: Float64
    V_D1R: Float64
    U_D1R: Float64
    gram_R: Float64
    y_L: Array
    weights_L: Float64
    n_classes: int
    free: bool = False

    def scale(self) -> float:
        """The weighted sum of row norms. The gradient norm of the cross-entropy is at most sqrt 2 times this sum."""
        return float(self.weights_L @ np.sqrt(np.einsum("lr,lr->l", self.Z_LR, self.Z_LR)))

    def mean_square(self) -> float:
        """The weighted mean of the squared norms of the rows, without the coordinate that is free."""
        penalised_R = self.gram_R[:-1] if self.free else self.gram_R
        return float(penalised_R.sum() / self.weights_L.sum())

    def penalty(self, prior_precision: float) -> Float64:
        """The penalty of each coordinate, [R]."""
        penalty_R = np.full(len(self.gram_R), float(prior_precision))
        if self.free:
            penalty_R[-1] = 0.0
        return penalty_R

    def inside(self, W_CD1: Float64) -> Float64:
        """Turn weights [C, D1] into these coordinates, [C, R]."""
        return W_CD1 @ self.U_D1R

    def outside(self, W_CR: Float64) -> Float64:
        """Turn weights [C, R] back into weights of the features and the bias, [C, D1]."""
        return W_CR @ self.V_D1R.T


def rotate(phi_LD1: Float64, y_L: Array, weights_L: Float64, n_classes: int, *, column: float = 1.0) -> Rotated:
    """Rotate the rows phi = [x; 1] into the eigenbasis of their weighted Gram matrix, of min(n, D1) dimensions.

    column: the number that stands in for the 1 of the bias column (`bias_column` of prior.py).
    """
    scale_D1 = np.ones(phi_LD1.shape[1])
    scale_D1[-1] = column
    Z_LR, V_D1R, gram_R = _eigenbasis(phi_LD1 if column == 1.0 else phi_LD1 * scale_D1, weights_L)
    V_D1R, U_D1R = (V_D1R, V_D1R) if column == 1.0 else (V_D1R * scale_D1[:, None], V_D1R / scale_D1[:, None])
    return Rotated(Z_LR, V_D1R, U_D1R, gram_R, y_L, weights_L, n_classes)


def rotate_centred(phi_LD1: Float64, y_L: Array, weights_L: Float64, n_classes: int) -> Rotated:
    """Centre the features at their weighted mean and rotate them; the bias column stays as the last coordinate."""
    mean_D = weights_L @ phi_LD1[:, :-1] / weights_L.sum()
    Z_LR, V_DR, gram_R = _eigenbasis(phi_LD1[:, :-1] - mean_D, weights_L)
    D, R = V_DR.shape
    V_D1R, U_D1R = np.zeros((D + 1, R + 1)), np.zeros((D + 1, R + 1))
    V_D1R[:-1, :-1] = U_D1R[:-1, :-1] = V_DR
    V_D1R[-1, :-1], U_D1R[:-1, -1] = -mean_D @ V_DR, mean_D
    V_D1R[-1, -1] = U_D1R[-1, -1] = 1.0
    Z_LR1 = np.column_stack([Z_LR, np.ones(len(Z_LR))])
    gram_R1 = np.append(gram_R, weights_L.sum())
    return Rotated(Z_LR1, V_D1R, U_D1R, gram_R1, y_L, weights_L, n_classes, free=True)


def _eigenbasis(X_LD: Float64, weights_L: Float64) -> tuple[Float64, Float64, Float64]:
    """(Z = X V, V with orthonormal columns, the diagonal of Z^T diag(weights) Z, ascending)."""
    n, D = X_LD.shape
    if n < D:
        Q_DR, R_RL = scipy.linalg.qr(X_LD.T, mode="economic", check_finite=False)
        Z_LR = R_RL.T
    else:
        Q_DR, Z_LR = None, X_LD
    gram_R, U = scipy.linalg.eigh((Z_LR * weights_L[:, None]).T @ Z_LR, check_finite=False, driver="evd")
    V_DR = U if Q_DR is None else Q_DR @ U
    return np.ascontiguousarray(Z_LR @ U), V_DR, np.maximum(gram_R, 0.0)
