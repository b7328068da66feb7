"""The rows nearest to the centres of as many clusters as rows are wanted.

Source: Zhdanov 2019, "Diverse mini-batch active learning", section 3 without its uncertainty weights.
Cost: k-means (about 10 iterations of 2 N D K flops) and one more pass of the same cost; memory O(32 N + K D).
Passes: about 11.
"""

from __future__ import annotations

import numpy as np

from alcli.numerics.kmeans import k_means, nearest_rows
from alcli.strategies._contract import Selection, batch
from alcli.strategies._view import View


@batch(needs=["features"], random=True)
def kmeans(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Picks in the order of their clusters' sizes, largest first. Scores: rows in the cluster."""
    X_ND = view.matrix("features")
    clusters = k_means(X_ND, k, rng)
    sizes_K = np.bincount(clusters.labels_N, minlength=k)
    order_K = np.argsort(-sizes_K, kind="stable")
    picks_K, _ = nearest_rows(X_ND, clusters.centres_KD, order_K)
    return Selection(view.rows[picks_K], sizes_K[order_K].astype(np.float32))
