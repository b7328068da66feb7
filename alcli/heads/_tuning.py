"""The curvature of second-order updates, by trying a few on the labels at hand.

A head is fitted to four fifths of the labels and absorbs the rest under every curvature that its posterior proposes; the one
that leaves the lowest objective of all labels wins. Folds are taken until MAX_ABSORBED rows have been absorbed. There is no step size
to tune: updates are exact given the curvature (numerics/implicit.py). The published pair, gamma 10 and curvature 1, overshoots.
Source: Huseljic et al. 2025 leave gamma to the user; the split follows from what an update is for.
Cost: a fold is one fit to 4/5 of the labels from the fitted weights, and for each curvature a posterior fit, an update of at most
MAX_ABSORBED rows, and 2 n C D1 flops for the objective of n <= MAX_JUDGED rows. Nothing where the posterior proposes one curvature.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float64
from alcli.heads._contract import Head, Training
from alcli.heads._model import evidence_of
from alcli.numerics.folds import stratified_folds
from alcli.numerics.logistic import log_softmax
from alcli.posteriors._contract import Evidence, Posterior

EXACT = 1.0
N_FOLDS = 5
MIN_ROWS = 10
MAX_ABSORBED = 50
MAX_JUDGED = 1000


def tune(data: Training, head: Head, refit: Callable[[Training], Head], posterior: type[Posterior], *, seed: int) -> float:
    """The curvature for `head`, which was fitted to `data`; refit: fits some rows at the same prior precision.

    The posterior's default below MIN_ROWS rows, or where no fold leaves rows of 2 classes. The objective is that of the absorbed rows
    and of a sample of the others that stands for all of them.
    """
    curvatures = posterior.curvatures(len(head.W_CD1))
    if len(curvatures) == 1 or data.n < MIN_ROWS:
        return curvatures[0]
    folds_L, losses, absorbed = stratified_folds(data.y_L, N_FOLDS, seed=seed), np.zeros(len(curvatures)), 0
    for fold in range(N_FOLDS):
        new = np.flatnonzero(folds_L == fold)[: MAX_ABSORBED - absorbed]
        old = np.setdiff1d(np.arange(data.n), new)
        if len(new) and len(np.unique(data.y_L[old])) >= 2:
            losses += _losses(data, old, new, refit(data.rows(old)), posterior, curvatures, head.prior_precision)
            absorbed += len(new)
    return curvatures[int(losses.argmin())]


def _losses(
    data: Training, old: Array, new: Array, before: Head, posterior: type[Posterior], curvatures: tuple[float, ...], prior: float
) -> Float64:
    """The objective after `before`, fitted to the old rows, has absorbed the new ones under each curvature."""
    seen, unseen, judging = evidence_of(before, data.rows(old)), evidence_of(before, data.rows(new)), _judging(before, data, old, new)
    losses = []
    for curvature in curvatures:
        state = posterior.fit(before.W_CD1, seen, prior_precision=prior, curvature=curvature)
        losses.append(objective(state.update(before.W_CD1, unseen)[0], judging, prior))
    return np.array(losses)


def _judging(head: Head, data: Training, old: Array, new: Array) -> Evidence:
    """The new rows and at most MAX_JUDGED of the old ones, evenly spaced over the classes, weighted for all of the old."""
    spread = old[np.argsort(data.y_L[old], kind="stable")]
    some = np.sort(spread[np.linspace(0, len(old) - 1, min(len(old), MAX_JUDGED)).astype(np.int64)])
    weights = data.weights_L[some] * (data.weights_L[old].sum() / data.weights_L[some].sum())
    rows = evidence_of(head, data.rows(np.concatenate([some, new])))
    return Evidence(rows.phi_LD1, rows.targets_LC, np.concatenate([weights, data.weights_L[new]]), rows.link)


def objective(W_CD1: Float64, data: Evidence, prior_precision: float) -> float:
    """What refitting a softmax head minimises: summed cross-entropy plus the penalty."""
    log_probs_LC = log_softmax(data.phi_LD1 @ W_CD1.T)
    return -float(data.weights_L @ (data.targets_LC * log_probs_LC).sum(axis=1)) + 0.5 * prior_precision * float(np.vdot(W_CD1, W_CD1))
