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

from alcli.arrays import Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.last_layer.probability_drift import ProbabilityDrift
from alcli.numerics.logistic import log_softmax

FAR = 30.0  # rows whose log-sum moves farther than that from one pass to the next would lose digits
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
    """Logits of the rows H_ND (last hidden features without the bias column), as Z_NC + shift_N: Z in the dtype of H, near log-probabilities.

    exact: the logits of rows first..last by the weights of the moment. scale: what outputs of the last layer are multiplied by to
    become logits. drift: told of each move, if it is set before the first visit. Threads share out blocks; bits depend on neither their number nor their order.
    """

    def __init__(self, H_ND: Floats, n_classes: int, exact: Callable[[int, int], Float64], scale: float) -> None:
        self._H_ND, self._exact, self._scale = H_ND, exact, scale
        self.drift: ProbabilityDrift | None = None
        self._moves: list[tuple[Float64, Float64]] = []
        self._passes = -1  # until the first one, which takes everything from the weights
        self.Z_NC: Floats = np.zeros((len(H_ND), n_classes), H_ND.dtype)
        self._shift_N = np.zeros(len(H_ND))
        self._ones_C = np.ones(n_classes, H_ND.dtype)
        self._ger = blas.sger if H_ND.dtype == np.float32 else blas.dger

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
        """Logits of some rows, with the precision of Z_NC but as float64."""
        return self.Z_NC[rows] + self._shift_N[rows, None]

    def log_probs(self, rows: slice | Int64) -> Floats:
        """Log-softmax of some rows, not to be written to. It shifts Z_NC to be just that, and no logit.

        Z_NC was near it, so exponentials are taken without looking for the largest, and sums are products with ones: on rows of
        77 numbers that is a third of the time. Where a row has moved too far for that, it is done by the book.
        """
        Z_BC, shift_B = self.Z_NC[rows], self._shift_N[rows]  # views of a slice, copies of rows by number
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
        """The last layer has n rows of zeros more, behind the others."""
        self.Z_NC = np.concatenate(
            [self.Z_NC, np.repeat(-self._shift_N[:, None], n, axis=1).astype(self.Z_NC.dtype)], axis=1
        )
        self._ones_C = np.ones(self.Z_NC.shape[1], self.Z_NC.dtype)
        self._moves = [(np.pad(A_CR, ((0, n), (0, 0))), B_RD1) for A_CR, B_RD1 in self._moves]
        if self.drift is not None:
            self.drift.add_classes(n)

    def _add_outer(self, Z_BC: Floats, x_B: Floats, y_C: Floats) -> None:
        """Z += x y^T in place, for whole rows one after another: a third of the time of the expression."""
        self._ger(1.0, y_C, x_B, a=Z_BC.T, overwrite_a=1)

    def _waiting(self) -> tuple[Floats, Floats]:
        dtype = self._H_ND.dtype
        A_CR = np.concatenate([np.empty((self.Z_NC.shape[1], 0)), *(A for A, _ in self._moves)], axis=1)
        B_RD1 = np.concatenate([np.empty((0, self._H_ND.shape[1] + 1)), *(B for _, B in self._moves)])
        return np.asfortranarray(A_CR * self._scale, dtype), B_RD1.astype(dtype)

    def _stale(self) -> range:
        """The rows that this pass takes anew."""
        n, i = len(self.Z_NC), self._passes % REFRESH_PASSES
        return range(n) if self._passes < 0 else range(n * i // REFRESH_PASSES, n * (i + 1) // REFRESH_PASSES)

    def _move_rows(self, a: int, b: int, A_CR: Floats, B_RD1: Floats) -> None:
        if len(B_RD1) == 1:  # as a vector: half the time of a matrix of one column
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
    """(log-softmax, what it must be added to to become the logits)."""
    log_probs_BC = log_softmax(logits_BC)
    return log_probs_BC, logits_BC[:, 0] - log_probs_BC[:, 0]
