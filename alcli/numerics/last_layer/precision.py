"""A precision matrix and its inverse that advance together, row by row, and never copy what they were before.

Each is a lower triangle plus the rows that were added to it, or taken from it, since it was last summed up. So adding a row
reads the covariance once, writes nothing of its size, and leaves the state before it intact.
Source: Sherman-Morrison-Woodbury. The precision is kept, so the factor that is stored carries no error of the inverse.
Cost: D^2 + 2 J D multiply-adds a row with J < 64 rows pending, 2 D^2 more each 64th row; memory 3 D^2 floats with the factor.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import scipy.linalg

from alcli import stored
from alcli.arrays import Array, Float64
from alcli.errors import DataError
from alcli.numerics import cholesky

PENDING_ROWS = 64
FEW = 16
WHAT = "the precision matrix of the posterior"


@dataclass(frozen=True)
class Precision:
    """precision_DD + added_JD^T added_JD, and its inverse covariance_DD - taken_JD^T taken_JD.

    Of the square ones the lower triangle is meant, in Fortran order.
    """

    precision_DD: Float64
    covariance_DD: Float64
    added_JD: Float64
    taken_JD: Float64

    @classmethod
    def of(cls, precision_DD: Float64) -> Self:
        """Invert the lower triangle of a precision matrix. Raises DataError when it is not positive definite."""
        covariance_DD = cholesky.inverse(cholesky.factor(precision_DD, WHAT))
        nothing_JD = np.empty((0, len(precision_DD)))
        return cls(precision_DD, covariance_DD, nothing_JD, nothing_JD)

    @classmethod
    def gram(cls, prior_precision: float, rows_MD: Float64) -> Self:
        """prior_precision I + rows^T rows."""
        prior_DD = np.asfortranarray(np.diag(np.full(rows_MD.shape[1], float(prior_precision))))
        return cls.of(cholesky.add_gram(prior_DD, rows_MD, 1.0))

    @classmethod
    def from_factor(cls, L_DD: Float64) -> Self:
        """Rebuild from the lower Cholesky factor, which is kept bit for bit, so that storing it again gives the same bytes."""
        L_DD = np.asfortranarray(L_DD)
        nothing_JD = np.empty((0, len(L_DD)))
        precision_DD = cholesky.add_gram(np.zeros(L_DD.shape, order="F"), L_DD.T, 1.0)
        found = cls(precision_DD, cholesky.inverse(L_DD), nothing_JD, nothing_JD)
        found.__dict__["factor"] = L_DD
        return found

    @cached_property
    def precision(self) -> Float64:
        """The whole symmetric matrix."""
        return cholesky.symmetric(cholesky.add_gram(self.precision_DD, self.added_JD, 1.0))

    @property
    def covariance(self) -> Float64:
        """The inverse, the whole symmetric matrix."""
        return cholesky.symmetric(cholesky.add_gram(self.covariance_DD, self.taken_JD, -1.0))

    @cached_property
    def factor(self) -> Float64:
        """The lower Cholesky factor L of the precision L L^T."""
        return cholesky.factor(cholesky.add_gram(self.precision_DD, self.added_JD, 1.0), WHAT)

    @property
    def log_det(self) -> float:
        """Of the precision."""
        return 2.0 * float(np.log(np.diag(self.factor)).sum())

    @property
    def trace(self) -> float:
        """Of the covariance."""
        return float(np.trace(self.covariance_DD)) - float(np.vdot(self.taken_JD, self.taken_JD))

    def times(self, X_MD: Float64) -> Float64:
        """X covariance, [M, D]."""
        return cholesky.multiply(self.covariance_DD, X_MD) - (X_MD @ self.taken_JD.T) @ self.taken_JD

    def times_vector(self, x_D: Float64) -> Float64:
        """covariance x."""
        return cholesky.multiply_vector(self.covariance_DD, x_D) - (self.taken_JD @ x_D) @ self.taken_JD

    def variance(self, X_MD: Float64) -> Float64:
        """x covariance x of each row as |L^-1 x|^2, which is never negative; factors the precision first, once. A few rows, after an
        update, are multiplied by the covariance: that costs D^2 a row and not D^3 / 3."""
        if "factor" not in self.__dict__ and len(X_MD) * FEW <= X_MD.shape[1]:
            few_M: Float64 = np.maximum(np.einsum("md,md->m", X_MD, self.times(X_MD)), 0.0)
            return few_M
        root_DM = cholesky.solve_factor(self.factor, X_MD.T)
        out_M: Float64 = np.einsum("dm,dm->m", root_DM, root_DM)
        return out_M

    def spread(self, noise_SD: Float64) -> Float64:
        """Rows of standard normal noise turned into rows that have the covariance: noise L^-1."""
        out: Float64 = scipy.linalg.solve_triangular(
            self.factor, noise_SD.T, lower=True, trans="T", check_finite=False
        ).T
        return out

    def with_row(self, x_D: Float64, t_D: Float64, curvature: float) -> Self:
        """precision + curvature x x^T, where t_D = covariance x is known."""
        shrink = curvature / (1.0 + curvature * float(x_D @ t_D))
        return self._advanced(curvature**0.5 * x_D[None], shrink**0.5 * t_D[None])

    def with_rows(self, rows_MD: Float64) -> Self:
        """precision + rows^T rows."""
        Q_MD = self.times(rows_MD)
        inner_MM = np.asfortranarray(np.eye(len(rows_MD)) + Q_MD @ rows_MD.T)
        return self._advanced(rows_MD, cholesky.solve_factor(cholesky.factor(inner_MM, "the update"), Q_MD))

    def without_rows(self, rows_MD: Float64) -> Self:
        """precision - rows^T rows, summed up. Raises DataError when that is not positive definite."""
        Q_MD = self.times(rows_MD)
        inner_MM = np.asfortranarray(np.eye(len(rows_MD)) - Q_MD @ rows_MD.T)
        given_MD = cholesky.solve_factor(cholesky.factor(inner_MM, "the posterior without these rows"), Q_MD)
        summed = self._summed()
        return type(self)(
            cholesky.add_gram(summed.precision_DD, rows_MD, -1.0),
            cholesky.add_gram(summed.covariance_DD, given_MD, 1.0),
            summed.added_JD,
            summed.taken_JD,
        )

    def _advanced(self, added_MD: Float64, taken_MD: Float64) -> Self:
        added_JD, taken_JD = np.concatenate([self.added_JD, added_MD]), np.concatenate([self.taken_JD, taken_MD])
        state = type(self)(self.precision_DD, self.covariance_DD, added_JD, taken_JD)
        return state._summed() if len(added_JD) >= PENDING_ROWS else state

    def _summed(self) -> Self:
        nothing_JD = self.added_JD[:0]
        precision_DD = cholesky.add_gram(self.precision_DD, self.added_JD, 1.0)
        return type(self)(
            precision_DD, cholesky.add_gram(self.covariance_DD, self.taken_JD, -1.0), nothing_JD, nothing_JD
        )


def stored_factors(arrays: Mapping[str, Array], name: str, shape: tuple[int, ...]) -> Float64:
    """The tensor `name`, whose last two axes are lower Cholesky factors; anything else is a DataError."""
    L = stored.tensor(arrays, name, shape)
    if np.triu(L, 1).any() or (np.diagonal(L, axis1=-2, axis2=-1) <= 0).any():
        raise DataError(f"tensor '{name}' is not the lower factor of a positive definite matrix", hint=stored.HINT)
    return L
