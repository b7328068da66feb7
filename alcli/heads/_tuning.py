"""The curvature of second-order updates, measured at rows that a head has not seen.

A new row meets the loss where the head does not know it yet, so its curvature is that of held-out predictions: those of a head fitted
to four fifths of the labels, on the rest. There is no step size to tune: updates are exact given the curvature
(numerics/last_layer/implicit.py). The published pair, gamma 10 and curvature 1, overshoots; picking curvatures, or (curvature, gamma) pairs, by the
training objective after absorbing a fifth of the labels takes them too small on many classes: it rewards fitting what was absorbed.
Source: own; Huseljic et al. 2025 leave gamma to the user.
Cost: one fit to 4/5 of the labels from the fitted weights. Nothing where the posterior has the curvature of the loss itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Float64
from alcli.heads._contract import Head, Training
from alcli.numerics.folds import stratified_folds
from alcli.numerics.logistic import log_softmax, softmax
from alcli.posteriors._contract import Evidence, Posterior

EXACT = 1.0
MIN_ROWS = 10
N_FOLDS = 5


def tune(
    data: Training, head: Head, refit: Callable[[Training], Head], posterior: type[Posterior], *, seed: int
) -> float:
    """The curvature for `head`, which was fitted to `data`; refit: fits some rows at the same prior precision.

    The posterior's default below MIN_ROWS rows, or where four fifths of them show fewer than 2 classes.
    """
    held_out_L = stratified_folds(data.y_L, N_FOLDS, seed=seed) == 0
    if not posterior.measured or data.n < MIN_ROWS or len(np.unique(data.y_L[~held_out_L])) < 2:
        return default_curvature(posterior, len(head.W_CD1))
    return posterior.curvature_at(softmax(refit(data.rows(~held_out_L)).logits(data.X_LD[held_out_L])))


def default_curvature(posterior: type[Posterior], n_classes: int) -> float:
    """The curvature at rows of which nothing is known."""
    return posterior.curvature_at(np.full((1, n_classes), 1.0 / n_classes))


def objective(W_CD1: Float64, data: Evidence, prior_precision: float) -> float:
    """What refitting a softmax head minimises: summed cross-entropy plus the penalty."""
    log_probs_LC = log_softmax(data.phi_LD1 @ W_CD1.T)
    return -float(data.weights_L @ (data.targets_LC * log_probs_LC).sum(axis=1)) + 0.5 * prior_precision * float(
        np.vdot(W_CD1, W_CD1)
    )
