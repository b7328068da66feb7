"""Rows whose predicted class changes when they are mixed a little with the mean of a labelled class, one for each cluster of them.

A row h becomes h + alpha o (a - h) for the mean a of each class. The alpha of the paper makes this h + eps |a - h| g / |g|, g the gradient of
the loss at the predicted class by h: the quotient of differences cancels, only the farthest mean matters, and for the last layer, which is
linear, the class changes where eps max_a |a - h| exceeds a distance in closed form. eps = cap / sqrt(M), M the width of the last layer; the
cap rises in steps of `step` until there are more candidates than rows asked for, or it is 1.

Source: Parvaneh, Abbasnejad, Teney, Haffari, van den Hengel & Shi 2022, "Active learning by feature mixing"; steps of 0.03125 as in
scripts for the published code.
Cost: 2 N M (3 C + A) flops, A classes with labels, then k-means on the candidates; memory that of a block beside the features.
Passes: 1.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np

from alcli.arrays import Array, Float64
from alcli.errors import UsageError
from alcli.numerics.flips import least_caps
from alcli.strategies._central import central
from alcli.strategies._contract import Selection, batch
from alcli.strategies._view import View


def _step(**options: float) -> None:
    """Raise UsageError for an option that is no step of the cap."""
    for name, value in options.items():
        if not 0.001 <= value <= 1.0:
            raise UsageError(f"parameter '{name}' must be at least 0.001 and at most 1, got {value}")


@batch(needs=["features", "hidden", "trained_log_probs", "labelled", "labelled_targets", "network"], random=True)
def alfa_mix(view: View, k: int, *, rng: np.random.Generator, step: Annotated[float, _step] = 0.03125) -> Selection:
    """Scores: rows in the cluster of a pick. step: by which the cap rises. Raises DataError where the labels are not known."""
    _step(step=step)
    W_CM1, anchors_AM = np.asarray(view.network().W_CD1, np.float64), _class_means(view)
    caps_N = view.reduced(lambda H_BM, log_probs_BC: least_caps(W_CM1, H_BM, log_probs_BC, anchors_AM), "hidden", "trained_log_probs")
    cap = _cap(caps_N, k, step)
    places_M = np.flatnonzero(caps_N < cap)
    chosen = central(view, places_M, k, rng, what="candidates change their class when mixed")
    return replace(chosen, record={"cap": cap, "candidates": len(places_M)})


def _class_means(view: View) -> Float64:
    """The mean last-layer inputs of the labelled rows of each class that has any, [A, M]."""
    targets_LC = view.labelled_targets()
    weights_C = targets_LC.sum(axis=0)
    if not len(targets_LC):
        return np.empty((0, view.network().W_CD1.shape[1] - 1))
    H_LM = view.evaluate("hidden", view.labelled()).astype(np.float64)
    means_CM: Float64 = (targets_LC.T @ H_LM)[weights_C > 0.0] / weights_C[weights_C > 0.0, None]
    return means_CM


def _cap(caps_N: Array, k: int, step: float) -> float:
    """The first multiple of the step with more than k candidates; 1 where there is none below it."""
    for i in range(1, int(np.ceil(1.0 / step))):
        if (caps_N < i * step).sum() > k:
            return i * step
    return 1.0
