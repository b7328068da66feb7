"""A Kronecker product of classes and features: P = I (x) prior + curvature A (x) B / n.

A = sum_n (diag p_n - p_n p_n^T) and B = sum_n phi_n phi_n^T are weighted sums, and n is the sum of the weights. It
is the smallest form that has covariances between classes. A sum of Kronecker products is not a Kronecker product,
so there is no rank-one update: A and B are summed further and diagonalised again, once a batch (mode batch) or once
a row (sequential). prior is the diagonal of numerics/last_layer/prior.py, [D1, D1].

Source: Ritter, Botev & Barber, A Scalable Laplace Approximation for Neural Networks, ICLR 2018; the prior is added
exactly, in both eigenbases, as in Immer et al., Scalable Marginal Likelihood Estimation, ICML 2021.
Cost: fit n (D1^2 + C^2) + 9 D1^3 + 9 C^3; update C D1 (C + D1) and both eigenproblems a batch; variance
D1^2 + C D1 + C^2 a row; memory 2 D1^2 + 2 C^2 + C D1 floats.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, ClassVar, Self

import numpy as np
import scipy.linalg

from alcli import stored
from alcli.arrays import Array, Float64
from alcli.errors import DataError
from alcli.numerics.last_layer.implicit import implicit_rows
from alcli.numerics.last_layer.prior import bias_precision
from alcli.numerics.logistic import softmax
from alcli.posteriors._contract import Evidence, contrasts, sample_noise
from alcli.posteriors._laplace import Laplace, deviation, gradients, scalars, scale


@dataclass(frozen=True)
class LaplaceKron(Laplace):
    """A Laplace posterior with a Kronecker-factored precision.

    bias_precision: the prior precision of the bias, 0 for a flat prior. classes_CC: A. features_DD: B, [D1, D1].
    weight_sum: n.
    """

    bias_precision: float
    classes_CC: Float64
    features_DD: Float64
    weight_sum: float

    kind: ClassVar[str] = "laplace-kron"

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
        """Sum both factors over all rows at the mean W_CD1."""
        C, D1 = W_CD1.shape
        bias = bias_precision(data.link)
        empty = cls(prior_precision, curvature, 1.0, bias, np.zeros((C, C)), np.zeros((D1, D1)), 0.0)
        found = empty._advanced(data, W_CD1)
        if noise_variance is None:
            _, V_D1R, S_CR = found.eigen
            trace = float((1.0 / S_CR).sum(axis=0) @ (V_D1R[:-1] ** 2).sum(axis=0))
            noise_variance = scale(deviation(W_CD1, prior_mean_CD1), prior_precision, trace)
        return W_CD1, replace(found, noise_variance=noise_variance)

    @cached_property
    def eigen(self) -> tuple[Float64, Float64, Float64]:
        """(U [C, C], V [D1, D1], S [C, D1]) with P^-1 = (U (x) V) diag(1 / S) (U (x) V)^T.

        The columns of V diagonalise B and the prior together, V^T prior V = diag(prior of the columns). With a proper
        prior, B is brought to units in which the prior is the same for all weights. A flat prior of the bias does not
        change where the features are centred, and then B and the prior are diagonal in the bias.
        """
        a_C, U_CC = scipy.linalg.eigh(self.classes_CC, check_finite=False)
        scale = self.curvature / self.weight_sum if self.weight_sum else 0.0
        V_D1R, b_R, prior_R = self._centred_basis() if self.bias_precision == 0.0 else self._scaled_basis()
        return U_CC, V_D1R, prior_R + scale * np.outer(np.maximum(a_C, 0.0), np.maximum(b_R, 0.0))

    def _scaled_basis(self) -> tuple[Float64, Float64, Float64]:
        unit_D1 = np.ones(len(self.features_DD))
        unit_D1[-1] = np.sqrt(self.prior_precision / self.bias_precision)
        b_R, V_D1R = scipy.linalg.eigh(self.features_DD * np.outer(unit_D1, unit_D1), check_finite=False, driver="evd")
        return V_D1R * unit_D1[:, None], b_R, np.full(len(b_R), self.prior_precision)

    def _centred_basis(self) -> tuple[Float64, Float64, Float64]:
        B, n = self.features_DD, self.features_DD[-1, -1]
        mean_D = B[:-1, -1] / n
        b_D, V_DD = scipy.linalg.eigh(B[:-1, :-1] - n * np.outer(mean_D, mean_D), check_finite=False, driver="evd")
        V_D1R = scipy.linalg.block_diag(V_DD, 1.0)
        V_D1R[-1, :-1] = -mean_D @ V_DD
        return V_D1R, np.append(b_D, n), np.append(np.full(len(b_D), self.prior_precision), 0.0)

    def _times(self, X_CD1: Float64) -> Float64:
        """Compute P^-1 vec X, as a matrix [C, D1]."""
        U_CC, V_DD, S_CD1 = self.eigen
        return U_CC @ ((U_CC.T @ X_CD1 @ V_DD) / S_CD1) @ V_DD.T

    def variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute noise_variance (e_k (x) phi)^T P^-1 (e_k (x) phi), shape [B, C]."""
        return self._variance_along(self.eigen[0], phi_BD1)

    def contrast_variance(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute it as the variance, with the contrasts of the eigenvectors over the classes, shape [B, C]."""
        return self._variance_along(contrasts(self.eigen[0]), phi_BD1)

    def _variance_along(self, U_CC: Float64, phi_BD1: Float64) -> Float64:
        _, V_DD, S_CD1 = self.eigen
        return self.noise_variance * ((phi_BD1 @ V_DD) ** 2 @ (1.0 / S_CD1).T @ (U_CC**2).T)

    def root(self, W_CD1: Float64, phi_BD1: Float64) -> Float64:
        """Compute sqrt(noise_variance) (U_1 (x) V^T phi) / sqrt S, [B, C R]."""
        U_CC, V_DD, S_CD1 = self.eigen
        wide_BCR = (phi_BD1 @ V_DD)[:, None] * (U_CC[0][:, None] / np.sqrt(S_CD1))
        return self.noise_variance**0.5 * wide_BCR.reshape(len(phi_BD1), -1)

    def sample(self, W_CD1: Float64, n_samples: int, *, seed: int, first: int = 0) -> Float64:
        """Draw W + sqrt(noise_variance) U (E / sqrt S) V^T with E standard normal."""
        U_CC, V_DD, S_CD1 = self.eigen
        E_SCD = sample_noise(W_CD1.shape, n_samples, seed=seed, first=first)
        return W_CD1 + self.noise_variance**0.5 * (U_CC @ (E_SCD / np.sqrt(S_CD1)) @ V_DD.T)

    def absorb(self, W_CD1: Float64, data: Evidence, gamma: float | None) -> Self:
        logits_MC = data.phi_LD1 @ W_CD1.T
        if gamma is None:
            rows_MD = data.phi_LD1 @ self.eigen[1]
            W_CD1 += self._times(self._residual(data, logits_MC, rows_MD).T @ data.phi_LD1)
        else:
            W_CD1 += gamma * self._advanced(data, W_CD1)._times(gradients(data, logits_MC).T @ data.phi_LD1)
        return self._advanced(data, W_CD1)

    def _residual(self, data: Evidence, logits_MC: Float64, rows_MD: Float64) -> Float64:
        U_CC, _, S_CD1 = self.eigen

        def multiply(a_MC: Float64) -> Float64:
            return rows_MD @ (((a_MC @ U_CC).T @ rows_MD) / S_CD1).T @ U_CC.T

        return implicit_rows(logits_MC, data.targets_LC, data.weights_L, multiply)

    def _advanced(self, data: Evidence, W_CD1: Float64) -> Self:
        classes_CC = self.classes_CC + _class_curvature(data, W_CD1)
        features_DD = self.features_DD + (data.phi_LD1 * data.weights_L[:, None]).T @ data.phi_LD1
        weight_sum = self.weight_sum + float(data.weights_L.sum())
        return replace(
            self, classes_CC=_symmetrised(classes_CC), features_DD=_symmetrised(features_DD), weight_sum=weight_sum
        )

    def with_new_classes(self, n: int) -> Self:
        """Make new classes independent of the other classes, with the mean curvature of the other classes."""
        mean = float(np.trace(self.classes_CC)) / len(self.classes_CC)
        return replace(self, classes_CC=scipy.linalg.block_diag(self.classes_CC, mean * np.eye(n)))

    def arrays(self) -> dict[str, Array]:
        return {"class_curvature": self.classes_CC, "feature_gram": self.features_DD}

    def settings(self) -> dict[str, Any]:
        return super().settings() | {"bias_precision": self.bias_precision, "weight_sum": self.weight_sum}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], settings: Mapping[str, Any], *, D1: int, C: int) -> Self:
        """Rebuild from the stored sums A and B.

        Raises DataError unless both are symmetric and have no negative number on the diagonal.
        """
        classes_CC, features_DD = _stored_sum(arrays, "class_curvature", C), _stored_sum(arrays, "feature_gram", D1)
        # Before the bias had a prior of its own, it had the prior of the weights.
        bias = "bias_precision" if "bias_precision" in settings else "prior_precision"
        bias_precision = stored.number(settings, bias, positive=False)
        weight_sum = stored.number(settings, "weight_sum", positive=False)
        return cls(*scalars(settings), bias_precision, classes_CC, features_DD, weight_sum)


def _stored_sum(arrays: Mapping[str, Array], name: str, n: int) -> Float64:
    A_NN = stored.tensor(arrays, name, (n, n))
    if (A_NN != A_NN.T).any() or (np.diag(A_NN) < 0).any():
        raise DataError(f"tensor '{name}' is not a sum of squares", hint=stored.HINT)
    return A_NN


def _class_curvature(data: Evidence, W_CD1: Float64) -> Float64:
    """Compute the weighted sum of diag p - p p^T, or of I under squared loss, [C, C]."""
    if data.link == "identity":
        return np.diag(np.full(len(W_CD1), float(data.weights_L.sum())))
    probs_LC = softmax(data.phi_LD1 @ W_CD1.T)
    weighted_LC = probs_LC * data.weights_L[:, None]
    return np.diag(weighted_LC.sum(axis=0)) - weighted_LC.T @ probs_LC


def _symmetrised(A: Float64) -> Float64:
    return (A + A.T) / 2
