"""Logits of a whole pool, kept up to date while the last layer moves label by label.

A label moves the last layer by a matrix. For most posteriors the matrix is a product of two vectors, step_C t_D1^T, and
the pool's logits then move by (phi_pool t) step^T. The two vectors are computed from the last layer before and after
the move, so nothing here depends on the form of the posterior.
Moves wait until rows are needed. One pass over the pool then applies all waiting moves. In float32 rounding errors add
up, so each pass also recomputes the next 1024th of the rows from the weights: no row carries the errors of more than
1024 passes. R: columns of the waiting moves taken together.
Source: Huseljic et al., Efficient Bayesian Updates for Deep Active Learning via Laplace Approximations, ECML-PKDD 2025,
section 4 (rank-one updates).
Cost: a pass reads the features once and takes 2 N (D + C) flops for each waiting label.
Memory: N C numbers beside the features.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.linalg import blas

from alcli.arrays import Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.last_layer.probability_drift import ProbabilityDrift
from alcli.numerics.logistic import log_softmax

# Rows whose log-sum-exp moved farther than this since the last pass would lose digits in the fast form.
FAR = 30.0
REFRESH_PASSES = 1024
_EPS = float(np.finfo(np.float64).eps)


def factored(before_CD1: Float64, after_CD1: Float64) -> tuple[Float64, Float64]:
    """Return (A_CR, B_RD1) with after - before = A B to rounding. Cost: O(C D1).

    R is 1 where a single product of two vectors equals the difference, else C.
    """
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
    """Logits of the rows H_ND (last hidden features without the bias column), held as Z_NC + shift_N.

    Z_NC is in the dtype of H_ND and near the log-probabilities; shift_N is float64.
    exact: exact(first, last) computes the logits of rows first..last from the current weights, float64. Weights are
    those whose outputs are the logits, at any temperature. drift: is informed of each move, if it is set before the
    first visit. Threads share out blocks of rows; bits depend on neither the number of threads nor their order.
    """

    def __init__(self, H_ND: Floats, n_classes: int, exact: Callable[[int, int], Float64]) -> None:
        self._H_ND, self._exact = H_ND, exact
        self.drift: ProbabilityDrift | None = None
        self._moves: list[tuple[Float64, Float64]] = []
        # Passes after the first one. -1 until the first pass, which computes all rows from the weights.
        self._passes = -1
        self.Z_NC: Floats = np.zeros((len(H_ND), n_classes), H_ND.dtype)
        self._shift_N = np.zeros(len(H_ND))
        self._ones_C = np.ones(n_classes, H_ND.dtype)
        self._ger = blas.sger if H_ND.dtype == np.float32 else blas.dger

    @property
    def current(self) -> bool:
        """True where every row is up to date."""
        return self._passes >= 0 and not self._moves

    def move(self, before_CD1: Float64, after_CD1: Float64) -> None:
        """Record that the last layer has moved; `exact` must use the new last layer from now on."""
        if self._passes >= 0:
            self._moves.append(factored(before_CD1, after_CD1))

    def visit(self, look: Callable[[int, int], None], spread: Spread) -> None:
        """Call look(first, last) for blocks of rows that cover the pool; each block is brought up to date first."""
        A_CR, B_RD1 = self._waiting()
        stale = self._stale()

        def work(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                b = min(a + BLOCK_ROWS, last)
                self._move_rows(a, b, A_CR, B_RD1)
                lo, hi = max(a, stale.start), min(b, stale.stop)
                if lo < hi:
                    self.Z_NC[lo:hi], self._shift_N[lo:hi] = _normalised(self._exact(lo, hi))
                look(a, b)

        spread(len(self.Z_NC), work)
        self._passes += 1
        self._moves.clear()

    def logits(self, rows: slice | Int64) -> Float64:
        """Logits of some rows, float64 [B, C], with the precision of Z_NC."""
        return self.Z_NC[rows] + self._shift_N[rows, None]

    def log_probs(self, rows: slice | Int64) -> Floats:
        """Log-softmax of some rows, [B, C] in the dtype of H_ND, read-only. The rows of Z_NC become the log-softmax.

        Z_NC was near the log-softmax. So exponentials are taken without subtracting the largest logit, and sums are
        products with ones: on rows of 77 numbers this takes a third of the time. Where a row has moved too far for
        this, all rows of the call are computed by the usual stable form.
        """
        # A slice gives views, row numbers give copies that are written back below.
        Z_BC, shift_B = self.Z_NC[rows], self._shift_N[rows]
        with np.errstate(over="ignore", divide="ignore", under="ignore"):
            log_sums_B = np.log(np.exp(Z_BC) @ self._ones_C)
        if (np.abs(log_sums_B) < FAR).all():
            self._add_outer(Z_BC, log_sums_B, -self._ones_C)
            shift_B += log_sums_B
        else:
            Z_BC[:], shift_B[:] = _normalised(self.logits(rows))
        if not isinstance(rows, slice):
            self.Z_NC[rows], self._shift_N[rows] = Z_BC, shift_B
        found_BC = Z_BC.view()
        found_BC.flags.writeable = False
        return found_BC

    def add_classes(self, n: int) -> None:
        """Add n classes behind the others; the last layer has a row of zeros for each."""
        self.Z_NC = np.concatenate(
            [self.Z_NC, np.repeat(-self._shift_N[:, None], n, axis=1).astype(self.Z_NC.dtype)], axis=1
        )
        self._ones_C = np.ones(self.Z_NC.shape[1], self.Z_NC.dtype)
        self._moves = [(np.pad(A_CR, ((0, n), (0, 0))), B_RD1) for A_CR, B_RD1 in self._moves]
        if self.drift is not None:
            self.drift.add_classes(n)

    def _add_outer(self, Z_BC: Floats, x_B: Floats, y_C: Floats) -> None:
        """Add x y^T to contiguous whole rows, in place. BLAS takes a third of the time of `Z += outer(x, y)`."""
        self._ger(1.0, y_C, x_B, a=Z_BC.T, overwrite_a=1)

    def _waiting(self) -> tuple[Floats, Floats]:
        """All waiting moves as (A_CR, B_RD1), in the dtype of H_ND."""
        dtype = self._H_ND.dtype
        A_CR = np.concatenate([np.empty((self.Z_NC.shape[1], 0)), *(A for A, _ in self._moves)], axis=1)
        B_RD1 = np.concatenate([np.empty((0, self._H_ND.shape[1] + 1)), *(B for _, B in self._moves)])
        return np.asfortranarray(A_CR, dtype), B_RD1.astype(dtype)

    def _stale(self) -> range:
        """The rows that this pass computes from the weights."""
        n, i = len(self.Z_NC), self._passes % REFRESH_PASSES
        return range(n) if self._passes < 0 else range(n * i // REFRESH_PASSES, n * (i + 1) // REFRESH_PASSES)

    def _move_rows(self, a: int, b: int, A_CR: Floats, B_RD1: Floats) -> None:
        # A single move is multiplied as a vector: half the time of a matrix of one column.
        if len(B_RD1) == 1:
            U_BR = (self._H_ND[a:b] @ B_RD1[0, :-1] + B_RD1[0, -1])[:, None]
            self._add_outer(self.Z_NC[a:b], U_BR[:, 0], A_CR[:, 0])
        elif len(B_RD1):
            U_BR = self._H_ND[a:b] @ B_RD1[:, :-1].T + B_RD1[:, -1]
            self.Z_NC[a:b] += U_BR @ A_CR.T
        else:
            return
        if self.drift is not None:
            self.drift.move(a, b, U_BR, A_CR)


def _normalised(logits_BC: Float64) -> tuple[Float64, Float64]:
    """Return (log-softmax [B, C], shift [B]), whose sum is the logits."""
    log_probs_BC = log_softmax(logits_BC)
    return log_probs_BC, logits_BC[:, 0] - log_probs_BC[:, 0]
