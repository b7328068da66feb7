"""Shortest distance to the nearest boundary between classes.

The distance is that of the inputs of the last layer. The boundary between classes a and b of a linear layer
is a plane, so the distance has a closed form: min_c (z_a - z_c) / |w_a - w_c|, where a is the predicted
class. In a head with hidden layers it is measured between the hidden layers and the last one.

Source: the linear case of Moosavi-Dezfooli, Fawzi & Frossard 2016, "DeepFool", section 2, as a distance to
boundaries for active learning.
Cost: one pass of the head and N C divisions; 2 C^2 D flops once. Memory: C^2 numbers and a block.
Passes: 1.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.errors import UsageError
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import Best
from alcli.selection.view import View


@batch(needs=["features", "network"], of_means=True)
def feature_margin(view: View, k: int) -> Selection:
    """Pick the k rows nearest to a boundary. Scores: minus the distance, 0 on a boundary.

    Raises UsageError for a regression.
    """
    head, best = view.network(), Best(k, view)
    if len(head.W_CD1) == 1:
        raise UsageError(
            "strategy 'feature-margin' looks at boundaries between classes, the labels are numbers",
            hint="use coreset or predictive-variance",
        )
    gaps_CC = class_gaps(head.W_CD1[:, :-1])
    for rows_B, X_BD in view.blocks("features"):
        best.take(rows_B, -boundary_distances(head.logits(X_BD), gaps_CC))
    return best.selection()


def class_gaps(W_CD: Float64) -> Float64:
    """The norm |w_a - w_b| for every two classes, [C, C].

    inf where the weights are equal, because there is no boundary between such classes.
    """
    gaps_CC = np.stack([np.linalg.norm(W_CD - w_D, axis=1) for w_D in W_CD])
    gaps_CC[gaps_CC == 0.0] = np.inf
    return gaps_CC


def boundary_distances(logits_BC: Float64, gaps_CC: Float64) -> Float64:
    """The distance to the nearest boundary of the predicted class, float64 [B].

    The largest float32 where there is no boundary.
    """
    rows_B, top_B = np.arange(len(logits_BC)), logits_BC.argmax(axis=1)
    leads_BC = logits_BC[rows_B, top_B][:, None] - logits_BC
    gaps_BC = gaps_CC[top_B]
    distances_BC = np.divide(
        leads_BC, gaps_BC, out=np.full(leads_BC.shape, float(np.finfo(np.float32).max)), where=np.isfinite(gaps_BC)
    )
    return np.minimum(distances_BC.min(axis=1), np.finfo(np.float32).max)
