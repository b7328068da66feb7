"""The choice of a softmax head's prior precision: held-out likelihood, with a prior that keeps it near a default.

The default is RELATIVE_DEFAULT times the mean squared distance of the features to their mean, so it follows their
scale; it is raised where some classes have few labels beside the others. The precision is the maximum a posteriori of
log precision: its prior is normal around the default, and its likelihood is that of the labels of held-out rows
(stratified folds). What held-out rows gain over the default counts at the lower end of its one-sided interval of level
LEVEL, by Student's t over the rows. So a few labels hardly move the precision, and many labels decide by themselves.

Where classes are hard to tell apart, the default is too confident. There a strong prior gains likelihood by bringing
all probabilities near the shares of the classes, and can lose accuracy: the class that has the most labels, if only by
chance, wins everywhere. A temperature above 1 makes that gain without changing a prediction. So the loss of a held-out
row is its cross-entropy at the best temperature of 1 or more for TEMPERED of it, and its plain cross-entropy for the
rest, because confidence counts too.

A held-out row counts only where the other folds have a row of its class. No head predicts a class that it has not
seen. Such a row would favour whatever spreads the probabilities, that is, ever stronger priors: with half of the rows
alone in their class, they raised the precision a thousandfold and left a tenth of the accuracy.

The Laplace evidence is reported and not used: on sentence embeddings and on pixels it chose precisions 10 to 100 times
the best precision, which cost up to 28 points of accuracy. `python -m benchmarks.study_prior` compares the rule with
every fixed precision.

Source: own; cross-validation as a likelihood, Fong & Holmes, On the marginal likelihood and cross-validation, 2020.
Cost: about 7 loosely converged fits a fold; enough of the 5 folds are used to hold out HELD_OUT_ROWS rows. For each
precision about 30 passes over the logits of the held-out rows find the temperature.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np
from scipy.special import stdtrit

from alcli.arrays import Array, Float64, Floats, Int64, with_bias
from alcli.errors import DataError
from alcli.heads._contract import Training
from alcli.numerics.folds import stratified_folds
from alcli.numerics.last_layer.prior import bias_column
from alcli.numerics.last_layer.rotated import Rotated, rotate
from alcli.numerics.last_layer.softmax_map import fit_map
from alcli.numerics.last_layer.temperature import fit_temperature
from alcli.numerics.logistic import log_softmax
from alcli.remarks import steps

RELATIVE_DEFAULT = 0.01
DEVIATION = 1.5  # standard deviation of the precision around the default, in half decades
LEVEL = 0.93  # 1.5 standard errors of many rows
TEMPERED = 2 / 3
N_FOLDS = 5
HELD_OUT_ROWS = 200
LOOSE = 1e-4  # tolerance of the fits that are only compared
UNUSABLE = 1e6  # nats: the loss of a row where the fit does not converge
STEPS = (-8, 8)  # ends of the grid, in half decades from the default


def default_prior(X_LD: Floats, weights_L: Float64) -> float:
    """Compute the default: RELATIVE_DEFAULT times the mean squared distance of the features to their weighted mean.

    Where all rows are equal, the mean squared norm takes the place of the distance, and 1 where the norm is zero too.
    """
    centred_LD = X_LD - np.average(X_LD, axis=0, weights=weights_L)
    spread = float(np.average((centred_LD**2).sum(axis=1), weights=weights_L))
    square = float(np.average((X_LD.astype(np.float64) ** 2).sum(axis=1), weights=weights_L))
    return RELATIVE_DEFAULT * (spread if spread > 1e-9 * square else square or 1.0)


def imbalance(y_L: Int64) -> float:
    """The arithmetic mean of the class counts over their harmonic mean: 1 for equal counts, else above 1.

    The noise in what is learned of a class is as large as 1 / its count. So this is the mean noise of the classes,
    relative to that of as many labels in equal shares.
    """
    counts_C = np.unique(y_L, return_counts=True)[1]
    return float(counts_C.mean() * (1.0 / counts_C).mean())


def choose_prior(data: Training) -> float:
    """Choose the prior precision of a softmax head. Folds depend on the order of the rows."""
    folds_L = stratified_folds(data.y_L, min(N_FOLDS, data.n), seed=0)
    used = min(N_FOLDS, -(-HELD_OUT_ROWS * N_FOLDS // data.n), data.n)
    search = _Search(data, folds_L, used, default_prior(data.X_LD, data.weights_L) * imbalance(data.y_L))
    return search.prior(search.walk() if search.rows > 1 else 0)


class _Search:
    """The objective at each step of the grid; a fit of a fold begins at the last fit of the same fold.

    rows: the number of held-out rows that count.
    """

    def __init__(self, data: Training, folds_L: Int64, used: int, default: float) -> None:
        self._data, self._default = data, default
        masks = [folds_L == k for k in range(used)]
        # Of each fold: the rows to learn from, and the held-out rows of classes that they show.
        self._folds = [(~out_L, out_L & np.isin(data.y_L, data.y_L[~out_L])) for out_L in masks]
        self._phi_LD1 = with_bias(data.X_LD)
        self._starts: list[Float64 | None] = [None] * used
        self._known: dict[int, Float64] = {}
        self.rows = sum(int(counts_L.sum()) for _, counts_L in self._folds)

    def prior(self, step: int) -> float:
        """The prior precision that lies `step` half decades from the default."""
        return float(self._default * 10.0 ** (step / 2))

    def walk(self) -> int:
        """Walk by whole decades from the default, then look half a decade to both sides of the best step.

        Upwards one decade that is no better is passed, because doubt makes the first steps look worse than they are.
        Weaker priors take longer to fit, and their objective has no such hill.
        """
        best = 0
        for direction, patience in ((1, 2), (-1, 1)):
            step, worse = 0, 0
            while worse < patience and STEPS[0] < step + direction < STEPS[1]:
                step += 2 * direction
                is_better = self.objective(step) < self.objective(best)
                best, worse = (step, 0) if is_better else (best, worse + 1)
        return min((best, best - 1, best + 1), key=self.objective)

    def objective(self, step: int) -> float:
        """Compute the cost of a step over the default, in nats: the loss of held-out rows, doubt, and the prior."""
        more_H = self._losses(step) - self._losses(0)
        doubt = float(stdtrit(self.rows - 1, LEVEL) * more_H.std(ddof=1)) * self.rows**0.5
        return float(more_H.sum()) + doubt + 0.5 * (step / DEVIATION) ** 2

    def _losses(self, step: int) -> Float64:
        """The losses of all held-out rows, in nats; UNUSABLE where a fit does not converge."""
        if step not in self._known:
            data, prior = self._data, self.prior(step)
            column = bias_column(prior)
            rows = rotate(self._phi_LD1, data.y_L, data.weights_L, cast(int, data.n_classes), column=column)
            folds = steps(range(len(self._folds)), f"prior precision {len(self._known) + 1}", len(self._folds))
            try:
                self._known[step] = self._judged([self._of_fold(rows, i, prior) for i in folds])
            except DataError:
                # The fit does not converge under a prior that is too weak, and such a prior must lose the comparison.
                self._known[step] = np.full(self.rows, UNUSABLE)
        return self._known[step]

    def _of_fold(self, rows: Rotated, i: int, prior: float) -> Float64:
        """The logits [H, C] of the held-out rows of a fold. Raises DataError where the fit does not converge."""
        learned, held_out = (_subset(rows, mask_L) for mask_L in self._folds[i])
        start_CD1 = self._starts[i]
        start_CR = None if start_CD1 is None else rows.inside(start_CD1)
        W_CR = fit_map(learned, prior, start_CR=start_CR, tolerance=LOOSE).W_CR
        self._starts[i] = rows.outside(W_CR)
        return held_out.Z_LR @ W_CR.T

    def _judged(self, logits: list[Float64]) -> Float64:
        """The loss of each held-out row, in nats: TEMPERED of it at the best temperature, the rest at 1."""
        logits_HC = np.concatenate(logits)
        held_out_H = np.concatenate([np.flatnonzero(out_L) for _, out_L in self._folds])
        y_H, weights_H = self._data.y_L[held_out_H], self._data.weights_L[held_out_H]
        best = max(1.0, fit_temperature(logits_HC, y_H, weights_H))
        plain_H, tempered_H = (-log_softmax(logits_HC / t)[np.arange(len(y_H)), y_H] for t in (1.0, best))
        return ((1.0 - TEMPERED) * plain_H + TEMPERED * tempered_H) * weights_H


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
