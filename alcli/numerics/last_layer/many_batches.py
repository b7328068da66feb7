"""Many hypothetical batches at once: what each would do to the logits of judging rows, without forming a weight.

A batch of K rows changes logits by cross^T coefficients, where coefficients follow from the batch's own K x K products alone. So
all batches share one matrix of products between candidates and judging rows, and each costs 2 J K C flops for J judging rows.
Source: dual form of Sherman-Morrison as in numerics/updates.py, for B batches side by side.
Cost: B (K^3 / 3 + K^2 C) for the coefficients, then B (2 J K C) and three passes over B J C floats.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import scipy.linalg

from alcli.arrays import Array, Float64, Floats, Int64

Step = Callable[[Float64, Float64, Float64], Float64]
Score = Literal["accuracy", "cross-entropy"]
_BYTES = 2 << 20  # logits of the batches that are judged side by side: what a cache holds


def batch_coefficients(
    gram_BKK: Float64, logits_BKC: Float64, targets_BKC: Float64, curvature: float, step: Step
) -> Float64:
    """Absorb every batch, its rows one after another: coefficients [B, K, C] by which products with its rows change logits.

    gram_BKK: products phi^T covariance phi' within each batch. step: how far one row of each batch moves the outputs, [B, C], per
    unit of phi^T covariance phi of the moment, given its logits [B, C], targets [B, C] and variance [B].
    """
    K = gram_BKK.shape[1]
    lower_BKK = np.linalg.cholesky(np.eye(K) + curvature * gram_BKK)
    pivots_BK = np.einsum("bkk->bk", lower_BKK)
    # Column i is covariance_i phi_i in terms of the covariance before all steps; covariance_i has absorbed the rows before i.
    T_BKK = _triangular_inverse(lower_BKK).transpose(0, 2, 1) * pivots_BK[:, None, :]
    U_BKK = gram_BKK @ T_BKK
    variances_BK = (pivots_BK**2 - 1.0) / curvature
    steps_BKC = np.zeros_like(targets_BKC)
    for i in range(K):
        shift_BC = np.matmul(U_BKK[:, i : i + 1, :i], steps_BKC[:, :i])[:, 0]
        steps_BKC[:, i] = step(logits_BKC[:, i] + shift_BC, targets_BKC[:, i], variances_BK[:, i])
    out: Float64 = T_BKK @ steps_BKC
    return out


def _triangular_inverse(lower_BKK: Array) -> Float64:
    """The inverse of every lower triangle, row by row over all of them at once."""
    out = np.zeros_like(lower_BKK)
    for i in range(lower_BKK.shape[1]):
        row_BK = -np.matmul(lower_BKK[:, i : i + 1, :i], out[:, :i])[:, 0]
        row_BK[:, i] += 1.0
        out[:, i] = row_BK / lower_BKK[:, i, i][:, None]
    return out


def judge(
    batches_BK: Int64, coefficients_BKC: Floats, cross_NJ: Floats, logits_CJ: Floats, y_J: Int64, score: Score
) -> Float64:
    """The score of every batch, larger is better: accuracy, or minus the mean cross-entropy, on J judging rows, shape [B].

    batches_BK: rows of cross_NJ, the products of candidates with judging rows. Computed in the dtype of cross_NJ and logits_CJ.
    """
    B = len(batches_BK)
    C, J = logits_CJ.shape
    measure = _accuracy if score == "accuracy" else _minus_cross_entropy
    weights_BCK = np.ascontiguousarray(coefficients_BKC.transpose(0, 2, 1), dtype=cross_NJ.dtype)
    scores_B = np.empty(B)
    step = max(1, _BYTES // (C * J * cross_NJ.itemsize))
    for first in range(0, B, step):
        part = slice(first, min(first + step, B))
        logits_PCJ = np.matmul(weights_BCK[part], cross_NJ[batches_BK[part]])
        logits_PCJ += logits_CJ
        scores_B[part] = measure(logits_PCJ, y_J)
    return scores_B


def _accuracy(logits_PCJ: Floats, y_J: Int64) -> Array:
    truth_PJ = logits_PCJ[:, y_J, np.arange(len(y_J))]
    hits_P: Array = (truth_PJ >= logits_PCJ.max(axis=1)).sum(axis=1)
    return hits_P / len(y_J)


def _minus_cross_entropy(logits_PCJ: Floats, y_J: Int64) -> Array:
    logits_PCJ -= logits_PCJ.max(axis=1, keepdims=True)
    truth_PJ = logits_PCJ[:, y_J, np.arange(len(y_J))].astype(np.float64)
    np.exp(logits_PCJ, out=logits_PCJ)
    losses_PJ = np.log(logits_PCJ.sum(axis=1, dtype=np.float64)) - truth_PJ
    return -np.asarray(losses_PJ.mean(axis=1))


def whitened(factor_DD: Float64, phi_ND: Float64, dtype: type[np.floating]) -> Floats:
    """L^-1 phi for every row, [N, D] in C order, so that products of two such rows are phi^T covariance phi'. D^2 N flops."""
    root_DN = scipy.linalg.solve_triangular(factor_DD, phi_ND.T, lower=True, check_finite=False)
    return np.ascontiguousarray(root_DN.T, dtype=dtype)
