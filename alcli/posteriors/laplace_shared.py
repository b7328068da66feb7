"""One precision matrix for every class: P = prior_precision I + curvature sum_n weight_n phi_n phi_n^T.

Exact for squared loss with curvature 1, where an update with gamma 1 equals refitting. For a softmax head it is a bound of the
true Hessian (curvature 1/2 is Boehning's), which makes updates robust. Kept: the covariance, which an update reads and writes
once, and the precision, which takes the absorbed rows as they come and is formed, and factored, when it is next asked for.
Both advance together, in float64; the factor is what is stored.
Source: Huseljic et al., Efficient Bayesian Updates for Deep Active Learning via Laplace Approximations, ECML-PKDD 2025, section 4,
with precision and covariance advanced together, which the published code does not do.
Cost: fit n D1^2 + D1^3; update 2 D1^2 + 2 C D1 multiply-adds a row; variance D1^2 / 2 a row; memory 3 D1^2 floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
import scipy.linalg

from alcli.arrays import Array, Float64
from alcli.errors import DataError
from alcli.numerics import cholesky, stored
from alcli.posteriors._contract import Evidence, Mode, mean_of, sample_noise

PENDING_ROWS = 256


@dataclass(frozen=True)
class LaplaceShared:
    """See the module. noise_variance: of the targets, 1 for a softmax head; it scales the covariance of the outputs.

    base_DD: lower triangle of the precision without the rows of pending_JD (already times the root of curvature and weight).
    """

    prior_precision: float
    curvature: float
    noise_variance: float
    base_DD: Float64
    pending_JD: Float64
    covariance_DD: Float64  # lower triangle of P^-1, Fortran order

    kind = "laplace-shared"

    @classmethod
    def fit(
        cls, W_CD1: Float64, data: Evidence, *, prior_precision: float, curvature: float = 1.0, noise_variance: float = 1.0
    ) -> Self:
        """Sum the precision over all rows, exactly and once. The mean W_CD1 does not enter."""
        D1 = W_CD1.shape[1]
        prior_DD = np.asfortranarray(np.diag(np.full(D1, float(prior_precision))))
        base_DD = cholesky.add_gram(prior_DD, data.phi_LD1 * np.sqrt(data.weights_L)[:, None], curvature)
        covariance_DD = cholesky.inverse(cholesky.factor(base_DD, "the precision matrix of the posterior"))
        return cls(prior_precision, curvature, noise_variance, base_DD, np.empty((0, D1)), covariance_DD)

    @cached_property
    def precision(self) -> Float64:
        """P, the whole symmetric matrix."""
        return cholesky.symmetric(cholesky.add_gram(self.base_DD, self.pending_JD, 1.0))

    @cached_property
    def factor(self) -> Float64:
        """The lower Cholesky factor L of P = L L^T."""
        return cholesky.factor(self.precision, "the precision matrix of the posterior")

    @property
    def covariance(self) -> Float64:
        """P^-1, the whole symmetric matrix."""
        return cholesky.symmetric(self.covariance_DD)

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

    def log_evidence(self, W_CD1: Float64, log_likelihood: float) -> float:
        """log p(labels) of the quadratic model with this one precision for each of the C rows of W."""
        C, D1 = W_CD1.shape
        log_det = 2.0 * float(np.log(np.diag(self.factor)).sum())
        penalty = 0.5 * self.prior_precision / self.noise_variance * float(np.vdot(W_CD1, W_CD1))
        return float(log_likelihood - penalty + 0.5 * C * (D1 * np.log(self.prior_precision) - log_det))

    def update(self, W_CD1: Float64, data: Evidence, *, gamma: float, mode: Mode = "sequential") -> tuple[Float64, Self]:
        """Absorb rows: one after another with the mean of the moment (sequential), or all at the old mean (batch).

        The covariance is copied once for the whole call, then advanced in place; batch gives the same for any order of rows.
        """
        return self._sequential(W_CD1, data, gamma) if mode == "sequential" else self._batch(W_CD1, data, gamma)

    def _sequential(self, W_CD1: Float64, data: Evidence, gamma: float) -> tuple[Float64, Self]:
        W_CD1, covariance_DD = W_CD1.copy(), self.covariance_DD.copy(order="F")
        for phi_D, target_C, weight in zip(data.phi_LD1, data.targets_LC, data.weights_L):
            t_D = cholesky.multiply_vector(covariance_DD, phi_D)
            curvature = self.curvature * float(weight)
            shrink = 1.0 / (1.0 + curvature * float(phi_D @ t_D))
            residual_C = target_C - mean_of(data.link, (W_CD1 @ phi_D)[None])[0]
            W_CD1 += np.outer((gamma * float(weight) * shrink) * residual_C, t_D)
            cholesky.add_outer(covariance_DD, t_D, -curvature * shrink)
        return W_CD1, self._advanced(data, covariance_DD)

    def _batch(self, W_CD1: Float64, data: Evidence, gamma: float) -> tuple[Float64, Self]:
        root_MD = data.phi_LD1 * np.sqrt(self.curvature * data.weights_L)[:, None]
        Q_MD = cholesky.multiply(self.covariance_DD, root_MD)
        inner_MM = np.asfortranarray(np.eye(data.n) + Q_MD @ root_MD.T)
        S_MD = cholesky.solve_factor(cholesky.factor(inner_MM, "the update"), Q_MD)
        covariance_DD = cholesky.add_gram(self.covariance_DD, S_MD, -1.0)
        residual_MC = (data.targets_LC - mean_of(data.link, data.phi_LD1 @ W_CD1.T)) * data.weights_L[:, None]
        step_CD = cholesky.multiply(covariance_DD, residual_MC.T @ data.phi_LD1)
        return W_CD1 + gamma * step_CD, self._advanced(data, covariance_DD)

    def _advanced(self, data: Evidence, covariance_DD: Float64) -> Self:
        rows_MD = data.phi_LD1 * np.sqrt(self.curvature * data.weights_L)[:, None]
        base_DD, pending_JD = self.base_DD, np.concatenate([self.pending_JD, rows_MD])
        if len(pending_JD) > PENDING_ROWS:
            base_DD, pending_JD = cholesky.add_gram(base_DD, pending_JD, 1.0), pending_JD[:0]
        return type(self)(self.prior_precision, self.curvature, self.noise_variance, base_DD, pending_JD, covariance_DD)

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
        base_DD = cholesky.add_gram(np.zeros((D1, D1), order="F"), L_DD.T, 1.0)
        prior_precision, curvature = stored.number(settings, "prior_precision"), stored.number(settings, "curvature")
        noise_variance = stored.number(settings, "noise_variance")
        found = cls(prior_precision, curvature, noise_variance, base_DD, np.empty((0, D1)), cholesky.inverse(L_DD))
        found.__dict__["factor"] = L_DD  # what the file holds, bit for bit, so that saving again gives the same bytes
        return found
