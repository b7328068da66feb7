"""What adding one labelled row would do to the predictions of a kernel regression, for every row at once, without refitting.

A further label y at x_j changes the outputs at x by c(x, x_j) (y - f(x_j)) / d_j, d_j = c(x_j, x_j) + prior: one number a row times one
K-vector. The printed form of the paper lacks an inverse; this one equals refitting to rounding. R_NK is y - f(x_j) for a supposed y.
A *look* says what those changes are; ntk_acquisitions.py makes scores of them.
Source: Mohamadi, Bae & Sutherland 2022, eq. 2, 3 and 12, with v = Theta^-1 Theta(X, x').
Cost: for N candidates and as many rows that are looked at, `norms` N^2 D1 flops (c is symmetric), `root_squares` 4 N D1^2 in the primal
form; the looks that are no closed form of a scalar kernel say theirs. Memory: blocks; never N x |E|.
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

MOST_HELD = 16_000_000  # numbers of a covariance that is kept from pick to pick
_PIECE = 1 << 21  # numbers of the changes that are held at a time


class Look(Protocol):
    """Changes of the outputs of N rows by one of them each."""

    def changes(self, rows_B: Array, R_BK: Float64, rows_E: Any) -> Floats:
        """[B, K, E]: by adding row rows_B[b] with its output plus R_BK[b] for a label, at rows_E."""

    def norms(self, R_NK: Float64) -> Float64:
        """sum over x of |change at x|, [N]."""

    def root_squares(self, R_NK: Float64) -> Float64:
        """sqrt of the sum over x of |change at x|^2, [N]."""


class RankOne:
    """The closed form for scalar kernels. d_N: what c is divided by, in the units of the covariance."""

    def __init__(self, covariance: Covariance, d_N: Float64) -> None:
        self.covariance, self.d_N = covariance, d_N
        self._sums: dict[str, Float64] = {}

    @classmethod
    def after(cls, covariance: Covariance, prior: float) -> RankOne:
        """Look-ahead of a ridge regression, by the covariance of its predictions."""
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


class Coupled:
    """The closed form for the full kernel of a head with hidden layers, whose outputs are coupled: d_j is a K x K matrix.

    Cost: 2 N K n K flops for the changes of one row, so N times that for an acquisition. Memory: N K n K numbers.
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
        out_EKB = at.gram(along) - V_EKL @ np.einsum(
            "bkl,bk->lb", self._V.reshape(*self._inverse_NPP.shape[:2], -1)[rows_B], shares_BK
        )
        out: Float64 = out_EKB.reshape(at.n, -1, len(rows_B)).transpose(2, 1, 0)
        return out

    def norms(self, R_NK: Float64) -> Float64:
        return _norms(self, R_NK)

    def root_squares(self, R_NK: Float64) -> Float64:
        return _root_squares(self, R_NK)


class Refit:
    """A regression from scratch for every row and label: what the closed forms replace, and equal. About n D1^2 + D1^3 / 3 flops each."""

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

    def norms(self, R_NK: Float64) -> Float64:
        return _norms(self, R_NK)

    def root_squares(self, R_NK: Float64) -> Float64:
        return _root_squares(self, R_NK)


def gradient_look(rows: KernelRows, mean_square: float) -> RankOne:
    """One gradient step on the new row in place of a regression: change k(x, x_j) R / mean_square, whatever is labelled.

    mean_square: 1 / the step size, of the size of the mean kernel of a row with itself for a step that is stable.
    """
    variance_N = rows.diagonal()
    covariance = Difference(rows, np.empty((rows.n, 0)), variance_N)
    return RankOne(covariance, np.full(rows.n, mean_square))


class Sequential:
    """A ridge regression that is told labels of its rows one at a time, exactly. f_NK: its outputs, which move.

    The covariance is kept as a whole up to `MOST_HELD` numbers (then a label costs a pass over it), else as it is.
    """

    def __init__(self, covariance: Covariance, prior: float, f_NK: Float64) -> None:
        self._prior, self.f_NK = prior / covariance.scale**2, f_NK.copy()
        n = len(f_NK)
        self.covariance = held(covariance, n) if n * n <= MOST_HELD else covariance

    @property
    def look(self) -> RankOne:
        """What a further label would change now."""
        return RankOne(self.covariance, self.covariance.variance_N + self._prior)

    def tell(self, j: int, target_K: Float64) -> None:
        """Row j has this label, or these targets."""
        d = float(self.covariance.variance_N[j]) + self._prior
        column_N = self.covariance.block(slice(None), slice(j, j + 1))[:, 0].astype(np.float64)
        self.f_NK += np.outer(column_N / d, target_K - self.f_NK[j])
        self.covariance = self.covariance.absorbed(j, self._prior)


def in_pieces(n: int, numbers_each: int, work: Callable[[Int64], None]) -> None:
    """work(rows) over consecutive rows, as many at a time as keep what is held small; shared among threads."""
    step = max(1, _PIECE // max(1, numbers_each))
    pieces = [np.arange(a, min(a + step, n)) for a in range(0, n, step)]

    def some(first: int, last: int) -> None:
        for rows_B in pieces[first // BLOCK_ROWS : last // BLOCK_ROWS]:
            work(rows_B)

    with workers() as spread:
        spread(len(pieces) * BLOCK_ROWS, some)


def _norms(look: Look, R_NK: Float64) -> Float64:
    out_N = np.empty(len(R_NK))

    def work(rows_B: Int64) -> None:
        out_N[rows_B] = np.sqrt(
            (look.changes(rows_B, R_NK[rows_B], slice(None)).astype(np.float64) ** 2).sum(axis=1)
        ).sum(axis=1)

    in_pieces(len(R_NK), R_NK.size, work)
    return out_N


def _root_squares(look: Look, R_NK: Float64) -> Float64:
    out_N = np.empty(len(R_NK))

    def work(rows_B: Int64) -> None:
        out_N[rows_B] = np.sqrt(
            (look.changes(rows_B, R_NK[rows_B], slice(None)).astype(np.float64) ** 2).sum(axis=(1, 2))
        )

    in_pieces(len(R_NK), R_NK.size, work)
    return out_N


def _lengths(R_NK: Float64) -> Float64:
    return np.sqrt(np.einsum("nk,nk->n", R_NK, R_NK))
