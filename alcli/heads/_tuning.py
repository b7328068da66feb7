"""The curvature of second-order updates, measured at rows that a head has not seen.

The head has not yet been fitted to a new row. So the curvature of the loss at a new row is measured at held-out
predictions: a head fitted to four fifths of the labels predicts the other fifth. There is no step size to tune, because
updates are exact given the curvature (numerics/last_layer/implicit.py).

Two alternatives were rejected. The published pair, gamma 10 and curvature 1, overshoots. The training objective after
absorbing a fifth of the labels could choose the curvature, or a (curvature, gamma) pair. On many classes it chooses too
small a curvature, because it rewards a close fit to the absorbed labels.

Source: own; Huseljic et al. 2025 leave gamma to the user.
Cost: one fit to 4/5 of the labels from the fitted weights. Nothing where the posterior has the curvature of the loss
itself.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.heads._contract import Head, Training
from alcli.numerics.folds import stratified_folds
from alcli.numerics.logistic import softmax
from alcli.posteriors._contract import Posterior

EXACT = 1.0  # the curvature of the loss itself
MIN_ROWS = 10
N_FOLDS = 5


def tune(
    data: Training, head: Head, refit: Callable[[Training], Head], posterior: type[Posterior], *, seed: int
) -> float:
    """Measure the curvature for `head`, which was fitted to `data`.

    refit: fits a head to some rows at the same prior precision. The result is the posterior's default below MIN_ROWS
    rows, where four fifths of the rows show fewer than 2 classes, and for a posterior with nothing to measure.
    """
    if not posterior.measured or data.n < MIN_ROWS:
        return default_curvature(posterior, len(head.W_CD1))
    held_out_L = stratified_folds(data.y_L, N_FOLDS, seed=seed) == 0
    if len(np.unique(data.y_L[~held_out_L])) < 2:
        return default_curvature(posterior, len(head.W_CD1))
    return posterior.curvature_at(softmax(refit(data.rows(~held_out_L)).logits(data.X_LD[held_out_L])))


def default_curvature(posterior: type[Posterior], n_classes: int) -> float:
    """The posterior's default curvature: at rows whose class probabilities are uniform."""
    return posterior.curvature_at(np.full((1, n_classes), 1.0 / n_classes))
