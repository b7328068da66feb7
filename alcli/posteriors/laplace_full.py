"""The exact Hessian over all C D1 weights: P = prior_precision I + curvature sum_n weight_n A_n (x) phi_n phi_n^T.

A_n = diag p - p p^T for the class probabilities p of row n. Only for small heads: a head of more than `max_parameters`
weights is refused. A linearised update with gamma 1 is the exact Newton step, which overshoots where predictions are
certain. The implicit rule repeats such steps, halved where needed, until they converge.

Source: Huseljic et al. 2025, appendix on several classes; rank-C Woodbury with A_n = R R^T.
Cost: fit n C (C D1)^2 + (C D1)^3 / 3; update 2 C (C D1)^2 multiply-adds a row; variance C D1^2 a row; memory 3
(C D1)^2 floats.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy.linalg

from alcli.arrays import Array, Float64
from alcli.errors import DataError
from alcli.numerics.last_layer.implicit import implicit_rows
from alcli.numerics.last_layer.precision import Precision, stored_factors
from alcli.numerics.last_layer.prior import prior_diagonal
from alcli.numerics.logistic import softmax
from alcli.posteriors._contract import Evidence, sample_noise
from alcli.posteriors._laplace import Laplace, deviation, gradients, scalars, scale

MAX_PARAMETERS = 4096


@dataclass(frozen=True)
class LaplaceFull(Laplace):
    """A Laplace posterior with the full precision matrix.

    state: the precision and its inverse, over the weights in the order of the classes.
    """

    n_classes: int
    state: Precision

    kind: ClassVar[str] = "laplace-full"

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
        max_parameters: int = MAX_PARAMETERS,
    ) -> tuple[Float64, Self]:
        """Sum the precision over all rows at the mean W_CD1. Raises DataError for more than max_parameters weights."""
        if W_CD1.size > max_parameters:
            C, D1 = W_CD1.shape
            raise DataError(
                f"the full covariance of {C} classes by {D1} features takes {8 * W_CD1.size**2 / 1e9:.3g} GB a copy; "
                f"the limit is {max_parameters} weights, these are {W_CD1.size}",
                hint="use --covariance shared, block or kron, or raise the limit with -p posterior.max-parameters=N",
            )
        prior_D1 = prior_diagonal(prior_precision, W_CD1.shape[1], data.link)
        state = Precision.gram(np.tile(prior_D1, len(W_CD1)), _rows(data, W_CD1, curvature))
        trace = float(state.variances.reshape(W_CD1.shape)[:, :-1].sum())
        noise_variance = noise_variance or scale(deviation(W_CD1, prior_mean_CD1), prior_precision, trace)
        return W_CD1, cls(prior_precision, curvature, noise_variance, len(W_CD1), state)

    def variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute noise_variance times the diagonal of the covariance of the logits, shape [B, C]."""
        return self._variance_by(self._blocks(self.state.covariance), phi_BD1)

    def contrast_variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute it as the variance, from the blocks of the contrasts, shape [B, C]."""
        return self._variance_by(self._contrast_blocks, phi_BD1)

    @cached_property
    def _contrast_blocks(self) -> Float64:
        """The covariance of the weights of each class minus the mean of the other classes, [C, D1, D1].

        Cost: one pass over the covariance.
        """
        S, C = self.state.covariance, self.n_classes
        sums_CDD = S.reshape(C, len(S) // C, C, -1).sum(axis=2)
        centred_CDD = np.stack(self._blocks(S)) - (sums_CDD + sums_CDD.transpose(0, 2, 1)) / C
        return (centred_CDD + sums_CDD.sum(axis=0) / C**2) * (C / max(C - 1, 1)) ** 2

    def _variance_by(self, blocks: Sequence[Float64] | Float64, phi_BD1: Float64) -> Float64:
        out_CB = [np.einsum("bd,bd->b", phi_BD1 @ block_DD, phi_BD1) for block_DD in blocks]
        return self.noise_variance * np.maximum(np.stack(out_CB, axis=1), 0.0)

    def root(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute sqrt(noise_variance) L^-1 (e_1 (x) phi), [B, C D1]."""
        wide = np.zeros((len(phi_BD1), W_CD1.size))
        wide[:, : phi_BD1.shape[1]] = phi_BD1
        return self.noise_variance**0.5 * self.state.root(wide)

    def sample(self, W_CD1: Float64, n_samples: int, *, seed: int, first: int = 0) -> Float64:
        """Draw W + sqrt(noise_variance) L^-T E with E standard normal."""
        E_SCD = sample_noise(W_CD1.shape, n_samples, seed=seed, first=first)
        deviations_SCD = self.state.spread(E_SCD.reshape(n_samples, W_CD1.size)).reshape(E_SCD.shape)
        return W_CD1 + self.noise_variance**0.5 * deviations_SCD

    def absorb(self, W_CD1: Float64, data: Evidence, gamma: float | None) -> Self:
        logits_MC = data.phi_LD1 @ W_CD1.T
        if gamma is None:
            wide = _spread_over_classes(data.phi_LD1, len(W_CD1)).reshape(logits_MC.size, -1)
            Q = self.state.times(wide)
            gram = wide @ Q.T
            residual_MC = implicit_rows(
                logits_MC, data.targets_LC, data.weights_L, lambda a_MC: (gram @ a_MC.ravel()).reshape(a_MC.shape)
            )
            W_CD1 += (residual_MC.ravel() @ Q).reshape(W_CD1.shape)
        else:
            pull_CD1 = gradients(data, logits_MC).T @ data.phi_LD1
            W_CD1 += gamma * self._advanced(data, W_CD1).times_vector(pull_CD1.ravel()).reshape(W_CD1.shape)
        return replace(self, state=self._advanced(data, W_CD1))

    def _advanced(self, data: Evidence, W_CD1: Float64) -> Precision:
        return self.state.with_rows(_rows(data, W_CD1, self.curvature))

    def with_new_classes(self, n: int) -> Self:
        """Make a new class independent of the other classes, with the mean of their precisions."""
        P = self.state.precision
        wider = scipy.linalg.block_diag(P, *[np.mean(self._blocks(P), axis=0)] * n)
        return replace(self, n_classes=self.n_classes + n, state=Precision.of(np.asfortranarray(wider)))

    def _blocks(self, A: Float64) -> list[Float64]:
        """List the diagonal blocks of a matrix over all weights, one [D1, D1] block a class."""
        D1 = len(A) // self.n_classes
        return [A[i : i + D1, i : i + D1] for i in range(0, len(A), D1)]

    def arrays(self) -> dict[str, Array]:
        return {"precision_factor": np.ascontiguousarray(self.state.factor)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], *, D1: int, C: int) -> Self:
        """Rebuild from the stored factor, [C D1, C D1]."""
        return cls(
            *scalars(settings), C, Precision.from_factor(stored_factors(arrays, "precision_factor", (C * D1, C * D1)))
        )


def _rows(data: Evidence, W_CD1: Float64, curvature: float) -> Float64:
    """Compute rows with the Gram matrix curvature sum_n weight_n A_n (x) phi_n phi_n^T, shape [n C, C D1].

    They are R^T (x) phi^T for each row n, where A_n = R R^T, scaled by the root of curvature weight_n.
    """
    C = len(W_CD1)
    if data.link == "identity":
        R_LCC = np.broadcast_to(np.eye(C), (data.n, C, C))
    else:
        probs_LC = softmax(data.phi_LD1 @ W_CD1.T)
        root_LC = np.sqrt(probs_LC)
        R_LCC = root_LC[:, :, None] * np.eye(C) - probs_LC[:, :, None] * root_LC[:, None, :]
    roots_L = np.sqrt(curvature * data.weights_L)
    rows: Float64 = np.einsum("lcj,ld,l->ljcd", R_LCC, data.phi_LD1, roots_L)
    return rows.reshape(data.n * C, W_CD1.size)


def _spread_over_classes(phi_BD1: Float64, C: int) -> Float64:
    """Compute e_k (x) phi for every row and class, shape [B, C, C, D1]."""
    B, D1 = phi_BD1.shape
    out = np.zeros((B, C, C, D1))
    out[:, np.arange(C), np.arange(C)] = phi_BD1[:, None]
    return out
