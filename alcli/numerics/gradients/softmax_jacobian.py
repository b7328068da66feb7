"""Softmax Jacobians A = diag(p) - p p^T as a factor of `Rows`: inner products <A_i, A_j>_F from probabilities alone.

The textbook form p_i.p_j - p_i.p_j^2 - p_i^2.p_j + (p_i.p_j)^2 subtracts numbers of order 1, while the result may be
as small as (1 - max p)^2. So a row whose largest probability p_m exceeds 1/2 is written as p = e_m + s, with a
precise s. Then A = diag(s) - e_m s^T - s e_m^T - s s^T. Other rows keep s = p.
Every term is then of order |s_i| |s_j|, so float32 is precise enough for confident rows too.
M is the number of rows on the right side of a product. In comments s belongs to the left row, t to the right row.
Source: the Jacobian of a softmax; the form above is our own.
Cost: 6 N C flops for each row on the right side. Memory: N C numbers.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread, alone


class _Columns(NamedTuple):
    """Rows as the right side of a product: s [C + 1, M] with a last row of zeros; s^2 [C, M]; top class or C, [M]."""

    T_C1M: Array
    T2_CM: Array
    top_M: Int64


class SoftmaxJacobian:
    """The Jacobians at log_probs_NC, in `dtype`.

    top_N: the class whose probability exceeds 1/2, or C where there is none. S_NC: probabilities, less 1 at that class.
    """

    exponent, width = 0, math.inf

    def __init__(self, log_probs_NC: Floats, dtype: Any = np.float64) -> None:
        self.dtype = np.dtype(dtype)
        self.S_NC = np.empty(log_probs_NC.shape, self.dtype)
        self.top_N = np.empty(len(log_probs_NC), np.int64)
        for a in range(0, self.n, BLOCK_ROWS):
            self.S_NC[a : a + BLOCK_ROWS], self.top_N[a : a + BLOCK_ROWS] = about_top(log_probs_NC[a : a + BLOCK_ROWS])

    @property
    def n(self) -> int:
        return len(self.S_NC)

    @property
    def full_width(self) -> int:
        return int(self.S_NC.shape[1]) ** 2

    def columns(self, index_M: Sequence[int] | Int64) -> _Columns:
        T_CM = self.S_NC[index_M].T
        return _Columns(np.pad(T_CM, ((0, 1), (0, 0))), np.ascontiguousarray(T_CM**2), self.top_N[index_M])

    def product(self, columns: _Columns, first: int, last: int, out_BM: Array) -> None:
        C = self.S_NC.shape[1]
        T_CM, T2_CM, top_M = np.ascontiguousarray(columns.T_C1M[:C]), columns.T2_CM, columns.top_M
        both_2CM = np.concatenate([T2_CM, T_CM])
        tau_M = columns.T_C1M[top_M, np.arange(len(top_M))]
        # The last block is padded to full height: a row's product must not depend on how many rows follow it.
        S_B2C, S0_B = np.zeros((BLOCK_ROWS, 2 * C), self.dtype), np.zeros((BLOCK_ROWS, C + 1), self.dtype)
        top_B = np.full(BLOCK_ROWS, C)
        for a in range(first, last, BLOCK_ROWS):
            n = min(BLOCK_ROWS, self.n - a)
            S_B2C[:n, :C] = S0_B[:n, :C] = self.S_NC[a : a + n]
            np.square(S0_B[:n, :C], out=S_B2C[:n, C:])
            top_B[:n] = self.top_N[a : a + n]
            x_BM, k_BM = S0_B[:, :C] @ T_CM, out_BM[a - first : a - first + BLOCK_ROWS]
            u_BM, v_BM = columns.T_C1M[top_B], np.take(S0_B, top_M, axis=1)
            sigma_B1 = np.take_along_axis(S0_B, top_B[:, None], axis=1)
            # k = x (1 + 2 [tops agree] + 2 (u + v) + x) + 2 (u v - v tau - sigma u) - s.t^2 - s^2.t,  x = s.t
            np.add(u_BM, v_BM, out=k_BM)
            k_BM += (top_B[:, None] == top_M) & (top_M < C)
            k_BM *= 2.0
            k_BM += x_BM
            k_BM += 1.0
            k_BM *= x_BM
            k_BM -= S_B2C @ both_2CM
            u_BM -= tau_M
            u_BM *= v_BM
            k_BM += 2.0 * u_BM
            k_BM -= (2.0 * sigma_B1) * columns.T_C1M[top_B]

    def written_out(self, first: int, last: int) -> Float64:
        s_BC, top_B = self.S_NC[first:last].astype(np.float64), self.top_N[first:last]
        at, C = np.arange(s_BC.shape[1]), s_BC.shape[1]
        e_BC = (top_B[:, None] == at).astype(np.float64)
        # A = diag(s) - e_m s^T - s e_m^T - s s^T, without a difference of numbers near 1.
        out_BCC = -(e_BC + s_BC)[:, :, None] * s_BC[:, None] - s_BC[:, :, None] * e_BC[:, None]
        out_BCC[:, at, at] += s_BC
        return out_BCC.reshape(len(s_BC), C * C)

    def among(self, left: slice, right: slice) -> Float64:
        C = self.S_NC.shape[1]
        S_BC1, T_MC1 = (np.pad(self.S_NC[part].astype(np.float64), ((0, 0), (0, 1))) for part in (left, right))
        top_B, top_M = self.top_N[left], self.top_N[right]
        x_BM, u_BM, v_BM = S_BC1 @ T_MC1.T, T_MC1[:, top_B].T, S_BC1[:, top_M]
        sigma_B1, tau_M = np.take_along_axis(S_BC1, top_B[:, None], axis=1), T_MC1[np.arange(len(top_M)), top_M]
        agree_BM = (top_B[:, None] == top_M) & (top_M < C)
        return (
            x_BM * (1.0 + 2.0 * (agree_BM + u_BM + v_BM) + x_BM)
            + 2.0 * ((u_BM - tau_M) * v_BM - sigma_B1 * u_BM)
            - S_BC1 @ (T_MC1**2).T
            - S_BC1**2 @ T_MC1.T
        )

    def sq_norms_and_marks(self, spread: Spread = alone) -> tuple[Float64, Float64]:
        """Squared norms |A|_F^2, and as marks the projection of s on one random direction plus the top class."""
        norms, marks = np.empty((2, self.n))
        direction_C = np.random.default_rng(1).standard_normal(self.S_NC.shape[1])
        for a in range(0, self.n, BLOCK_ROWS):
            S_BC = self.S_NC[a : a + BLOCK_ROWS].astype(np.float64)
            marks[a : a + BLOCK_ROWS] = (S_BC * direction_C).sum(axis=1) + self.top_N[a : a + BLOCK_ROWS]
            norms[a : a + BLOCK_ROWS] = _sq_norms(S_BC)
        return norms, marks


def about_top(log_probs_BC: Floats) -> tuple[Float64, Int64]:
    """Return (s, top), [B, C] and [B]. top: the class whose probability exceeds 1/2, or C where there is none.

    s: the probabilities, less 1 at the top class, float64, precise to rounding.
    """
    log_probs_BC = np.asarray(log_probs_BC, np.float64)
    s_BC, top_B = np.exp(log_probs_BC), log_probs_BC.argmax(axis=1)
    rows_B = np.flatnonzero(s_BC[np.arange(len(s_BC)), top_B] > 0.5)
    at = rows_B, top_B[rows_B]
    # p - 1 is minus the sum of the others: the logarithm of a p near 1 has lost its digits in float32.
    s_BC[at] = 0.0
    s_BC[at] = -s_BC[rows_B].sum(axis=1)
    sure = np.zeros(len(s_BC), bool)
    sure[rows_B] = True
    return s_BC, np.where(sure, top_B, s_BC.shape[1])


def _sq_norms(S_BC: Float64) -> Float64:
    """Compute |A|_F^2 = sum_c p_c^2 (1 - p_c)^2 + 2 sum_{c < d} p_c^2 p_d^2, [B]. No term is negative."""
    p_BC = np.abs(S_BC)
    rest_BC = 1.0 - p_BC
    is_top = S_BC < 0.0
    p_BC[is_top], rest_BC[is_top] = rest_BC[is_top], p_BC[is_top]
    q_BC = np.square(p_BC)
    before_BC = np.zeros_like(q_BC)
    np.cumsum(q_BC[:, :-1], axis=1, out=before_BC[:, 1:])
    return (q_BC * np.square(rest_BC)).sum(axis=1) + 2.0 * (q_BC * before_BC).sum(axis=1)
