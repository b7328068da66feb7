"""The choice of a softmax head's prior precision by held-out likelihood, from a default that follows the scale.

The default is RELATIVE_DEFAULT times the mean squared distance of the features to their mean. From the default the
search steps along a grid of half decades, in a direction whose first step lowers the loss of held-out rows (stratified
folds) by more than one standard error. It goes on as long as the loss falls. Then it returns the first precision of the
walk whose loss is within one standard error of the lowest loss.

A held-out row counts even where the other folds have no row of its class. It stands for the classes that the labels
miss (at the Good-Turing rate), so scarce labels keep a strong prior. Where more than half of the rows are the only row
of their class, the default stands, because there is nothing to hold out.

The Laplace evidence is reported and not used: on sentence embeddings and on pixels it chose precisions 10 to 100 times
the best precision, which cost up to 28 points of accuracy.

Source: after the one-standard-error rule, Hastie, Tibshirani & Friedman, The Elements of Statistical Learning,
section 7.10.
Cost: about 3 loosely converged fits a fold; enough of the 5 folds are used to hold out HELD_OUT_ROWS rows.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, with_bias
from alcli.errors import DataError
from alcli.heads._contract import Training
from alcli.numerics.folds import stratified_folds
from alcli.numerics.last_layer.prior import bias_column
from alcli.numerics.last_layer.rotated import Rotated, rotate
from alcli.numerics.last_layer.softmax_map import fit_map
from alcli.numerics.logistic import log_softmax

RELATIVE_DEFAULT = 0.005
N_FOLDS = 5
HELD_OUT_ROWS = 200
LOOSE = 1e-4  # tolerance of the fits that are only compared
UNUSABLE = 1e6  # nats: the loss of a row where the fit does not converge
STEPS = (-8, 6)  # ends of the grid, in half decades from the default


def default_prior(X_LD: Floats, weights_L: Float64) -> float:
    """Compute the default: RELATIVE_DEFAULT times the mean squared distance of the features to their weighted mean.

    Where all rows are equal, the mean squared norm takes the place of the distance, and 1 where the norm is zero too.
    """
    centred_LD = X_LD - np.average(X_LD, axis=0, weights=weights_L)
    spread = float(np.average((centred_LD**2).sum(axis=1), weights=weights_L))
    square = float(np.average((X_LD.astype(np.float64) ** 2).sum(axis=1), weights=weights_L))
    return RELATIVE_DEFAULT * (spread if spread > 1e-9 * square else square or 1.0)


def choose_prior(data: Training) -> float:
    """Choose the prior precision of a softmax head. Folds depend on the order of the rows."""
    default, n = default_prior(data.X_LD, data.weights_L), data.n
    counts_C = np.bincount(data.y_L)
    if 2 * int((counts_C[data.y_L] >= 2).sum()) < n:
        return default
    folds_L = stratified_folds(data.y_L, min(N_FOLDS, n), seed=0)
    used = min(N_FOLDS, -(-HELD_OUT_ROWS * N_FOLDS // n), n)
    search = _Search(data, folds_L, used, default)
    return search.prior(search.walk())


class _Search:
    """The held-out losses at each step of the grid; a fit of a fold begins at the last fit of the same fold."""

    def __init__(self, data: Training, folds_L: Int64, used: int, default: float) -> None:
        self._data, self._folds_L, self._used, self._default = data, folds_L, used, default
        self._phi_LD1 = with_bias(data.X_LD)
        self._starts: list[Float64 | None] = [None] * used
        self._known: dict[int, Float64] = {}

    def prior(self, step: int) -> float:
        """The prior precision that lies `step` half decades from the default."""
        return float(self._default * 10.0 ** (step / 2))

    def walk(self) -> int:
        """Walk the grid; return the step of the chosen precision, 0 where no first step helps by a standard error."""
        for direction in (-1, 1):
            step, end = direction, STEPS[0] if direction < 0 else STEPS[1]
            if self._gain(0, step) > 1.0:
                while step != end and self._gain(step, step + direction) > 0.0:
                    step += direction
                return next(
                    s for s in range(direction, step + direction, direction) if s == step or self._gain(s, step) <= 1.0
                )
        return 0

    def _gain(self, old: int, new: int) -> float:
        """The fall of the held-out loss from step `old` to step `new`, in standard errors of the fall."""
        change = self._losses(old) - self._losses(new)
        error = float(change.std() / np.sqrt(len(change)))
        return float(change.mean()) / error if error > 0.0 else 0.0

    def _losses(self, step: int) -> Float64:
        """The loss of every held-out row in nats; UNUSABLE where the fit does not converge."""
        if step not in self._known:
            data, prior = self._data, self.prior(step)
            column = bias_column(prior)
            rows = rotate(self._phi_LD1, data.y_L, data.weights_L, cast(int, data.n_classes), column=column)
            self._known[step] = np.concatenate([self._fold(rows, i, prior) for i in range(self._used)])
        return self._known[step]

    def _fold(self, rows: Rotated, i: int, prior: float) -> Float64:
        learned, held_out = (_subset(rows, mask_L) for mask_L in (self._folds_L != i, self._folds_L == i))
        start_CD1 = self._starts[i]
        try:
            start_CR = None if start_CD1 is None else rows.inside(start_CD1)
            W_CR = fit_map(learned, prior, start_CR=start_CR, tolerance=LOOSE).W_CR
        except DataError:
            # The fit does not converge under a prior that is too weak, and such a prior must lose the comparison.
            return np.full(len(held_out.y_L), UNUSABLE)
        self._starts[i] = rows.outside(W_CR)
        log_probs_H = log_softmax(held_out.Z_LR @ W_CR.T)[np.arange(len(held_out.y_L)), held_out.y_L]
        return -log_probs_H * held_out.weights_L


def _subset(rows: Rotated, mask_L: Array) -> Rotated:
    """Some of the rows in the coordinates of all rows.

    In the coordinates of `Rotated` the Gram matrix of all rows is diagonal. The Gram matrix of the subset is taken to
    be the same diagonal times the subset's share of the weights. Only the search for a direction uses it, so the
    approximation can cost steps but no accuracy.
    """
    share = float(rows.weights_L[mask_L].sum() / rows.weights_L.sum())
    return replace(
        rows, Z_LR=rows.Z_LR[mask_L], gram_R=rows.gram_R * share, y_L=rows.y_L[mask_L], weights_L=rows.weights_L[mask_L]
    )
