"""Which prior precision a softmax head gets when the user names none: held-out likelihood, and a default that follows the scale.

The default is RELATIVE_DEFAULT times the mean squared distance of the features to their mean. From there a grid of half decades
is walked as long as the loss of held-out rows (stratified folds) falls, if its first step helps by more than one standard error; then
back as far as that error allows. Rows of classes that their fold has not seen count as well: they stand for the classes that the labels
miss (at the Good-Turing rate), so scarce labels keep a strong prior. Where hardly any class has two rows the default stands, because
there is nothing to hold out. The Laplace evidence is reported and not used: on sentence embeddings and on pixels it chose
precisions 10 to 100 times the best, which cost up to 28 points of accuracy.
Source: after the one-standard-error rule, Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, section 7.10.
Cost: about 3 loosely converged fits a fold; enough of the 5 folds are used to hold out HELD_OUT_ROWS rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.errors import DataError
from alcli.numerics.folds import stratified_folds
from alcli.numerics.last_layer.softmax_map import Rotated, fit_map
from alcli.numerics.logistic import log_softmax

RELATIVE_DEFAULT = 0.005
N_FOLDS = 5
HELD_OUT_ROWS = 200
LOOSE = 1e-4
UNUSABLE = 1e6  # nats
STEPS = (-8, 6)  # half decades around the default


def default_prior(X_LD: Floats, weights_L: Float64) -> float:
    """RELATIVE_DEFAULT times the mean squared distance to the mean; to zero, or 1, where that vanishes."""
    centred_LD = X_LD - np.average(X_LD, axis=0, weights=weights_L)
    spread = float(np.average((centred_LD**2).sum(axis=1), weights=weights_L))
    square = float(np.average((X_LD.astype(np.float64) ** 2).sum(axis=1), weights=weights_L))
    return RELATIVE_DEFAULT * (spread if spread > 1e-9 * square else square or 1.0)


def choose_prior(X_LD: Floats, rows: Rotated) -> float:
    """The prior precision for `rows`, which are the features X_LD rotated. Folds follow the order of the rows."""
    default = default_prior(X_LD, rows.weights_L)
    counts_C = np.bincount(rows.y_L, minlength=rows.n_classes)
    if 2 * int((counts_C[rows.y_L] >= 2).sum()) < len(X_LD):
        return default
    folds_L = stratified_folds(rows.y_L, min(N_FOLDS, len(X_LD)), seed=0)
    used = min(N_FOLDS, -(-HELD_OUT_ROWS * N_FOLDS // len(X_LD)), len(X_LD))
    search = _Search(rows, folds_L, used, default)
    return search.prior(search.walk())


class _Search:
    """Held-out losses by grid step, each fold fitted from its own last fit."""

    def __init__(self, rows: Rotated, folds_L: Int64, used: int, default: float) -> None:
        self._parts = [(_subset(rows, folds_L != k), _subset(rows, folds_L == k)) for k in range(used)]
        self._starts: list[Float64 | None] = [None] * used
        self._default = default
        self._known: dict[int, Float64] = {}

    def prior(self, step: int) -> float:
        return float(self._default * 10.0 ** (step / 2))

    def walk(self) -> int:
        """The step to take: 0 unless the first one helps for certain, then down to the lowest loss and one standard error back."""
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
        """By how many of its standard errors the held-out loss falls."""
        change = self._losses(old) - self._losses(new)
        error = float(change.std() / np.sqrt(len(change)))
        return float(change.mean()) / error if error > 0.0 else 0.0

    def _losses(self, step: int) -> Float64:
        """The loss of every held-out row in nats; as bad as can be where the fit does not converge."""
        if step not in self._known:
            self._known[step] = np.concatenate([self._fold(i, self.prior(step)) for i in range(len(self._parts))])
        return self._known[step]

    def _fold(self, i: int, prior: float) -> Float64:
        rows, held_out = self._parts[i]
        try:
            W_CR = fit_map(rows, prior, start_CR=self._starts[i], tolerance=LOOSE).W_CR
        except DataError:  # a prior too weak to converge with is not the one to take
            return np.full(len(held_out.y_L), UNUSABLE)
        self._starts[i] = W_CR
        log_probs_H = log_softmax(held_out.Z_LR @ W_CR.T)[np.arange(len(held_out.y_L)), held_out.y_L]
        return -log_probs_H * held_out.weights_L


def _subset(rows: Rotated, mask_L: Array) -> Rotated:
    """Some of the rows in the coordinates of all; their Gram matrix is near enough to its share of the diagonal one."""
    share = float(rows.weights_L[mask_L].sum() / rows.weights_L.sum())
    return replace(
        rows, Z_LR=rows.Z_LR[mask_L], gram_R=rows.gram_R * share, y_L=rows.y_L[mask_L], weights_L=rows.weights_L[mask_L]
    )
