"""Scores of many batches with known labels: accuracy or loss on judging rows after each batch is absorbed.

Each of the B batches has K rows with given labels. Every batch is absorbed on its own, from the same last layer, and is
scored on J judging rows, whose labels are given too. (one_label.py looks ahead by a single label that is not known, and
takes an expectation.)
A batch changes the logits of judging rows by cross^T coefficients. The coefficients follow from the K x K products
within the batch alone, so no weight matrix is formed. All batches share one matrix of products between candidates and
judging rows.
Source: the dual form of the Sherman-Morrison formula, for B batches side by side.
Cost: B (K^3 / 3 + K^2 C) flops for the coefficients, then 2 B J K C flops and three passes over B J C floats.
Memory: B K (K + C) numbers, the N J products, and pieces of _BYTES.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import numpy as np
import scipy.linalg

from alcli.arrays import Array, Float64, Floats, Int64

# (logits [B, C], targets [B, C], variances [B]) -> movement of the outputs per unit of variance, [B, C].
Step = Callable[[Float64, Float64, Float64], Float64]
Score = Literal["accuracy", "cross-entropy"]
# Size of the logits that are judged at a time: they fit into a cache.
_BYTES = 2 << 20


def batch_coefficients(
    gram_BKK: Float64, logits_BKC: Float64, targets_BKC: Float64, curvature: float, step: Step
) -> Float64:
    """Absorb every batch, its rows one after another; return its coefficients, float64 [B, K, C].

    The logits at any x then change by the sum over the batch's rows i of (phi(x)^T covariance phi_i) coefficient_i.
    gram_BKK: the products phi^T covariance phi' within each batch, before any row is absorbed.
    logits_BKC, targets_BKC: of the batch's rows, also before any is absorbed. curvature: a row phi adds
    curvature phi phi^T to the precision. step: takes the logits, targets and variances phi^T covariance phi of one row
    of each batch, after the rows before it were absorbed; returns the movement of the outputs per unit of variance.
    """
    K = gram_BKK.shape[1]
    lower_BKK = np.linalg.cholesky(np.eye(K) + curvature * gram_BKK)
    pivots_BK = np.einsum("bkk->bk", lower_BKK)
    # covariance_i is the covariance after the rows before i. Column i of T holds the coefficients with which
    # covariance_i phi_i is a sum of the vectors covariance phi_k, where covariance is the one before all rows.
    T_BKK = _triangular_inverse(lower_BKK).transpose(0, 2, 1) * pivots_BK[:, None, :]
    U_BKK = gram_BKK @ T_BKK
    variances_BK = (pivots_BK**2 - 1.0) / curvature
    steps_BKC = np.zeros_like(targets_BKC)
    for i in range(K):
        shift_BC = np.matmul(U_BKK[:, i : i + 1, :i], steps_BKC[:, :i])[:, 0]
        steps_BKC[:, i] = step(logits_BKC[:, i] + shift_BC, targets_BKC[:, i], variances_BK[:, i])
    return T_BKK @ steps_BKC


def _triangular_inverse(lower_BKK: Array) -> Float64:
    """Invert every lower triangular matrix, row by row, all matrices at once."""
    out = np.zeros_like(lower_BKK)
    for i in range(lower_BKK.shape[1]):
        row_BK = -np.matmul(lower_BKK[:, i : i + 1, :i], out[:, :i])[:, 0]
        row_BK[:, i] += 1.0
        out[:, i] = row_BK / lower_BKK[:, i, i][:, None]
    return out


def judge(
    batches_BK: Int64, coefficients_BKC: Floats, cross_NJ: Floats, logits_CJ: Floats, y_J: Int64, score: Score
) -> Float64:
    """Score every batch on the judging rows, float64 [B]; larger is better.

    The score is the accuracy, or minus the mean cross-entropy in nats. batches_BK: row numbers in cross_NJ.
    coefficients_BKC: from `batch_coefficients`. cross_NJ: the products phi^T covariance phi' of N candidates with J
    judging rows. logits_CJ, y_J: logits before any batch, and class numbers, of the judging rows.
    Logits are computed in the dtype of cross_NJ and logits_CJ.
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
    """Compute L^-1 phi for every row, [N, D] in C order and in `dtype`. Cost: D^2 N flops.

    factor_DD: the lower Cholesky factor L of the precision. Products of two such rows are phi^T covariance phi'.
    """
    root_DN = scipy.linalg.solve_triangular(factor_DD, phi_ND.T, lower=True, check_finite=False)
    return np.ascontiguousarray(root_DN.T, dtype=dtype)
