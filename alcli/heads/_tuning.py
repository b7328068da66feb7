"""Curvature and step size of second-order updates, by trying them on the labels at hand.

A head is fitted to four fifths of the labels and absorbs the rest under every (curvature, gamma) of a small grid; the pair that
leaves the lowest objective of all labels wins. Nothing here depends on the scale of features or prior. The published gamma = 10
with curvature 1 overshoots or undershoots by turns; on 77 classes curvatures of 0.02 to 0.05 with gamma below 1 were best.
Source: Huseljic et al. 2025 leave gamma to the user; the split follows from what an update is for.
Cost: one fit to 4/5 of the labels from the fitted weights, then |CURVATURES| posterior fits and |CURVATURES| |GAMMAS| updates of at
most MAX_ABSORBED rows.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Float64
from alcli.heads._contract import Head, Training
from alcli.heads._model import evidence_of
from alcli.numerics.folds import stratified_folds
from alcli.numerics.logistic import log_softmax
from alcli.posteriors._contract import Evidence, Posterior

CURVATURES = (1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01)
GAMMAS = (10.0, 5.0, 2.0, 1.0, 0.5, 0.3, 0.2, 0.1)
SAFE = (0.5, 1.0)  # Boehning's bound: from the MAP, a batch update with it never raises the objective
EXACT = (1.0, 1.0)
MIN_ROWS = 10
MAX_ABSORBED = 50


def tune(
    data: Training, head: Head, refit: Callable[[Training], Head], posterior: type[Posterior], *, seed: int
) -> tuple[float, float]:
    """(curvature, gamma) for `head`, which was fitted to `data`; refit: fits some rows at the same prior precision.

    (1, 1) under squared loss, where it is exact. SAFE below MIN_ROWS rows, or where the rows left show fewer than 2 classes.
    """
    if head.link == "identity":
        return EXACT
    is_new_L = stratified_folds(data.y_L, 5, seed=seed) == 0
    is_new_L[np.flatnonzero(is_new_L)[MAX_ABSORBED:]] = False
    old, new = data.rows(~is_new_L), data.rows(is_new_L)
    if data.n < MIN_ROWS or len(np.unique(old.y_L)) < 2:
        return SAFE
    before = refit(old)
    seen, unseen, everything = (evidence_of(before, part) for part in (old, new, data))
    results = []
    for c in CURVATURES:
        state = posterior.fit(before.W_CD1, seen, prior_precision=head.prior_precision, curvature=c)
        for gamma in GAMMAS:
            W_CD1, _ = state.update(before.W_CD1, unseen, gamma=gamma)
            results.append((objective(W_CD1, everything, head.prior_precision), c, gamma))
    return min(results)[1:]


def objective(W_CD1: Float64, data: Evidence, prior_precision: float) -> float:
    """What refitting a softmax head minimises: summed cross-entropy plus the penalty."""
    log_probs_LC = log_softmax(data.phi_LD1 @ W_CD1.T)
    return -float(data.weights_L @ (data.targets_LC * log_probs_LC).sum(axis=1)) + 0.5 * prior_precision * float(np.vdot(W_CD1, W_CD1))
