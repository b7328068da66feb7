"""One pass over a pool: where every item stands on the map, and what the head predicts for it.

Cost: the predictions of heads/_model.py for each row, and 2 D flops an item and axis.
Memory: 16 bytes an item, and a few blocks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Array, Float32, Floats, Int64
from alcli.data.head_file import HeadFile
from alcli.numerics.segments import segment_means, segment_mixtures
from alcli.remarks import Progress
from alcli.workflows.items import Items
from alcli.workflows.predict.columns import over_rows
from alcli.workflows.report.placing import PART, Axes, item_blocks


@dataclass(frozen=True)
class Survey:
    """The places and predictions of N items by number. xy_N2: float32, without meaning for items that are not placed.

    predicted_N: class numbers (int32), or numbers (float32). sure_N: the probability of the class, or the standard
    deviation of the number, float32. chosen: the items that were looked at.
    """

    xy_N2: Float32
    predicted_N: Array
    sure_N: Float32
    chosen: Int64


def survey(items: Items, head: HeadFile, chosen: Int64, axes: Axes | None, progress: Progress) -> Survey:
    """Predict the chosen items, and project them on the axes. axes: None places nothing."""
    n, model = len(items.ids), head.predicts
    xy_N2, sure_N = np.zeros((n, 2), np.float32), np.zeros(n, np.float32)
    predicted_N: Array = np.zeros(n, np.float32 if head.classes is None else np.int32)
    progress.start(len(chosen), "predict")
    for items_B, X_BD, X_RD, starts_B in item_blocks(items, chosen):
        if axes is not None:
            xy_N2[items_B] = axes.project(X_BD)
        if head.classes is None:
            of_rows = over_rows(model.mean, X_RD, 1), over_rows(model.label_variance, X_RD, 1)
            mean_B, variance_B = segment_mixtures(*of_rows, starts_B)
            predicted_N[items_B], sure_N[items_B] = mean_B, np.sqrt(variance_B)
        else:
            log_probs_BC = _log_probs(head, X_RD, starts_B)
            predicted_N[items_B], sure_N[items_B] = log_probs_BC.argmax(axis=1), np.exp(log_probs_BC.max(axis=1))
        progress.advance(len(items_B))
    return Survey(xy_N2, predicted_N, sure_N, chosen)


def _log_probs(head: HeadFile, X_RD: Floats, starts_B: Int64) -> Array:
    """Log class probabilities of the items whose rows these are; of a group the mean over its rows."""
    C = len(head.classes or ())

    def of_rows(X_BD: Floats) -> Array:
        return over_rows(head.predicts.predictive, X_BD, C)

    single = len(starts_B) == len(X_RD)
    return of_rows(X_RD) if single else segment_means(of_rows, X_RD, starts_B, logs=True, most=PART)
