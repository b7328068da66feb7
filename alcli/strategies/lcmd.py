"""The farthest row of the largest cluster, again and again.

LCMD: largest cluster, maximum distance. A row belongs to the cluster of its nearest labelled or picked row.
The size of a cluster is its sum of squared distances, so a lone outlier does not come first, as it does in
greedy k-centre. No label is looked at; without labels the first pick is the row of largest norm.

Source: Holzmueller, Zaverkin, Kaestner & Steinwart 2023, "A framework and benchmark for deep batch active
learning for regression", section 4.3 (LCMD-TP), on the features.
Cost: at most 2 N D flops for each labelled and each picked row, in practice a fraction, and a few passes over
N numbers; O(32 N) memory.
Passes: at most L/32 + K.
"""

from __future__ import annotations

from alcli.numerics.diversity.lcmd import lcmd as choose
from alcli.numerics.rows import feature_rows
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View


@batch(needs=["features", "labelled"])
def lcmd(view: View, k: int) -> Selection:
    """Pick k rows.

    Scores: the distance to the nearest labelled or earlier row when picked (the first without labels: its
    norm).
    """
    rows, centres = feature_rows(view.matrix("features"), view.labelled())
    picks_K, distances_K = choose(rows, k, centres)
    return Selection(view.rows[picks_K], finite32(distances_K))
