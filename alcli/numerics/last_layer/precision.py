"""A precision matrix and its inverse, updated together row by row; earlier states stay valid.

Each matrix is a lower triangle and J pending rows, which were added to the precision, or taken from the covariance,
since the triangle was last summed up. Adding a row reads the covariance once and writes nothing of the same size.
Source: Sherman-Morrison-Woodbury. The precision itself is kept, so the Cholesky factor that is stored carries no error
of the inverse.
Cost: D^2 + 2 J D multiply-adds for each row with J < 64 rows pending, and 2 D^2 more for each 64th row.
Memory: 3 D^2 floats with the factor.
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

# Pending rows at which the triangles are summed up.
PENDING_ROWS = 64
# Up to D / FEW rows, variances are cheaper by the covariance than by a new Cholesky factor.
FEW = 16
# The name of the matrix in error messages.
WHAT = "the precision matrix of the posterior"


@dataclass(frozen=True)
class Precision:
    """The precision, precision_DD + added_JD^T added_JD, and its inverse, covariance_DD - taken_JD^T taken_JD.

    Square matrices are float64 lower triangles in Fortran order.
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
    def gram(cls, prior_D: Float64, rows_MD: Float64) -> Self:
        """Set up diag(prior) + rows^T rows."""
        return cls.of(cholesky.add_gram(np.asfortranarray(np.diag(prior_D)), rows_MD, 1.0))

    @classmethod
    def from_factor(cls, L_DD: Float64) -> Self:
        """Rebuild from the lower Cholesky factor, kept bit for bit: storing the factor again gives the same bytes."""
        L_DD = np.asfortranarray(L_DD)
        nothing_JD = np.empty((0, len(L_DD)))
        precision_DD = cholesky.add_gram(np.zeros(L_DD.shape, order="F"), L_DD.T, 1.0)
        found = cls(precision_DD, cholesky.inverse(L_DD), nothing_JD, nothing_JD)
        found.__dict__["factor"] = L_DD
        return found

    @cached_property
    def precision(self) -> Float64:
        """The precision as a whole symmetric matrix, [D, D]."""
        return cholesky.symmetric(cholesky.add_gram(self.precision_DD, self.added_JD, 1.0))

    @property
    def covariance(self) -> Float64:
        """The covariance, as a whole symmetric matrix, [D, D]."""
        return cholesky.symmetric(cholesky.add_gram(self.covariance_DD, self.taken_JD, -1.0))

    @cached_property
    def factor(self) -> Float64:
        """The lower Cholesky factor L of the precision L L^T."""
        return cholesky.factor(cholesky.add_gram(self.precision_DD, self.added_JD, 1.0), WHAT)

    @property
    def variances(self) -> Float64:
        """The diagonal of the covariance, [D]."""
        return np.diag(self.covariance_DD) - np.einsum("jd,jd->d", self.taken_JD, self.taken_JD)

    def times(self, X_MD: Float64) -> Float64:
        """Compute X covariance, [M, D]."""
        return cholesky.multiply(self.covariance_DD, X_MD) - (X_MD @ self.taken_JD.T) @ self.taken_JD

    def times_vector(self, x_D: Float64) -> Float64:
        """Compute covariance x, [D]."""
        return cholesky.multiply_vector(self.covariance_DD, x_D) - (self.taken_JD @ x_D) @ self.taken_JD

    def variance(self, X_MD: Float64) -> Float64:
        """The variance x^T covariance x of each row, [M], never negative.

        It is computed as |L^-1 x|^2, after the precision is factored once. Where there is no factor yet, as after an
        update, a few rows are multiplied by the covariance instead: D^2 for each row in place of D^3 / 3.
        """
        if "factor" not in self.__dict__ and len(X_MD) * FEW <= X_MD.shape[1]:
            return np.maximum(np.einsum("md,md->m", X_MD, self.times(X_MD)), 0.0)
        root_DM = cholesky.solve_factor(self.factor, X_MD.T)
        return np.einsum("dm,dm->m", root_DM, root_DM)

    def root(self, X_MD: Float64) -> Float64:
        """Compute rows L^-1 x, [M, D]: their inner products are x^T covariance x'."""
        return np.ascontiguousarray(cholesky.solve_factor(self.factor, X_MD.T).T)

    def spread(self, noise_SD: Float64) -> Float64:
        """Turn S rows of standard normal noise into rows that have the covariance: noise L^-1, [S, D]."""
        return scipy.linalg.solve_triangular(self.factor, noise_SD.T, lower=True, trans="T", check_finite=False).T

    def with_row(self, x_D: Float64, t_D: Float64, curvature: float) -> Self:
        """The state with precision + curvature x x^T. t_D: covariance x."""
        shrink = curvature / (1.0 + curvature * float(x_D @ t_D))
        return self._advanced(curvature**0.5 * x_D[None], shrink**0.5 * t_D[None])

    def with_rows(self, rows_MD: Float64) -> Self:
        """The state with precision + rows^T rows."""
        Q_MD = self.times(rows_MD)
        inner_MM = np.asfortranarray(np.eye(len(rows_MD)) + Q_MD @ rows_MD.T)
        return self._advanced(rows_MD, cholesky.solve_factor(cholesky.factor(inner_MM, "the update"), Q_MD))

    def without_rows(self, rows_MD: Float64) -> Self:
        """The state with precision - rows^T rows, summed up. Raises DataError when it is not positive definite."""
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
        """The state with more pending rows, summed up where there are `PENDING_ROWS`."""
        added_JD, taken_JD = np.concatenate([self.added_JD, added_MD]), np.concatenate([self.taken_JD, taken_MD])
        state = type(self)(self.precision_DD, self.covariance_DD, added_JD, taken_JD)
        return state._summed() if len(added_JD) >= PENDING_ROWS else state

    def _summed(self) -> Self:
        """The same state without pending rows."""
        nothing_JD = self.added_JD[:0]
        precision_DD = cholesky.add_gram(self.precision_DD, self.added_JD, 1.0)
        return type(self)(
            precision_DD, cholesky.add_gram(self.covariance_DD, self.taken_JD, -1.0), nothing_JD, nothing_JD
        )


def stored_factors(arrays: Mapping[str, Array], name: str, shape: tuple[int, ...]) -> Float64:
    """Read the tensor `name`. Raises DataError unless its last two axes are lower Cholesky factors."""
    L = stored.tensor(arrays, name, shape)
    if np.triu(L, 1).any() or (np.diagonal(L, axis1=-2, axis2=-1) <= 0).any():
        raise DataError(f"tensor '{name}' is not the lower factor of a positive definite matrix", hint=stored.HINT)
    return L
