"""Last layers fitted many times over the same rows, under other weights or other targets and anchors, with the work that they share done once.

The rows are rotated once (numerics/softmax_map.rotate). A softmax member starts at the weights that all rows gave and takes the
Gram matrix of all rows as its preconditioner. A ridge member with other targets takes one product, with other weights one Cholesky factor.
Source: randomised MAP: the exact posterior of a linear Gaussian model, Gu & Oliver 2007 and Pearce et al., Uncertainty in Neural Networks:
Approximately Bayesian Ensembling, AISTATS 2020; here with noise on the targets as well, which the latter leaves out.
Cost: the rotation, min(n, D1)^2 max(n, D1); a member as its solver. Memory: that of the solver, n C for its targets, C D1 for its weights.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from alcli.arrays import Float64
from alcli.numerics.last_layer import ridge
from alcli.numerics.last_layer.softmax_map import GRADIENT_TOLERANCE, Rotated, fit_map, rotate
from alcli.numerics.logistic import softmax

TOLERANCE = 1e-3  # of the gradient that the new weights or targets make at the weights of all rows


@dataclass(frozen=True)
class Members:
    """What all members share. W_CD1: the weights of all rows at prior_precision. squared: whether the loss is."""

    rows: Rotated
    targets_LC: Float64
    W_CD1: Float64
    prior_precision: float
    squared: bool

    @classmethod
    def of(
        cls,
        phi_LD1: Float64,
        targets_LC: Float64,
        weights_L: Float64,
        W_CD1: Float64,
        prior_precision: float,
        link: Literal["softmax", "identity"],
    ) -> Members:
        """Rotate the rows. targets_LC: one-hot under a softmax."""
        rows = rotate(phi_LD1, targets_LC.argmax(axis=1), weights_L, targets_LC.shape[1])
        return cls(rows, targets_LC, W_CD1, prior_precision, link == "identity")

    def reweighted(self, weights_L: Float64) -> Float64:
        """The weights [C, D1] under other weights of the rows, of which some may be zero."""
        if self.squared:
            return self._whole(ridge.solve_reweighted(self.rows, self.targets_LC, self.prior_precision, weights_L))
        kept_L = weights_L > 0.0
        rows = replace(self.rows, Z_LR=self.rows.Z_LR[kept_L], y_L=self.rows.y_L[kept_L], weights_L=weights_L[kept_L])
        return self._whole(self._softmax(rows, self.targets_LC[kept_L], np.zeros_like(self._start)))

    def perturbed(self, target_noise_LC: Float64, anchor_CD1: Float64) -> Float64:
        """The weights [C, D1] with noise on the targets and a prior that pulls to the anchor. Softmax noise sums to 0 in each row."""
        targets_LC, anchor_CR = self.targets_LC + target_noise_LC, anchor_CD1 @ self.rows.V_D1R
        if self.squared:
            W_CR = ridge.solve_anchored(self.rows, targets_LC, self.prior_precision, anchor_CR)
        else:
            W_CR = self._softmax(self.rows, targets_LC, anchor_CR)
        return anchor_CD1 + self._whole(W_CR - anchor_CR)  # where no row reaches, the anchor stands

    def _softmax(self, rows: Rotated, targets_LC: Float64, anchor_CR: Float64) -> Float64:
        """The optimum from the weights of all rows on, until little is left of the gradient there."""
        start_CR, prior = self._start, self.prior_precision
        pull_CR = ((softmax(rows.Z_LR @ start_CR.T) - targets_LC) * rows.weights_L[:, None]).T @ rows.Z_LR + prior * (
            start_CR - anchor_CR
        )
        tolerance = max(TOLERANCE * float(np.linalg.norm(pull_CR)) / rows.scale(), GRADIENT_TOLERANCE)
        return fit_map(
            rows, prior, start_CR=start_CR, tolerance=tolerance, targets_LC=targets_LC, anchor_CR=anchor_CR
        ).W_CR

    def label_noise(self, noise_LC: Float64) -> Float64:
        """Standard normal noise, given the covariance of each row's label over its weight: diag p - p p^T, or I under squared loss."""
        if not self.squared:
            probs_LC = self.probs
            root_LC = np.sqrt(probs_LC)
            noise_LC = root_LC * noise_LC - probs_LC * np.einsum("lc,lc->l", root_LC, noise_LC)[:, None]
        return noise_LC / np.sqrt(self.rows.weights_L)[:, None]

    @property
    def probs(self) -> Float64:
        """Class probabilities of the rows under the weights of all, [L, C]."""
        return softmax(self.rows.Z_LR @ self._start.T)

    @property
    def _start(self) -> Float64:
        return self.W_CD1 @ self.rows.V_D1R

    def _whole(self, W_CR: Float64) -> Float64:
        out: Float64 = W_CR @ self.rows.V_D1R.T
        return out
