"""One precision matrix a class: P_k = prior_precision I + curvature sum_n weight_n p_nk (1 - p_nk) phi_n phi_n^T.

The matrices are the block diagonal of the exact Hessian. The weights of a class stay uncertain in directions in
which no row had a noticeable probability of the class. One matrix for all classes cannot express that.

Source: Daxberger et al., Laplace Redux, NeurIPS 2021, section 3.2 (block-diagonal factorisation, here by output);
rank-one updates by class.
Cost: fit C (n D1^2 + D1^3); update and variance C D1^2 multiply-adds a row; memory 2 C D1^2 floats, 3 after storing
or sampling.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

import numpy as np

from alcli.arrays import Array, Float64
from alcli.numerics.last_layer.implicit import implicit_row, implicit_rows
from alcli.numerics.last_layer.precision import Precision, stored_factors
from alcli.numerics.last_layer.prior import prior_diagonal
from alcli.posteriors._contract import Evidence, independent_contrasts, sample_noise
from alcli.posteriors._laplace import Laplace, class_curvatures, deviation, gradients, scalars, scale


@dataclass(frozen=True)
class LaplaceBlock(Laplace):
    """A Laplace posterior with one precision matrix a class. states: the precision of each class and its inverse."""

    states: tuple[Precision, ...]

    kind: ClassVar[str] = "laplace-block"

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
        roots_CL = np.sqrt(curvature * _curvatures(data, W_CD1)).T
        prior_D1 = prior_diagonal(prior_precision, W_CD1.shape[1], data.link)
        states = tuple(Precision.gram(prior_D1, data.phi_LD1 * root_L[:, None]) for root_L in roots_CL)
        trace = sum(float(state.variances[:-1].sum()) for state in states)
        noise_variance = noise_variance or scale(deviation(W_CD1, prior_mean_CD1), prior_precision, trace)
        return W_CD1, cls(prior_precision, curvature, noise_variance, states)

    def variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute noise_variance phi^T P_k^-1 phi, shape [B, C]."""
        out_CB = [np.einsum("bd,bd->b", state.times(phi_BD1), phi_BD1) for state in self.states]
        return self.noise_variance * np.maximum(np.stack(out_CB, axis=1), 0.0)

    def contrast_variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute it from the variances of the logits, which are independent, shape [B, C]."""
        return independent_contrasts(self.variance(W_CD1, phi_BD1))

    def root(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute sqrt(noise_variance) L_1^-1 phi, [B, D1]."""
        return self.noise_variance**0.5 * self.states[0].root(phi_BD1)

    def sample(self, W_CD1: Float64, n_samples: int, *, seed: int, first: int = 0) -> Float64:
        """Draw W_k + sqrt(noise_variance) E_k L_k^-1 for every class k, with E standard normal."""
        E_SCD = sample_noise(W_CD1.shape, n_samples, seed=seed, first=first)
        deviations_SCD = np.stack([state.spread(E_SCD[:, k]) for k, state in enumerate(self.states)], axis=1)
        return W_CD1 + self.noise_variance**0.5 * deviations_SCD

    def absorb(self, W_CD1: Float64, data: Evidence, gamma: float | None) -> Self:
        step = self._implicit if gamma is None else self._explicit
        W_CD1 += step(W_CD1, data) * (1.0 if gamma is None else gamma)
        return replace(self, states=self._advanced(data, W_CD1))

    def _implicit(self, W_CD1: Float64, data: Evidence) -> Float64:
        logits_MC = data.phi_LD1 @ W_CD1.T
        if data.n == 1:
            t_CD = np.stack([state.times_vector(data.phi_LD1[0]) for state in self.states])
            variance_C = t_CD @ data.phi_LD1[0]
            residual_C = implicit_row(logits_MC[0], data.targets_LC[0], variance_C, float(data.weights_L[0]))
            return residual_C[:, None] * t_CD
        Q_CMD = np.stack([state.times(data.phi_LD1) for state in self.states])
        gram_CMM = data.phi_LD1 @ Q_CMD.transpose(0, 2, 1)
        residual_MC = implicit_rows(
            logits_MC, data.targets_LC, data.weights_L, lambda a_MC: (gram_CMM @ a_MC.T[:, :, None])[:, :, 0].T
        )
        return np.einsum("mc,cmd->cd", residual_MC, Q_CMD)

    def _explicit(self, W_CD1: Float64, data: Evidence) -> Float64:
        pull_CD = gradients(data, data.phi_LD1 @ W_CD1.T).T @ data.phi_LD1
        return np.stack([state.times_vector(pull_D) for state, pull_D in zip(self._advanced(data, W_CD1), pull_CD)])

    def _advanced(self, data: Evidence, W_CD1: Float64) -> tuple[Precision, ...]:
        roots_CM = np.sqrt(self.curvature * _curvatures(data, W_CD1)).T
        return tuple(state.with_rows(data.phi_LD1 * root_M[:, None]) for state, root_M in zip(self.states, roots_CM))

    def with_new_classes(self, n: int) -> Self:
        """Give a new class the mean precision of the other classes, most of which comes from rows of other classes."""
        mean_DD = np.mean([state.precision for state in self.states], axis=0)
        return replace(self, states=(*self.states, *[Precision.of(np.asfortranarray(mean_DD))] * n))

    def arrays(self) -> dict[str, Array]:
        return {"precision_factors": np.stack([state.factor for state in self.states])}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], *, D1: int, C: int) -> Self:
        """Rebuild from the stored factors, [C, D1, D1]."""
        factors = stored_factors(arrays, "precision_factors", (C, D1, D1))
        return cls(*scalars(settings), tuple(Precision.from_factor(L_DD) for L_DD in factors))


def _curvatures(data: Evidence, W_CD1: Float64) -> Float64:
    """Compute weight p (1 - p) for every row and class, [L, C]."""
    return class_curvatures(data.link, data.phi_LD1 @ W_CD1.T) * data.weights_L[:, None]
