"""The Fisher information of rows about the last layer's weights, as a matrix, and its sum with a prior.

Row x gives V_x V_x^T with V_x = R_x (x) [h_x; 1]. R_x [K, Q] is a root of the curvature of the loss with respect to
the K outputs, of rank Q at most. P = K D1 is the number of weights.
Source: textbook. Cost: see each function.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64, with_bias
from alcli.numerics import cholesky
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS

# The least prior precision, as a fraction of the largest diagonal entry.
FLOOR = 1e-9
# Numbers of V that are written out at a time.
_PIECE = 1 << 24


def information(H_ND: BlockArray, R_NKQ: Float64) -> Float64:
    """Sum V V^T over all rows, float64 [P, P]: a block of rows at a time, in their order. Cost: N P^2 Q flops."""
    return cholesky.symmetric(lower_information(H_ND, R_NKQ))


def lower_information(H_ND: BlockArray, R_NKQ: Float64) -> Float64:
    """The lower triangle of `information`, in Fortran order; the other numbers are 0."""
    P = R_NKQ.shape[1] * (H_ND.shape[1] + 1)
    lower_PP = np.zeros((P, P), order="F")
    step = max(1, min(BLOCK_ROWS, _PIECE // (P * R_NKQ.shape[2])))
    for a in range(0, len(H_ND), step):
        V_BQP = np.einsum("bkq,bd->bqkd", R_NKQ[a : a + step], with_bias(H_ND[a : a + step])).reshape(-1, P)
        lower_PP = cholesky.add_gram(lower_PP, V_BQP, 1.0)
    return lower_PP


def with_prior(information_PP: Float64, prior_D1: Float64, F_PP: Float64) -> Float64:
    """Return information + prior, a new matrix. F_PP: the information of the rows whose predictions matter.

    prior_D1: the prior precision of each weight of an output, the same for all outputs. It is raised to `FLOOR` times
    the largest diagonal entry of both matrices: a smaller prior is lost in rounding.
    """
    floor = FLOOR * float(max(information_PP.diagonal().max(), F_PP.diagonal().max()))
    return information_PP + np.diag(np.resize(np.maximum(prior_D1, floor), len(information_PP)))


def softmax_root(log_probs_BC: Array) -> Float64:
    """A root of the softmax curvature: R = diag(sqrt p) - p sqrt(p)^T, [B, C, C], so that R R^T = diag(p) - p p^T."""
    root_BC = np.exp(0.5 * log_probs_BC.astype(np.float64))
    out_BCC = -(root_BC**2)[:, :, None] * root_BC[:, None, :]
    at = np.arange(log_probs_BC.shape[1])
    out_BCC[:, at, at] = root_BC * -np.expm1(log_probs_BC.astype(np.float64))
    return out_BCC
