"""The base of posteriors in which all classes share one precision matrix.

P = prior + curvature sum_n weight_n r_n phi_n phi_n^T, with the diagonal prior of numerics/last_layer/prior.py. The
posteriors differ only in r_n, the curvature of a row.

Source: Huseljic et al. 2025, section 4, with precision and covariance advanced together, which the published code does
not do.
Cost: fit n D1^2 + D1^3; update D1^2 + 2 J D1 + 2 C D1 multiply-adds a row, with J < 64 rows that are not yet summed
up, and 2 D1^2 more each 64th row; variance D1^3 / 3 after an update, then D1^2 / 2 a row; memory 3 D1^2 floats.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np

from alcli.arrays import Array, Float64
from alcli.numerics import cholesky
from alcli.numerics.last_layer.implicit import implicit_row, implicit_rows
from alcli.numerics.last_layer.precision import Precision, stored_factors
from alcli.numerics.last_layer.prior import prior_diagonal
from alcli.posteriors._contract import Evidence, sample_noise
from alcli.posteriors._laplace import Laplace, deviation, gradients, scalars, scale


@dataclass(frozen=True)
class Single(Laplace):
    """A Laplace posterior with one precision matrix for all classes. state: the precision and its inverse."""

    state: Precision

    @classmethod
    def fit(
        cls,
        W_CD1: Float64,
        data: Evidence,
        *,
        prior_precision: float,
        curvature: float = 1.0,
        noise_variance: float | None = None,
        prior_mean_CD1: Float64 | None = None,
        seed: int = 0,
    ) -> tuple[Float64, Self]:
        """Sum the precision over all rows, exactly and once."""
        r_L = curvature * data.weights_L * cls.row_curvatures(data, W_CD1)
        prior_D1 = prior_diagonal(prior_precision, W_CD1.shape[1], data.link)
        state = Precision.gram(prior_D1, data.phi_LD1 * np.sqrt(r_L)[:, None])
        trace = len(W_CD1) * float(state.variances[:-1].sum())
        noise_variance = noise_variance or scale(deviation(W_CD1, prior_mean_CD1), prior_precision, trace)
        return W_CD1, cls(prior_precision, curvature, noise_variance, state)

    @staticmethod
    @abstractmethod
    def row_curvatures(data: Evidence, W_CD1: Float64) -> Float64:
        """Compute the curvature r of each row at the mean W_CD1, [L], without its weight."""

    @property
    def precision(self) -> Float64:
        """P, the full symmetric matrix, [D1, D1]."""
        return self.state.precision

    @property
    def factor(self) -> Float64:
        """L, the lower Cholesky factor of P = L L^T, [D1, D1]."""
        return self.state.factor

    @property
    def covariance(self) -> Float64:
        """P^-1, the full symmetric matrix, [D1, D1]."""
        return self.state.covariance

    def variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute noise_variance |L^-1 phi|^2, shape [B, 1], which is never negative."""
        return self.noise_variance * self.state.variance(phi_BD1)[:, None]

    def contrast_variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute C / (C - 1) times the variance of a logit, shape [B, 1], because the classes are independent."""
        C = len(W_CD1)
        return self.variance(W_CD1, phi_BD1) * (C / max(C - 1, 1))

    def root(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute sqrt(noise_variance) L^-1 phi, [B, D1]."""
        return self.noise_variance**0.5 * self.state.root(phi_BD1)

    def sample(self, W_CD1: Float64, n_samples: int, *, seed: int, first: int = 0) -> Float64:
        """Draw W + sqrt(noise_variance) E L^-1 with E standard normal.

        The weights of a class have covariance noise_variance P^-1. A draw is shared by all rows of the pool.
        """
        E_SCD = sample_noise(W_CD1.shape, n_samples, seed=seed, first=first)
        deviations_SCD = self.state.spread(E_SCD.reshape(-1, W_CD1.shape[1])).reshape(E_SCD.shape)
        return W_CD1 + self.noise_variance**0.5 * deviations_SCD

    def absorb(self, W_CD1: Float64, data: Evidence, gamma: float | None) -> Self:
        return self._absorb_row(W_CD1, data, gamma) if data.n == 1 else self._absorb_rows(W_CD1, data, gamma)

    def _absorb_row(self, W_CD1: Float64, data: Evidence, gamma: float | None) -> Self:
        phi_D, logits_C, weight = data.phi_LD1[0], W_CD1 @ data.phi_LD1[0], float(data.weights_L[0])
        t_D = self.state.times_vector(phi_D)
        variance = float(phi_D @ t_D)
        if gamma is None:
            step_C = implicit_row(logits_C, data.targets_LC[0], variance, weight)
        else:
            step_C = (
                gamma * gradients(data, logits_C[None])[0] / (1.0 + self.scaled_curvatures(data, W_CD1)[0] * variance)
            )
        cholesky.add_product(W_CD1, step_C, t_D, 1.0)
        return replace(self, state=self.state.with_row(phi_D, t_D, float(self.scaled_curvatures(data, W_CD1)[0])))

    def _absorb_rows(self, W_CD1: Float64, data: Evidence, gamma: float | None) -> Self:
        logits_MC = data.phi_LD1 @ W_CD1.T
        if gamma is None:
            Q_MD = self.state.times(data.phi_LD1)
            gram_MM = data.phi_LD1 @ Q_MD.T
            W_CD1 += implicit_rows(logits_MC, data.targets_LC, data.weights_L, lambda a_MC: gram_MM @ a_MC).T @ Q_MD
        else:
            W_CD1 += gamma * self.advanced(data, W_CD1).times(gradients(data, logits_MC).T @ data.phi_LD1)
        return replace(self, state=self.advanced(data, W_CD1))

    def with_new_classes(self, n: int) -> Self:
        """Return the posterior itself, because all classes share the precision."""
        return self

    def scaled_curvatures(self, data: Evidence, W_CD1: Float64) -> Float64:
        """Compute curvature times weight times r for each row, [L]."""
        return self.curvature * data.weights_L * self.row_curvatures(data, W_CD1)

    def advanced(self, data: Evidence, W_CD1: Float64) -> Precision:
        """Add the rows to the precision, at their curvature at the mean W_CD1."""
        return self.state.with_rows(data.phi_LD1 * np.sqrt(self.scaled_curvatures(data, W_CD1))[:, None])

    def arrays(self) -> dict[str, Array]:
        return {"precision_factor": np.ascontiguousarray(self.factor)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], *, D1: int, C: int) -> Self:
        """Rebuild from the stored factor.

        Raises DataError if its upper triangle or diagonal is not that of a factor.
        """
        return cls(*scalars(settings), Precision.from_factor(stored_factors(arrays, "precision_factor", (D1, D1))))
