"""Which prior precision a softmax head gets when the user names none: held-out likelihood, and a default that follows the scale.

The default is RELATIVE_DEFAULT times the mean squared distance of the features to their mean. From there a grid of half decades
is walked while the held-out likelihood of stratified folds rises; the value nearest to the default within one standard error of
the best is taken. Rows of classes that their fold has not seen count as well: they stand for the classes that the labels miss
(at the Good-Turing rate), so scarce labels keep a strong prior. Where hardly any class has two rows the default stands, because
there is nothing to hold out. The Laplace evidence is reported and not used: on sentence embeddings and on pixels it chose
precisions 10 to 100 times the best, which cost up to 28 points of accuracy.
Source: one-standard-error rule, Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, section 7.10.
Cost: about 4 loosely converged fits a fold; enough of the 5 folds are used to hold out HELD_OUT_ROWS rows.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.folds import stratified_folds
from alcli.numerics.logistic import log_softmax
from alcli.numerics.softmax_map import Rotated, fit_map

RELATIVE_DEFAULT = 0.005
N_FOLDS = 5
HELD_OUT_ROWS = 200
LOOSE = 1e-4
STEPS = (-8, 6)  # half decades around the default


def default_prior(X_LD: Floats, weights_L: Float64) -> float:
    """RELATIVE_DEFAULT times the mean squared distance to the mean; to zero, or 1, where that vanishes."""
    mean_D = np.average(X_LD, axis=0, weights=weights_L)
    spread = float(np.average(np.einsum("ld,ld->l", X_LD - mean_D, X_LD - mean_D), weights=weights_L))
    square = float(np.average(np.einsum("ld,ld->l", X_LD, X_LD, dtype=np.float64), weights=weights_L))
    return RELATIVE_DEFAULT * (spread if spread > 1e-9 * square else square or 1.0)


def choose_prior(X_LD: Floats, rows: Rotated) -> float:
    """The prior precision of the rows `rows`, which are the features X_LD rotated. The same for any order of the rows up to folds."""
    default = default_prior(X_LD, rows.weights_L)
    counts_C = np.bincount(rows.y_L, minlength=rows.n_classes)
    if 2 * int((counts_C[rows.y_L] >= 2).sum()) < len(X_LD):
        return default
    folds_L = stratified_folds(rows.y_L, min(N_FOLDS, len(X_LD)), seed=0)
    used = min(N_FOLDS, -(-HELD_OUT_ROWS * N_FOLDS // len(X_LD)), len(X_LD))
    search = _Search(rows, folds_L, used, default)
    step = 0
    for direction in (-1, 1):
        while STEPS[0] <= step + direction <= STEPS[1] and search.mean(step + direction) < search.mean(step):
            step += direction
        if step:
            break
    best = search.losses[step]
    for nearer in range(0, step, 1 if step > 0 else -1):
        difference = search.losses[nearer] - best
        if difference.mean() <= difference.std() / np.sqrt(len(difference)):
            return search.prior(nearer)
    return search.prior(step)


class _Search:
    """Held-out losses by grid step, each fold fitted from its own last fit."""

    def __init__(self, rows: Rotated, folds_L: Int64, used: int, default: float) -> None:
        self._parts = [(_subset(rows, folds_L != k), rows.Z_LR[folds_L == k], rows.y_L[folds_L == k]) for k in range(used)]
        self._starts: list[Float64 | None] = [None] * used
        self._default = default
        self.losses: dict[int, Float64] = {}

    def prior(self, step: int) -> float:
        return float(self._default * 10.0 ** (step / 2))

    def mean(self, step: int) -> float:
        """The mean held-out loss, in nats."""
        if step not in self.losses:
            self.losses[step] = np.concatenate([self._fold(i, self.prior(step)) for i in range(len(self._parts))])
        return float(self.losses[step].mean())

    def _fold(self, i: int, prior: float) -> Float64:
        rows, Z_HR, y_H = self._parts[i]
        self._starts[i] = W_CR = fit_map(rows, prior, start_CR=self._starts[i], tolerance=LOOSE).W_CR
        return -log_softmax(Z_HR @ W_CR.T)[np.arange(len(y_H)), y_H]  # type: ignore[no-any-return]


def _subset(rows: Rotated, mask_L: Array) -> Rotated:
    """Some of the rows in the coordinates of all; their Gram matrix is near enough to its share of the diagonal one."""
    share = float(rows.weights_L[mask_L].sum() / rows.weights_L.sum())
    return replace(
        rows, Z_LR=rows.Z_LR[mask_L], gram_R=rows.gram_R * share, y_L=rows.y_L[mask_L], weights_L=rows.weights_L[mask_L]
    )
