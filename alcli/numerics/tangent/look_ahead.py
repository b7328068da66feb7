"""Changes of the predictions of a kernel regression by one more label, for every candidate row, without refitting.

A further label y at x_j changes the outputs at x by c(x, x_j) (y - f(x_j)) / d_j with d_j = c(x_j, x_j) + prior: one
number for each x, times one vector of K outputs. (The printed form of the paper lacks an inverse. The form here equals
refitting to rounding.) R_NK is the residual y - f(x_j) for a supposed label y of each candidate.
A *look* computes the changes; the acquisitions of strategies/ntk.py turn changes into scores.
E: rows at which predictions change. P: see kernels.py; here P = K.
Source: Mohamadi, Bae & Sutherland 2022, eq. 2, 3 and 12, with v = Theta^-1 Theta(X, x').
Cost, for N candidates whose changes are computed on the same N rows: `norms` N^2 D1 flops (c is symmetric),
`root_squares` 4 N D1^2 in the primal form. Looks that have no closed form with a scalar kernel state their own cost.
Memory: blocks; never N x |E| numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.tangent import kernel_ridge
from alcli.numerics.tangent.covariance import Covariance, Difference
from alcli.numerics.tangent.covariance_sums import abs_sums, held, square_sums
from alcli.numerics.tangent.kernel_ridge import Dual
from alcli.numerics.tangent.kernels import KernelRows, TangentRows

# The most numbers of a covariance that is kept in memory from pick to pick.
MOST_HELD = 16_000_000
# Numbers of the changes that are in memory at a time.
_PIECE = 1 << 21


class Look(Protocol):
    """Changes of the outputs of N rows when one of the rows gets a label."""

    def changes(self, rows_B: Array, R_BK: Float64, rows_E: Any) -> Floats:
        """Compute the changes at rows_E when row rows_B[b] gets the label f + R_BK[b], for each b: [B, K, E].

        rows_B: row numbers. rows_E: a slice or row numbers.
        """

    def norms(self, R_NK: Float64) -> Float64:
        """The sum over x of |change at x| for each row, [N]."""

    def root_squares(self, R_NK: Float64) -> Float64:
        """The square root of the sum over x of |change at x|^2 for each row, [N]."""


class RankOne:
    """The closed form for scalar kernels. d_N: the divisors of c, in the units of the covariance."""

    def __init__(self, covariance: Covariance, d_N: Float64) -> None:
        self.covariance, self.d_N = covariance, d_N
        self._sums: dict[str, Float64] = {}

    @classmethod
    def after(cls, covariance: Covariance, prior: float) -> RankOne:
        """The look-ahead of a ridge regression, from the covariance of its predictions."""
        return cls(covariance, covariance.variance_N + prior / covariance.scale**2)

    def changes(self, rows_B: Array, R_BK: Float64, rows_E: Any) -> Floats:
        share_BE = self.covariance.block(rows_B, rows_E)
        share_BE /= self.d_N[rows_B, None].astype(share_BE.dtype)
        return share_BE[:, None, :] * R_BK[:, :, None].astype(share_BE.dtype)

    def norms(self, R_NK: Float64) -> Float64:
        if "abs" not in self._sums:
            self._sums["abs"] = abs_sums(self.covariance, len(self.d_N))
        return _lengths(R_NK) / self.d_N * self._sums["abs"]

    def root_squares(self, R_NK: Float64) -> Float64:
        if "square" not in self._sums:
            self._sums["square"] = square_sums(self.covariance, len(self.d_N))
        return _lengths(R_NK) / self.d_N * np.sqrt(self._sums["square"])


class ByChanges(Look):
    """A look whose sums have no closed form: they are taken from the changes themselves, piece by piece."""

    def norms(self, R_NK: Float64) -> Float64:
        return self._summed(R_NK, lambda squares_BE: np.sqrt(squares_BE).sum(axis=1))

    def root_squares(self, R_NK: Float64) -> Float64:
        return self._summed(R_NK, lambda squares_BE: np.sqrt(squares_BE.sum(axis=1)))

    def _summed(self, R_NK: Float64, measure: Callable[[Float64], Float64]) -> Float64:
        """Apply measure to the squared lengths of the changes by each row, [N]."""
        out_N = np.empty(len(R_NK))

        def work(rows_B: Int64) -> None:
            changes_BKE = self.changes(rows_B, R_NK[rows_B], slice(None)).astype(np.float64)
            out_N[rows_B] = measure((changes_BKE**2).sum(axis=1))

        in_pieces(len(R_NK), R_NK.size, work)
        return out_N


class Coupled(ByChanges):
    """The closed form for the full kernel of a head with hidden layers. Its outputs are coupled: d_j is a K x K matrix.

    Cost: 2 N K n K flops for the changes by one row, so 2 N^2 K n K for an acquisition. Memory: N K n K numbers.
    """

    def __init__(self, fitted: Dual, rows: TangentRows) -> None:
        self._fitted, self._rows = fitted, rows
        self._V = fitted.whitened(rows)
        self._inverse_NPP = np.empty((rows.n, rows.outputs, rows.outputs))
        identity = np.eye(rows.outputs)
        for j, prior_PP in enumerate(rows.diagonal()):
            v_PL = self._V[j * rows.outputs : (j + 1) * rows.outputs]
            self._inverse_NPP[j] = np.linalg.inv(prior_PP - v_PL @ v_PL.T + fitted.prior * identity)

    def changes(self, rows_B: Array, R_BK: Float64, rows_E: Any) -> Floats:
        shares_BK = np.einsum("bkl,bl->bk", self._inverse_NPP[rows_B], R_BK)
        along, at = self._rows.at(rows_B).along(shares_BK), self._rows.at(rows_E)
        V_EKL = self._V.reshape(self._rows.n, self._rows.outputs, -1)[rows_E].reshape(-1, self._V.shape[1])
        V_BKL = self._V.reshape(*self._inverse_NPP.shape[:2], -1)[rows_B]
        out_EKB = at.gram(along) - V_EKL @ np.einsum("bkl,bk->lb", V_BKL, shares_BK)
        return out_EKB.reshape(at.n, -1, len(rows_B)).transpose(2, 1, 0)


class Refit(ByChanges):
    """A regression from scratch for every row and label. The closed forms replace it, and equal it to rounding.

    Cost: about n D1^2 + D1^3 / 3 flops for each row and label.
    """

    def __init__(self, rows_L: KernelRows, targets_LK: Float64, rows: KernelRows, prior: float) -> None:
        self._rows_L, self._targets_LK, self._rows, self._prior = rows_L, targets_LK, rows, prior
        self._f_NK = kernel_ridge.fit(rows_L, targets_LK, prior).predict(rows)

    def changes(self, rows_B: Array, R_BK: Float64, rows_E: Any) -> Floats:
        out = []
        for j, R_K in zip(rows_B, R_BK):
            rows_L = self._rows_L.joined(self._rows.at(slice(j, j + 1)))
            fitted = kernel_ridge.fit(rows_L, np.vstack([self._targets_LK, self._f_NK[j] + R_K]), self._prior)
            out.append((fitted.predict(self._rows.at(rows_E)) - self._f_NK[rows_E]).T)
        return np.stack(out)


def gradient_look(rows: KernelRows, mean_square: float) -> RankOne:
    """The look-ahead by one gradient step on the new row: the change is k(x, x_j) R / mean_square.

    It does not depend on the labelled rows. mean_square: 1 / the step size. The step is stable where mean_square is
    about the mean kernel of a row with itself.
    """
    variance_N = rows.diagonal()
    covariance = Difference(rows, np.empty((rows.n, 0)), variance_N)
    return RankOne(covariance, np.full(rows.n, mean_square))


class Sequential:
    """A ridge regression that takes in labels of its rows one at a time, exactly. f_NK: its current outputs.

    The covariance is held as a whole matrix up to `MOST_HELD` numbers, and a label then costs a pass over the matrix.
    A larger covariance keeps the form in which it was given.
    """

    def __init__(self, covariance: Covariance, prior: float, f_NK: Float64) -> None:
        self._prior, self.f_NK = prior / covariance.scale**2, f_NK.copy()
        n = len(f_NK)
        self.covariance = held(covariance, n) if n * n <= MOST_HELD else covariance

    @property
    def look(self) -> RankOne:
        """The look-ahead from the current state."""
        return RankOne(self.covariance, self.covariance.variance_N + self._prior)

    def tell(self, j: int, target_K: Float64) -> None:
        """Take in the label of row j, as its targets [K]."""
        d = float(self.covariance.variance_N[j]) + self._prior
        column_N = self.covariance.block(slice(None), slice(j, j + 1))[:, 0].astype(np.float64)
        self.f_NK += np.outer(column_N / d, target_K - self.f_NK[j])
        self.covariance = self.covariance.absorbed(j, self._prior)


def in_pieces(n: int, numbers_each: int, work: Callable[[Int64], None]) -> None:
    """Call work(row numbers) for consecutive pieces of n rows, shared among threads.

    numbers_each: the numbers that a row needs in memory. A piece has at most `_PIECE` numbers, or one row.
    """
    step = max(1, _PIECE // max(1, numbers_each))
    pieces = [np.arange(a, min(a + step, n)) for a in range(0, n, step)]
    # `spread` shares out blocks of BLOCK_ROWS rows. Here one block stands for one piece.

    def some(first: int, last: int) -> None:
        for rows_B in pieces[first // BLOCK_ROWS : last // BLOCK_ROWS]:
            work(rows_B)

    with workers() as spread:
        spread(len(pieces) * BLOCK_ROWS, some)


def _lengths(R_NK: Float64) -> Float64:
    return np.sqrt(np.einsum("nk,nk->n", R_NK, R_NK))
