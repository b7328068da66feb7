"""The base of the Laplace posteriors: absorbing rows, and the scale of the covariance.

By default (gamma None) rows are absorbed by the implicit rule: the new mean is the exact mode of the new rows'
likelihood with the posterior as the Gaussian prior (numerics/last_layer/implicit.py). With a number for gamma, rows
are absorbed by the published linearised rule, W += gamma covariance' gradient, where covariance' already holds the
new rows at the curvature of the old mean. Under squared loss both rules are the exact refit at gamma 1. After
either rule the precision gets the new rows at the curvature of the NEW mean.

Source: Huseljic et al. 2025, eq. 5 and 6, with precision and covariance advanced together; scale: MacKay, Bayesian
Interpolation, 1992, eq. 4.6.
Cost: see each posterior.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import numpy as np

from alcli import stored
from alcli.arrays import Float64
from alcli.errors import DataError
from alcli.numerics.logistic import softmax
from alcli.posteriors._contract import Evidence, Link, Mode, mean_of

SMALLEST_VARIANCE = 1e-6
SMALLEST_CURVATURE = 1e-6


@dataclass(frozen=True)
class Laplace(ABC):
    """The scalars of every Laplace posterior. curvature: factor on the curvature of each row."""

    prior_precision: float
    curvature: float
    noise_variance: float

    kind: ClassVar[str]
    measured: ClassVar[bool] = False
    absorbs: ClassVar[bool] = True
    distinct: ClassVar[int | None] = None

    @classmethod
    def curvature_at(cls, probs_HC: Float64) -> float:
        """Return 1 for any probabilities, because the precision uses the curvature of the loss itself."""
        return 1.0

    @property
    def figures(self) -> Mapping[str, float]:
        """Empty: the posterior adds no numbers to the report of the head."""
        return {}

    @abstractmethod
    def absorb(self, W_CD1: Float64, data: Evidence, gamma: float | None) -> Self:
        """Absorb all rows of `data` at once. Moves W_CD1 in place and returns the new posterior."""

    def update(
        self, W_CD1: Float64, data: Evidence, *, gamma: float | None = None, mode: Mode = "sequential"
    ) -> tuple[Float64, Self]:
        """Absorb rows one after another, each at the mean so far (sequential), or all at the old mean (batch).

        Batch gives the same result for any order of the rows.
        """
        W_CD1, state = W_CD1.copy(), self
        gamma = 1.0 if gamma is None and data.link == "identity" else gamma
        parts = [slice(None)] if mode == "batch" else [slice(i, i + 1) for i in range(data.n)]
        for part in parts if data.n else []:
            rows = Evidence(data.phi_LD1[part], data.targets_LC[part], data.weights_L[part], data.link)
            state = state.absorb(W_CD1, rows, gamma)
        return W_CD1, state

    def remove(self, W_CD1: Float64, data: Evidence) -> tuple[Float64, Self]:
        """Raise DataError: rows were absorbed at the curvature of a mean that is not known any more."""
        raise DataError(f"a {self.kind} posterior cannot give labels back exactly", hint="refit without them")

    def settings(self) -> dict[str, Any]:
        return {
            "kind": self.kind,
            "prior_precision": self.prior_precision,
            "curvature": self.curvature,
            "noise_variance": self.noise_variance,
        }


def scalars(settings: Mapping[str, Any]) -> tuple[float, float, float]:
    """Read prior_precision, curvature and noise_variance from stored settings."""
    return (
        stored.number(settings, "prior_precision"),
        stored.number(settings, "curvature"),
        stored.number(settings, "noise_variance"),
    )


def deviation(W_CD1: Float64, prior_mean_CD1: Float64 | None) -> Float64:
    """W minus the prior mean; None stands for zero."""
    return W_CD1 if prior_mean_CD1 is None else W_CD1 - prior_mean_CD1


def scale(deviation_CD1: Float64, prior_precision: float, trace: float) -> float:
    """Compute the noise variance at which the weights are as far from the prior mean as the prior expects.

    It is prior_precision |deviation|^2 over the effective number of weights, kept between 1e-6 and 1. The bias has a
    prior of its own and does not count.
    deviation_CD1: W minus the prior mean. trace: the summed variances of all C D weights, at noise variance 1.
    """
    weights_CD = deviation_CD1[:, :-1]
    effective = max(weights_CD.size - prior_precision * trace, np.finfo(np.float64).tiny)
    return float(np.clip(prior_precision * np.vdot(weights_CD, weights_CD) / effective, SMALLEST_VARIANCE, 1.0))


def gradients(data: Evidence, logits_LC: Float64) -> Float64:
    """Compute weight (target - mean) for every row, [L, C]: minus the gradient of the loss by the logits."""
    return (data.targets_LC - mean_of(data.link, logits_LC)) * data.weights_L[:, None]


def class_curvatures(link: Link, logits_LC: Float64) -> Float64:
    """Compute the second derivative of the loss by each logit, [L, C]: p (1 - p), or 1 under squared loss."""
    if link == "identity":
        return np.ones_like(logits_LC)
    probs_LC = softmax(logits_LC)
    return probs_LC * (1.0 - probs_LC)
