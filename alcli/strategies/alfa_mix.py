"""Rows whose class changes when mixed with a class average.

One such row is picked from each of K clusters of such rows. A row h, the M inputs of the last layer, becomes
h + alpha o (a - h) for the mean a of each labelled class; o multiplies entry by entry. With the alpha of the
paper this is h + eps |a - h| g / |g|, where g is the gradient by h of the loss at the predicted class. That
alpha divides by a - h, which cancels: the length |a - h| alone remains, and only the farthest mean matters.
The last layer is linear, so the class changes where eps max_a |a - h| exceeds a distance in closed form
(`flip_distances`). eps = cap / sqrt(M). The cap rises in steps of `step` until more than K rows change their
class, or until it is 1.

Source: Parvaneh, Abbasnejad, Teney, Haffari, van den Hengel & Shi 2022, "Active learning by feature mixing";
steps of 0.03125 as in scripts for the published code.
Cost: 2 N M (3 C + A) flops, A classes with labels, then k-means on the rows that change their class; memory
that of a block beside the features.
Passes: 1.

Options:
    step: amount by which the cap on the mixing rises at a time; smaller steps find the least sufficient cap
        more exactly.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

import numpy as np

from alcli.arrays import Array, Float64, Floats, with_bias
from alcli.errors import UsageError
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.dropquery import central


@batch(
    needs=["features", "hidden", "trained_log_probs", "labelled", "labelled_targets", "network"],
    random=True,
    of_means=True,
)
def alfa_mix(view: View, k: int, *, rng: np.random.Generator, step: Annotated[float, _step] = 0.03125) -> Selection:
    """Pick one row of each of k clusters of the rows that change their class when mixed.

    Scores: the number of rows in the cluster of a pick. Raises DataError where the labels are not known.
    """
    _step(step=step)
    W_CM1, anchors_AM = np.asarray(view.network().W_CD1, np.float64), _class_means(view)
    caps_N = view.reduced(
        lambda H_BM, log_probs_BC: least_caps(W_CM1, H_BM, log_probs_BC, anchors_AM), "hidden", "trained_log_probs"
    )
    cap = _cap(caps_N, k, step)
    places_M = np.flatnonzero(caps_N < cap)
    chosen = central(view, places_M, k, rng, what="candidates change their class when mixed")
    return replace(chosen, record={"cap": cap, "candidates": len(places_M)})


def _step(**options: float) -> None:
    """Raise UsageError for an option that is no step of the cap."""
    for name, value in options.items():
        if not 0.001 <= value <= 1.0:
            raise UsageError(f"parameter '{name}' must be at least 0.001 and at most 1, got {value}")


def _class_means(view: View) -> Float64:
    """The mean inputs of the last layer over the labelled rows of each class that has labelled rows, [A, M]."""
    targets_LC = view.labelled_targets()
    weights_C = targets_LC.sum(axis=0)
    if not len(targets_LC):
        return np.empty((0, view.network().W_CD1.shape[1] - 1))
    H_LM = view.evaluate("hidden", view.labelled()).astype(np.float64)
    return (targets_LC.T @ H_LM)[weights_C > 0.0] / weights_C[weights_C > 0.0, None]


def _cap(caps_N: Array, k: int, step: float) -> float:
    """The first multiple of the step below which more than k rows change their class; 1 where there is none below 1."""
    for i in range(1, int(np.ceil(1.0 / step))):
        if (caps_N < i * step).sum() > k:
            return i * step
    return 1.0


def least_caps(W_CM1: Float64, H_BM: Floats, log_probs_BC: Floats, anchors_AM: Float64) -> Float64:
    """The least cap at which each row changes its class, float64 [B]; inf for a row that never does.

    It is sqrt(M) times the share of the way to the farthest anchor.
    Cost: three products of 2 B M C flops, and one of 2 B M A flops with the anchors.
    """
    caps_B, root = np.full(len(H_BM), np.inf), np.sqrt(H_BM.shape[1])

    def work(first: int, last: int) -> None:
        for a in range(first, last, BLOCK_ROWS):
            part = slice(a, min(a + BLOCK_ROWS, last))
            flips_B = flip_distances(W_CM1, H_BM[part], loss_directions(W_CM1[:, :-1], np.exp(log_probs_BC[part])))
            reach_B = _farthest(H_BM[part].astype(np.float64), anchors_AM)
            np.divide(flips_B * root, reach_B, out=caps_B[part], where=reach_B > 0.0)

    with workers() as spread:
        spread(len(H_BM), work)
    return caps_B


def loss_directions(W_CM: Float64, probs_BC: Floats) -> Float64:
    """The unit gradient of the cross entropy at the predicted class by the inputs of the last layer, [B, M].

    Zeros where the gradient vanishes.
    """
    residuals_BC = np.array(probs_BC, np.float64)
    residuals_BC[np.arange(len(residuals_BC)), residuals_BC.argmax(axis=1)] -= 1.0
    g_BM = residuals_BC @ W_CM
    lengths_B = np.linalg.norm(g_BM, axis=1, keepdims=True)
    return np.divide(g_BM, lengths_B, out=np.zeros_like(g_BM), where=lengths_B > 0.0)


def flip_distances(W_CM1: Float64, H_BM: Floats, directions_BM: Float64) -> Float64:
    """The distance along its direction at which each row's predicted class changes, float64 [B]; inf for never."""
    logits_BC = with_bias(H_BM) @ W_CM1.T
    rises_BC = directions_BM @ W_CM1[:, :-1].T
    rows_B, top_B = np.arange(len(H_BM)), logits_BC.argmax(axis=1)
    leads_BC = logits_BC[rows_B, top_B][:, None] - logits_BC
    gains_BC = rises_BC - rises_BC[rows_B, top_B][:, None]
    distances_BC = np.divide(leads_BC, gains_BC, out=np.full_like(leads_BC, np.inf), where=gains_BC > 0.0)
    return distances_BC.min(axis=1)


def _farthest(H_BM: Float64, anchors_AM: Float64) -> Float64:
    """The distance of each row to the farthest anchor, [B]; 0 without anchors."""
    sq_BA = np.square(H_BM).sum(axis=1)[:, None] + np.square(anchors_AM).sum(axis=1) - 2.0 * (H_BM @ anchors_AM.T)
    return np.sqrt(np.maximum(sq_BA.max(axis=1, initial=0.0), 0.0))
