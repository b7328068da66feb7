"""Rows farthest from all labelled and picked rows.

Greedy k-centre: each pick is the row of the largest distance to the nearest labelled or picked row. Without
labels the first pick is the row of largest norm.

Source: Sener & Savarese 2018, "Active learning for convolutional neural networks: a core-set approach", Alg.
1.
Cost: at most 2 N D (L + K) flops, in practice about half a GEMV pass per pick; O(N) memory beside the
features. Asked for one row at a time: a GEMV pass for each row that was labelled since.
Passes: at most L/32 + K.
"""

from __future__ import annotations

from alcli.arrays import Float64
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.rows import feature_rows
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch, pointwise
from alcli.selection.view import View


@pointwise(needs=["labelled_distance"])
def farthest(labelled_distance_B: Float64) -> Float64:
    """The distance to the nearest labelled row, float64 [B] (the norm without labels). The farthest row is first."""
    return labelled_distance_B


@batch(needs=["features", "labelled"], single=farthest)
def coreset(view: View, k: int) -> Selection:
    """Pick k rows by greedy k-centre.

    Scores: the distance to the nearest labelled or earlier row when picked (the first without labels: its
    norm).
    """
    rows, centres = feature_rows(view.stored("features"), view.labelled())
    picks_K, distances_K = k_center(rows, k, centres)
    return Selection(view.rows[picks_K], finite32(distances_K))
