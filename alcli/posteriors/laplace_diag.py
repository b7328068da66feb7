"""One precision a weight: P_kd = prior_precision + curvature sum_n weight_n p_nk (1 - p_nk) phi_nd^2.

The precisions are the diagonal of the exact Hessian. They take the least memory, but ignore correlations between
features, and embeddings have many. With correlated features updates move too far: on sentence embeddings of 77
classes they lower the accuracy instead of raising it. Use this posterior for independent features only.

Source: Daxberger et al., Laplace Redux, NeurIPS 2021, section 3.2 (diagonal factorisation).
Cost: fit n C D1; update and variance C D1 a row; memory C D1 floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from alcli import stored
from alcli.arrays import Array, Float64
from alcli.errors import DataError
from alcli.numerics.last_layer.implicit import implicit_row, implicit_rows
from alcli.numerics.last_layer.prior import prior_diagonal
from alcli.posteriors._contract import Evidence, independent_contrasts, sample_noise
from alcli.posteriors._laplace import Laplace, class_curvatures, deviation, gradients, scalars, scale


@dataclass(frozen=True)
class LaplaceDiag(Laplace):
    """A Laplace posterior with independent weights. precision_CD1: the precision of each weight."""

    precision_CD1: Float64

    kind: ClassVar[str] = "laplace-diag"

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
        """Sum the precisions over all rows at the mean W_CD1."""
        prior_D1 = prior_diagonal(prior_precision, W_CD1.shape[1], data.link)
        precision_CD1 = prior_D1 + curvature * _squares(data, W_CD1)
        trace = float((1.0 / precision_CD1[:, :-1]).sum())
        noise_variance = noise_variance or scale(deviation(W_CD1, prior_mean_CD1), prior_precision, trace)
        return W_CD1, cls(prior_precision, curvature, noise_variance, precision_CD1)

    def variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute noise_variance sum_d phi_d^2 / P_kd, shape [B, C]."""
        return self.noise_variance * (phi_BD1**2 @ (1.0 / self.precision_CD1).T)

    def contrast_variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute it from the variances of the logits, which are independent, shape [B, C]."""
        return independent_contrasts(self.variance(W_CD1, phi_BD1))

    def root(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute sqrt(noise_variance / P_1) phi, [B, D1]."""
        return phi_BD1 * np.sqrt(self.noise_variance / self.precision_CD1[0])

    def sample(self, W_CD1: Float64, n_samples: int, *, seed: int, first: int = 0) -> Float64:
        """Draw W + sqrt(noise_variance / P) E with E standard normal."""
        E_SCD = sample_noise(W_CD1.shape, n_samples, seed=seed, first=first)
        return W_CD1 + np.sqrt(self.noise_variance / self.precision_CD1) * E_SCD

    def absorb(self, W_CD1: Float64, data: Evidence, gamma: float | None) -> Self:
        logits_MC = data.phi_LD1 @ W_CD1.T
        if gamma is not None:
            pull_CD1 = gradients(data, logits_MC).T @ data.phi_LD1
            W_CD1 += gamma * pull_CD1 / self._advanced(data, W_CD1)
        else:
            W_CD1 += (self._residual(data, logits_MC).T @ data.phi_LD1) / self.precision_CD1
        return replace(self, precision_CD1=self._advanced(data, W_CD1))

    def _residual(self, data: Evidence, logits_MC: Float64) -> Float64:
        X_MD = data.phi_LD1
        if data.n == 1:
            variance_C = (1.0 / self.precision_CD1) @ X_MD[0] ** 2
            return implicit_row(logits_MC[0], data.targets_LC[0], variance_C, float(data.weights_L[0]))[None]
        return implicit_rows(
            logits_MC, data.targets_LC, data.weights_L, lambda a_MC: X_MD @ ((a_MC.T @ X_MD) / self.precision_CD1).T
        )

    def _advanced(self, data: Evidence, W_CD1: Float64) -> Float64:
        return self.precision_CD1 + self.curvature * _squares(data, W_CD1)

    def with_new_classes(self, n: int) -> Self:
        """Give a new class the mean precision of the other classes, most of which comes from rows of other classes."""
        mean_D1 = self.precision_CD1.mean(axis=0)
        return replace(self, precision_CD1=np.vstack([self.precision_CD1, *[mean_D1] * n]))

    def arrays(self) -> dict[str, Array]:
        return {"precision": self.precision_CD1}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], *, D1: int, C: int) -> Self:
        """Rebuild from the stored precisions, [C, D1], all positive."""
        precision_CD1 = stored.tensor(arrays, "precision", (C, D1))
        if (precision_CD1 <= 0).any():
            raise DataError("tensor 'precision' holds numbers that are not positive", hint=stored.HINT)
        return cls(*scalars(settings), precision_CD1)


def _squares(data: Evidence, W_CD1: Float64) -> Float64:
    """Compute sum_n weight_n p_nk (1 - p_nk) phi_nd^2, [C, D1]."""
    curvatures_LC = class_curvatures(data.link, data.phi_LD1 @ W_CD1.T) * data.weights_L[:, None]
    return curvatures_LC.T @ data.phi_LD1**2
