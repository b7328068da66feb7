"""One precision matrix for every class: P = prior_precision I + curvature sum_n weight_n phi_n phi_n^T.

Exact for squared loss with curvature 1, where an update equals refitting. For a softmax head curvature 1/2 is Boehning's bound of
the true Hessian, which makes updates timid; by default it is the mean of p (1 - p) over classes at rows that the head has not seen. The
covariance of the outputs is noise_variance P^-1. Under squared loss that is the variance of the targets' noise. Under a softmax it is by
default the factor at which the trained weights are as large as the posterior's prior expects, prior_precision |W|^2 / (C g), g the
effective number of features; at 1, the plain Laplace form, a prior precision picked by held-out likelihood is far too wide a prior, and
mean-field predictions of 0.9 fall to 0.3.
Source: Huseljic et al., Efficient Bayesian Updates for Deep Active Learning via Laplace Approximations, ECML-PKDD 2025, section 4,
with precision and covariance advanced together, which the published code does not do.
Cost: as posteriors/_single.py; memory 3 D1^2 floats.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Self

import numpy as np

from alcli.arrays import Float64
from alcli.posteriors._contract import Evidence
from alcli.posteriors._laplace import SMALLEST_CURVATURE, gradients
from alcli.posteriors._single import Single


@dataclass(frozen=True)
class LaplaceShared(Single):
    """See the module."""

    kind: ClassVar[str] = "laplace-shared"
    measured: ClassVar[bool] = True

    @classmethod
    def curvature_at(cls, probs_HC: Float64) -> float:
        """p (1 - p) in the mean over rows and classes; (C - 1) / C^2, the most it can be, where all classes are as likely."""
        return max(float((probs_HC * (1.0 - probs_HC)).mean()), SMALLEST_CURVATURE)

    @staticmethod
    def row_curvatures(data: Evidence, W_CD1: Float64) -> Float64:
        """1, whatever the mean."""
        return np.ones(data.n)

    def remove(self, W_CD1: Float64, data: Evidence) -> tuple[Float64, Self]:
        """Give back rows that were absorbed. Exact: precision and covariance, as their curvature does not depend on the mean; the
        mean under squared loss; and the mean of a softmax where these rows were the last to be absorbed, together, by the implicit rule.
        Otherwise the mean moves by one step of the implicit rule backwards, which is near the refit without them. Weights are those absorbed.

        Raises DataError when the precision does not hold such rows.
        """
        state = self.state.without_rows(data.phi_LD1 * np.sqrt(self.scaled_curvatures(data, W_CD1))[:, None])
        pull_CD = gradients(data, data.phi_LD1 @ W_CD1.T).T @ data.phi_LD1
        return W_CD1 - state.times(pull_CD), replace(self, state=state)
