"""Logits of a whole pool while its last layer moves, kept up by the moves alone.

A label moves the last layer by a matrix that for most posteriors is a product of two vectors, step_C t_D1^T; the pool's logits then move by
(phi_pool t) step^T. What the pool must be multiplied by is found from the two last layers, so nothing depends on the posterior's form.
Moves wait until rows are looked at, and all that wait are applied in one pass. In float32 roundings add up, so each pass also takes
the next 1024th of the rows anew from the weights: no row carries more than 1024 of them.
Source: Huseljic et al., Efficient Bayesian Updates for Deep Active Learning via Laplace Approximations, ECML-PKDD 2025, section 4 (rank-one updates).
Cost: a pass reads the features once, 2 N (D + C) flops for each label that waits; N C numbers of memory beside the features.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import blas

from alcli.arrays import Float64, Floats
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.logistic import log_softmax

ROWS = 512  # of a sub-block: its logits stay in the cache between the move and what is made of them
FAR = 30.0  # log-sums that move farther from one pass to the next lose digits
REFRESH_PASSES = 1024
_EPS = float(np.finfo(np.float64).eps)


def factored(before_CD1: Float64, after_CD1: Float64) -> tuple[Float64, Float64]:
    """(A_CR, B_RD1) with after - before = A B to rounding: R is 1 where one product of vectors will do, else C. Cost O(C D1)."""
    delta_CD1 = after_CD1 - before_CD1
    norms_C = np.einsum("cd,cd->c", delta_CD1, delta_CD1)
    c = int(norms_C.argmax())
    if norms_C[c] == 0.0:
        return np.zeros((len(delta_CD1), 1)), delta_CD1[:1]
    A_C1, B_1D = (delta_CD1 @ delta_CD1[c] / norms_C[c])[:, None], delta_CD1[c : c + 1]
    largest = max(float(np.abs(W).max()) for W in (before_CD1, after_CD1))
    tolerance = 8 * _EPS * largest + 1e-12 * float(norms_C[c]) ** 0.5
    if float(np.abs(delta_CD1 - A_C1 * B_1D).max()) <= tolerance:
        return A_C1, B_1D
    return np.eye(len(delta_CD1)), delta_CD1


class PoolLogits:
    """Logits Z_NC of the rows H_ND (last hidden features without the bias column), in the dtype of H.

    exact: the logits of rows first..last by the weights of the moment. scale: what outputs of the last layer are multiplied by to
    become logits. Threads share out blocks; bits depend on neither their number nor their order.
    """

    def __init__(self, H_ND: Floats, n_classes: int, exact: Callable[[int, int], Float64], scale: float) -> None:
        self._H_ND, self._exact, self._scale = H_ND, exact, scale
        self._moves: list[tuple[Float64, Float64]] = []
        self._passes = -1  # until the first one, which takes everything from the weights
        self.Z_NC: Floats = np.empty((len(H_ND), n_classes), H_ND.dtype)
        self._log_sums_N = np.zeros(len(H_ND), H_ND.dtype)
        self._ones_C = np.ones(n_classes, H_ND.dtype)

    @property
    def current(self) -> bool:
        """Whether every row is up to date."""
        return self._passes >= 0 and not self._moves

    def move(self, before_CD1: Float64, after_CD1: Float64) -> None:
        """The last layer became another one; `exact` tells of the new one from now on."""
        if self._passes >= 0:
            self._moves.append(factored(before_CD1, after_CD1))

    def visit(self, look: Callable[[int, int], None], spread: Spread) -> None:
        """Call look(first, last) for blocks of rows that cover the pool, each brought up to date just before."""
        A_CR, B_RD1 = self._waiting()
        U_NR: Floats = np.empty((len(self.Z_NC), len(B_RD1)), self.Z_NC.dtype)
        stale = self._stale()

        def product(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                b = min(a + BLOCK_ROWS, last)
                np.dot(self._H_ND[a:b], B_RD1[:, :-1].T, out=U_NR[a:b])
            U_NR[first:last] += B_RD1[:, -1]

        def work(first: int, last: int) -> None:
            for a in range(first, last, ROWS):
                b = min(a + ROWS, last)
                self._move_rows(a, b, A_CR, U_NR)
                lo, hi = max(a, stale.start), min(b, stale.stop)
                if lo < hi:
                    self.Z_NC[lo:hi] = self._exact(lo, hi)
                look(a, b)

        if len(B_RD1):
            spread(len(self.Z_NC), product)
        spread(len(self.Z_NC), work)
        self._passes += 1
        self._moves.clear()

    def log_probs(self, first: int, last: int) -> Float64:
        """Log-softmax of rows first..last of Z_NC, with its precision but as float64.

        The logits are shifted by the row's log-sum of the last time instead of their largest, and sums are products with ones: on
        rows of 77 numbers that is half the time. Where a log-sum has moved too far for that, it is done by the book.
        """
        out_BC = self.Z_NC[first:last] - self._log_sums_N[first:last, None]
        with np.errstate(over="ignore", divide="ignore", under="ignore"):
            log_sums_B = np.log(np.exp(out_BC) @ self._ones_C)
        if not (np.abs(log_sums_B) < FAR).all():
            out_BC = log_softmax(self.Z_NC[first:last])
            self._log_sums_N[first:last] = self.Z_NC[first:last, 0] - out_BC[:, 0]
            return out_BC
        out_BC -= log_sums_B[:, None]
        self._log_sums_N[first:last] += log_sums_B
        return out_BC.astype(np.float64, copy=False)

    def _waiting(self) -> tuple[Floats, Floats]:
        dtype = self._H_ND.dtype
        A_CR = np.concatenate([np.empty((self.Z_NC.shape[1], 0)), *(A for A, _ in self._moves)], axis=1)
        B_RD1 = np.concatenate([np.empty((0, self._H_ND.shape[1] + 1)), *(B for _, B in self._moves)])
        return np.asfortranarray(A_CR * self._scale, dtype), B_RD1.astype(dtype)

    def _stale(self) -> range:
        """The rows that this pass takes anew."""
        n, i = len(self.Z_NC), self._passes % REFRESH_PASSES
        return range(n) if self._passes < 0 else range(n * i // REFRESH_PASSES, n * (i + 1) // REFRESH_PASSES)

    def _move_rows(self, a: int, b: int, A_CR: Floats, U_NR: Floats) -> None:
        if U_NR.shape[1] == 1:
            add_outer = blas.sger if self.Z_NC.dtype == np.float32 else blas.dger
            add_outer(1.0, A_CR[:, 0], U_NR[a:b, 0], a=self.Z_NC[a:b].T, overwrite_a=1)  # in place: a third of Z += u A^T
        elif U_NR.shape[1]:
            self.Z_NC[a:b] += U_NR[a:b] @ A_CR.T
