"""One precision matrix for every class: P = prior_precision I + curvature sum_n weight_n phi_n phi_n^T.

Exact for squared loss with curvature 1, where an update with gamma 1 equals refitting. For a softmax head it is a bound of the
true Hessian (curvature 1/2 is Boehning's), which makes updates robust. Precision and covariance advance together, in float64:
each is a lower triangle plus the rows that updates have added to it, or taken from it, since it was last summed up. So an update
reads the covariance once, writes nothing of its size, and leaves the posterior before it intact at no cost.
The covariance of the outputs is noise_variance P^-1. Under squared loss that is the variance of the targets' noise. Under a
softmax it is by default the factor at which the trained weights are as large as the posterior's prior expects,
prior_precision |W|^2 / (C g), g the effective number of features; at 1, the plain Laplace form, a prior precision picked by held-out likelihood
is far too wide a prior, and mean-field predictions of 0.9 fall to 0.3.
Source: Huseljic et al., Efficient Bayesian Updates for Deep Active Learning via Laplace Approximations, ECML-PKDD 2025, section 4,
with precision and covariance advanced together, which the published code does not do. Scale: MacKay, Bayesian Interpolation, 1992, eq. 4.6.
Cost: fit n D1^2 + D1^3; update D1^2 + 2 J D1 + 2 C D1 multiply-adds a row with J < 64 rows pending, 2 D1^2 more each 64th row;
variance D1^3 / 3 after an update, then D1^2 / 2 a row; memory 3 D1^2 floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.linalg

from alcli.arrays import Array, Float64
from alcli.errors import DataError
from alcli.numerics import cholesky, stored
from alcli.posteriors._contract import Evidence, Mode, mean_of, sample_noise

PENDING_ROWS = 64
SMALLEST_VARIANCE = 1e-6


@dataclass(frozen=True)
class LaplaceShared:
    """See the module.

    The precision is precision_DD + added_JD^T added_JD, its inverse covariance_DD - taken_JD^T taken_JD; of the square ones the
    lower triangle is meant, in Fortran order.
    """

    prior_precision: float
    curvature: float
    noise_variance: float
    precision_DD: Float64
    covariance_DD: Float64
    added_JD: Float64
    taken_JD: Float64

    kind = "laplace-shared"

    @classmethod
    def fit(
        cls, W_CD1: Float64, data: Evidence, *, prior_precision: float, curvature: float = 1.0, noise_variance: float | None = None
    ) -> Self:
        """Sum the precision over all rows, exactly and once. The mean W_CD1 enters through the default of noise_variance alone."""
        D1 = W_CD1.shape[1]
        prior_DD = np.asfortranarray(np.diag(np.full(D1, float(prior_precision))))
        precision_DD = cholesky.add_gram(prior_DD, data.phi_LD1 * np.sqrt(data.weights_L)[:, None], curvature)
        covariance_DD = cholesky.inverse(cholesky.factor(precision_DD, "the precision matrix of the posterior"))
        if noise_variance is None:
            effective = D1 - prior_precision * float(np.trace(covariance_DD))
            expected = W_CD1.shape[0] * max(effective, np.finfo(np.float64).tiny)
            noise_variance = float(np.clip(prior_precision * np.vdot(W_CD1, W_CD1) / expected, SMALLEST_VARIANCE, 1.0))
        nothing_JD = np.empty((0, D1))
        return cls(prior_precision, curvature, noise_variance, precision_DD, covariance_DD, nothing_JD, nothing_JD)

    @cached_property
    def precision(self) -> Float64:
        """P, the whole symmetric matrix."""
        return cholesky.symmetric(cholesky.add_gram(self.precision_DD, self.added_JD, 1.0))

    @cached_property
    def factor(self) -> Float64:
        """The lower Cholesky factor L of P = L L^T."""
        return cholesky.factor(self.precision, "the precision matrix of the posterior")

    @property
    def covariance(self) -> Float64:
        """P^-1, the whole symmetric matrix."""
        return cholesky.symmetric(cholesky.add_gram(self.covariance_DD, self.taken_JD, -1.0))

    def variance(self, phi_BD1: Float64) -> Float64:
        """noise_variance |L^-1 phi|^2, shape [B, 1]: never negative."""
        root_DB = cholesky.solve_factor(self.factor, phi_BD1.T)
        variance_B: Float64 = np.einsum("db,db->b", root_DB, root_DB)
        return self.noise_variance * variance_B[:, None]

    def sample(self, W_CD1: Float64, n_samples: int, *, seed: int, first: int = 0) -> Float64:
        """W + E L^-1 with E standard normal: rows have covariance noise_variance P^-1, and all rows of the pool share them."""
        E_SCD = sample_noise(W_CD1.shape, n_samples, seed=seed, first=first)
        flat = E_SCD.reshape(-1, W_CD1.shape[1]).T
        deviations: Float64 = scipy.linalg.solve_triangular(self.factor, flat, lower=True, trans="T", check_finite=False).T
        samples_SCD: Float64 = W_CD1 + self.noise_variance**0.5 * deviations.reshape(E_SCD.shape)
        return samples_SCD

    def log_evidence(self, W_CD1: Float64, log_likelihood: float, *, noise_variance: float = 1.0) -> float:
        """log p(labels) of the quadratic model with this one precision for each of the C rows of W."""
        C, D1 = W_CD1.shape
        log_det = 2.0 * float(np.log(np.diag(self.factor)).sum())
        penalty = 0.5 * self.prior_precision / noise_variance * float(np.vdot(W_CD1, W_CD1))
        return float(log_likelihood - penalty + 0.5 * C * (D1 * np.log(self.prior_precision) - log_det))

    def update(self, W_CD1: Float64, data: Evidence, *, gamma: float, mode: Mode = "sequential") -> tuple[Float64, Self]:
        """Absorb rows: one after another with the mean of the moment (sequential), or all at the old mean (batch).

        Batch gives the same for any order of rows.
        """
        step = self._sequential if mode == "sequential" else self._batch
        return step(W_CD1, data, gamma)

    def _sequential(self, W_CD1: Float64, data: Evidence, gamma: float) -> tuple[Float64, Self]:
        W_CD1, state = W_CD1.copy(), self
        for first in range(0, data.n, PENDING_ROWS):
            state = state._absorb_in_turn(W_CD1, data.rows(np.arange(first, min(first + PENDING_ROWS, data.n))), gamma)
        return W_CD1, state

    def _absorb_in_turn(self, W_CD1: Float64, data: Evidence, gamma: float) -> Self:
        """Move W_CD1 in place, row by row; what the rows take from the covariance."""
        J = len(self.taken_JD)
        taken_JD = np.empty((J + data.n, W_CD1.shape[1]))
        taken_JD[:J] = self.taken_JD
        for phi_D, target_C, weight in zip(data.phi_LD1, data.targets_LC, data.weights_L):
            t_D = cholesky.multiply_vector(self.covariance_DD, phi_D) - (taken_JD[:J] @ phi_D) @ taken_JD[:J]
            curvature = self.curvature * float(weight)
            shrink = 1.0 / (1.0 + curvature * float(phi_D @ t_D))
            residual_C = target_C - mean_of(data.link, (W_CD1 @ phi_D)[None])[0]
            cholesky.add_product(W_CD1, residual_C, t_D, gamma * float(weight) * shrink)
            taken_JD[J] = (curvature * shrink) ** 0.5 * t_D
            J += 1
        return self._advanced(self._scaled(data), taken_JD)

    def _batch(self, W_CD1: Float64, data: Evidence, gamma: float) -> tuple[Float64, Self]:
        rows_MD = self._scaled(data)
        Q_MD = self._times_covariance(rows_MD)
        inner_MM = np.asfortranarray(np.eye(data.n) + Q_MD @ rows_MD.T)
        new_MD = cholesky.solve_factor(cholesky.factor(inner_MM, "the update"), Q_MD)
        residual_MC = (data.targets_LC - mean_of(data.link, data.phi_LD1 @ W_CD1.T)) * data.weights_L[:, None]
        pull_CD = residual_MC.T @ data.phi_LD1
        step_CD = self._times_covariance(pull_CD) - (pull_CD @ new_MD.T) @ new_MD
        return W_CD1 + gamma * step_CD, self._advanced(rows_MD, np.concatenate([self.taken_JD, new_MD]))

    def _scaled(self, data: Evidence) -> Float64:
        """The rows that the precision sums the squares of."""
        return data.phi_LD1 * np.sqrt(self.curvature * data.weights_L)[:, None]

    def _times_covariance(self, X_MD: Float64) -> Float64:
        return cholesky.multiply(self.covariance_DD, X_MD) - (X_MD @ self.taken_JD.T) @ self.taken_JD

    def _advanced(self, rows_MD: Float64, taken_JD: Float64) -> Self:
        """The posterior with rows_MD added to the precision and taken_JD from the covariance; summed up once they are many."""
        added_JD = np.concatenate([self.added_JD, rows_MD])
        precision_DD, covariance_DD = self.precision_DD, self.covariance_DD
        if len(added_JD) >= PENDING_ROWS:
            precision_DD = cholesky.add_gram(precision_DD, added_JD, 1.0)
            covariance_DD = cholesky.add_gram(covariance_DD, taken_JD, -1.0)
            added_JD = taken_JD = added_JD[:0]
        return replace(self, precision_DD=precision_DD, covariance_DD=covariance_DD, added_JD=added_JD, taken_JD=taken_JD)

    def arrays(self) -> dict[str, Array]:
        return {"precision_factor": np.ascontiguousarray(self.factor)}

    def settings(self) -> dict[str, Any]:
        return {
            "kind": self.kind, "prior_precision": self.prior_precision,
            "curvature": self.curvature, "noise_variance": self.noise_variance,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], *, D1: int, C: int) -> Self:
        """Rebuild from the stored factor; an upper triangle or a diagonal that no factor can have is a DataError."""
        L_DD = stored.tensor(arrays, "precision_factor", (D1, D1))
        if np.triu(L_DD, 1).any() or (np.diag(L_DD) <= 0).any():
            raise DataError("tensor 'precision_factor' is not the lower factor of a positive definite matrix", hint=stored.HINT)
        L_DD = np.asfortranarray(L_DD)
        precision_DD = cholesky.add_gram(np.zeros((D1, D1), order="F"), L_DD.T, 1.0)
        prior_precision, curvature = stored.number(settings, "prior_precision"), stored.number(settings, "curvature")
        noise_variance = stored.number(settings, "noise_variance")
        nothing_JD = np.empty((0, D1))
        found = cls(prior_precision, curvature, noise_variance, precision_DD, cholesky.inverse(L_DD), nothing_JD, nothing_JD)
        found.__dict__["factor"] = L_DD  # what the file holds, bit for bit, so that saving again gives the same bytes
        return found
