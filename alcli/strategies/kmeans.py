"""The rows nearest to the centres of k-means clusters.

There are as many clusters as rows asked for.

Source: Zhdanov 2019, "Diverse mini-batch active learning", section 3 without its uncertainty weights.
Cost: k-means (about 10 iterations of 2 N D K flops) and one more pass of the same cost; memory O(32 N + K D).
Passes: about 11.
"""

from __future__ import annotations

import numpy as np

from alcli.numerics.diversity.kmeans import central_rows
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View


@batch(needs=["features"], random=True)
def kmeans(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Pick the rows nearest to k centres, in the order of their clusters' sizes, largest first.

    Scores: the number of rows in the cluster.
    """
    picks_K, sizes_K = central_rows(view.matrix("features"), k, rng)
    return Selection(view.rows[picks_K], finite32(sizes_K))
