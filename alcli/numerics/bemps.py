"""CoreMSE: how far one label would move the predictions of other rows, in squared distance, in time linear in the rows.

With D_x the deviations of S draws from their mean, D_sc = P_sc - p_c, and K_x = sum_c D_c D_c^T (S x S) for the judging row, the label of
x moves the prediction of x' by the squared distance <G_x, K_x'> / S^2 on average, G_x = sum_c D_c D_c^T / p_c. Over all judging rows only
the sum of their K counts.
Source: Tan, Du & Buntine 2021, "Diversity enhanced active learning with strictly proper scoring rules", section 3 (CoreMSE); the linear
form is ours, equal to the last digits.
Cost: 2 S^2 C flops a row for the sum and again for the score; 2 S^2 flops a pair for single pairs.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.numerics.committee import TINY


def deviations(log_probs_BSC: Floats) -> tuple[Float64, Float64]:
    """(D [B, C, S], mean probabilities p [B, C]) of draws with log class probabilities [B, S, C]."""
    probs_BCS = np.exp(log_probs_BSC.transpose(0, 2, 1))
    mean_BC = probs_BCS.mean(axis=2)
    probs_BCS -= mean_BC[:, :, None]
    return np.ascontiguousarray(probs_BCS), mean_BC


def kernel_sum(log_probs_BSC: Floats) -> Float64:
    """sum of K_x over the rows, [S, S]."""
    D_XS = deviations(log_probs_BSC)[0].reshape(-1, log_probs_BSC.shape[1])
    return D_XS.T @ D_XS


def core_mse(log_probs_BSC: Floats, kernel_SS: Float64) -> Float64:
    """sum of the squared distances that the label of each row moves the rows that kernel_SS is the sum of, [B]."""
    D_BCS, mean_BC = deviations(log_probs_BSC)
    B, C, S = D_BCS.shape
    forms_BC = np.vecdot(D_BCS.reshape(-1, S) @ kernel_SS, D_BCS.reshape(-1, S)).reshape(B, C)
    out_B: Float64 = (forms_BC / np.maximum(mean_BC, TINY)).sum(axis=1) / S**2
    return out_B


class Judges:
    """E judging rows one by one. Memory: E S^2 floats."""

    def __init__(self, log_probs_ESC: Floats) -> None:
        D_ECS, _ = deviations(log_probs_ESC)
        self._kernels_EY = (D_ECS.transpose(0, 2, 1) @ D_ECS).reshape(len(D_ECS), -1)

    def moved(self, log_probs_BSC: Floats) -> Float64:
        """Squared distance that the label of each row moves each judging row, on average, [B, E]."""
        D_BCS, mean_BC = deviations(log_probs_BSC)
        scaled_BSC = (D_BCS / np.maximum(mean_BC, TINY)[:, :, None]).transpose(0, 2, 1)
        out_BE: Float64 = (scaled_BSC @ D_BCS).reshape(len(D_BCS), -1) @ self._kernels_EY.T
        out_BE /= D_BCS.shape[2] ** 2
        return out_BE
