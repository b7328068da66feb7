"""Members of an ensemble: last layers fitted to the same rows under other row weights, or other targets and anchors.

Work that all members share is done once: the rows are rotated once (rotated.py). A softmax member
starts at the fit to all rows and takes the Gram matrix of all rows as its preconditioner. A ridge member with other
targets takes one product; with other row weights it takes one Cholesky factor. R: dimensions of the rotated rows.
Source: randomised MAP, which draws from the exact posterior of a linear Gaussian model: Gu & Oliver 2007; Pearce et
al., Uncertainty in Neural Networks: Approximately Bayesian Ensembling, AISTATS 2020. The latter leaves out noise on
the targets; here the targets have noise too.
Cost: min(n, D1)^2 max(n, D1) for the rotation, then the cost of the solver for each member.
Memory: the memory of the solver, n C numbers for targets and C D1 for weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from alcli.arrays import Float64
from alcli.numerics.last_layer import ridge
from alcli.numerics.last_layer.prior import bias_column, prior_diagonal
from alcli.numerics.last_layer.rotated import Rotated, rotate, rotate_centred
from alcli.numerics.last_layer.softmax_map import GRADIENT_TOLERANCE, fit_map
from alcli.numerics.logistic import softmax

# Relative to the gradient that the new row weights or targets cause at the fit to all rows.
TOLERANCE = 1e-3


@dataclass(frozen=True)
class Members:
    """The data that members share.

    W_CD1: the fit to all rows at prior_precision, around prior_mean_CD1. squared: True for squared loss.
    """

    rows: Rotated
    targets_LC: Float64
    W_CD1: Float64
    prior_precision: float
    prior_mean_CD1: Float64
    squared: bool

    @classmethod
    def of(
        cls,
        phi_LD1: Float64,
        targets_LC: Float64,
        weights_L: Float64,
        W_CD1: Float64,
        prior_precision: float,
        prior_mean_CD1: Float64 | None,
        link: Literal["softmax", "identity"],
    ) -> Members:
        """Rotate the rows and set up the shared data. weights_L: of the rows. targets_LC: one-hot under a softmax."""
        data = phi_LD1, targets_LC.argmax(axis=1), weights_L, targets_LC.shape[1]
        squared = link == "identity"
        rows = rotate_centred(*data) if squared else rotate(*data, column=bias_column(prior_precision))
        mean_CD1 = np.zeros_like(W_CD1) if prior_mean_CD1 is None else prior_mean_CD1
        return cls(rows, targets_LC, W_CD1, prior_precision, mean_CD1, squared)

    def reweighted(self, weights_L: Float64) -> Float64:
        """Fit a member under other row weights, some of which may be zero; return its weights [C, D1]."""
        if self.squared:
            W_CR = ridge.solve_reweighted(self.rows, self.targets_LC, self.prior_precision, weights_L)
            return self.rows.outside(W_CR)
        kept_L, anchor_CR = weights_L > 0.0, self.rows.inside(self.prior_mean_CD1)
        rows = replace(self.rows, Z_LR=self.rows.Z_LR[kept_L], y_L=self.rows.y_L[kept_L], weights_L=weights_L[kept_L])
        W_CR = self._softmax(rows, self.targets_LC[kept_L], anchor_CR)
        return self.prior_mean_CD1 + self.rows.outside(W_CR - anchor_CR)

    def perturbed(self, target_noise_LC: Float64, anchor_CD1: Float64) -> Float64:
        """Fit a member with noise on the targets and a prior centred at the anchor; return its weights [C, D1].

        target_noise_LC: under a softmax, each row sums to 0.
        """
        targets_LC, anchor_CR = self.targets_LC + target_noise_LC, self.rows.inside(anchor_CD1)
        if self.squared:
            W_CR = ridge.solve_anchored(self.rows, targets_LC, self.prior_precision, anchor_CR)
        else:
            W_CR = self._softmax(self.rows, targets_LC, anchor_CR)
        # In directions that no row spans, the weights stay at the anchor.
        return anchor_CD1 + self.rows.outside(W_CR - anchor_CR)

    def _softmax(self, rows: Rotated, targets_LC: Float64, anchor_CR: Float64) -> Float64:
        """Minimise from the fit to all rows on, until the gradient is `TOLERANCE` times the gradient there; [C, R]."""
        start_CR, prior = self._start, self.prior_precision
        pull_CR = ((softmax(rows.Z_LR @ start_CR.T) - targets_LC) * rows.weights_L[:, None]).T @ rows.Z_LR + prior * (
            start_CR - anchor_CR
        )
        tolerance = max(TOLERANCE * float(np.linalg.norm(pull_CR)) / rows.scale(), GRADIENT_TOLERANCE)
        return fit_map(
            rows, prior, start_CR=start_CR, tolerance=tolerance, targets_LC=targets_LC, anchor_CR=anchor_CR
        ).W_CR

    def label_noise(self, noise_LC: Float64) -> Float64:
        """Turn standard normal noise [L, C] into noise with the covariance of each row's label divided by its weight.

        The covariance of a label is diag p - p p^T under a softmax, and I under squared loss.
        """
        if not self.squared:
            probs_LC = self.probs
            root_LC = np.sqrt(probs_LC)
            noise_LC = root_LC * noise_LC - probs_LC * np.einsum("lc,lc->l", root_LC, noise_LC)[:, None]
        return noise_LC / np.sqrt(self.rows.weights_L)[:, None]

    @property
    def prior_deviations(self) -> Float64:
        """The prior standard deviation of each weight of a class, [D1], at noise variance 1; 0 where it is flat."""
        prior_D1 = prior_diagonal(self.prior_precision, self.W_CD1.shape[1], "identity" if self.squared else "softmax")
        return np.where(prior_D1 > 0.0, prior_D1, np.inf) ** -0.5

    @property
    def probs(self) -> Float64:
        """Class probabilities of the rows under the fit to all rows, [L, C]."""
        return softmax(self.rows.Z_LR @ self._start.T)

    @property
    def _start(self) -> Float64:
        """The fit to all rows, in rotated coordinates."""
        return self.rows.inside(self.W_CD1)
