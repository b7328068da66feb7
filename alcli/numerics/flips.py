"""How far a linear classifier must be moved along one direction until it predicts another class.

Source: the closed form of ALFA-Mix (Parvaneh et al. 2022, "Active learning by feature mixing") for a linear last layer.
Cost: three products of 2 B M C flops; `least_caps` one more with the anchors.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Floats, with_bias
from alcli.numerics.blocks import BLOCK_ROWS, workers


def least_caps(W_CM1: Float64, H_BM: Floats, log_probs_BC: Floats, anchors_AM: Float64) -> Float64:
    """The share of the way to the farthest anchor at which each row changes its class, times sqrt(M), float64 [B]; inf where it never does."""
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
    """The unit gradient of the cross entropy at the predicted class by the inputs of the last layer, [B, M]; zeros where it vanishes."""
    residuals_BC = np.array(probs_BC, np.float64)
    residuals_BC[np.arange(len(residuals_BC)), residuals_BC.argmax(axis=1)] -= 1.0
    g_BM = residuals_BC @ W_CM
    lengths_B = np.linalg.norm(g_BM, axis=1, keepdims=True)
    out_BM: Float64 = np.divide(g_BM, lengths_B, out=np.zeros_like(g_BM), where=lengths_B > 0.0)
    return out_BM


def flip_distances(W_CM1: Float64, H_BM: Floats, directions_BM: Float64) -> Float64:
    """How far along its direction the predicted class of each row changes, float64 [B]; inf where it never does."""
    logits_BC = with_bias(H_BM) @ W_CM1.T
    rises_BC = directions_BM @ W_CM1[:, :-1].T
    rows_B, top_B = np.arange(len(H_BM)), logits_BC.argmax(axis=1)
    leads_BC = logits_BC[rows_B, top_B][:, None] - logits_BC
    gains_BC = rises_BC - rises_BC[rows_B, top_B][:, None]
    distances_BC = np.divide(leads_BC, gains_BC, out=np.full_like(leads_BC, np.inf), where=gains_BC > 0.0)
    out_B: Float64 = distances_BC.min(axis=1)
    return out_B


def _farthest(H_BM: Float64, anchors_AM: Float64) -> Float64:
    """The distance of each row to the farthest anchor; 0 without any."""
    sq_BA = np.square(H_BM).sum(axis=1)[:, None] + np.square(anchors_AM).sum(axis=1) - 2.0 * (H_BM @ anchors_AM.T)
    return np.sqrt(np.maximum(sq_BA.max(axis=1, initial=0.0), 0.0))  # type: ignore[no-any-return]
