"""A diverse batch of the candidates that a method has left: one row for each cluster of them."""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.numerics.kmeans import central_rows
from alcli.numerics.unit_rows import unit_rows
from alcli.strategies._contract import Selection, finite32
from alcli.strategies._view import View


def central(view: View, places_M: Int64, k: int, rng: np.random.Generator, *, what: str) -> Selection:
    """The rows nearest to the centres of k clusters of the candidates at places_M, in length-one features; scores: rows in the cluster.

    Where there are fewer than k, all of them (score 1) and random others (score 0), and a note. what: how it calls them.
    """
    if len(places_M) >= k:
        picks_K, sizes_K = central_rows(unit_rows(view.matrix("features")[places_M]), k, rng)
        return Selection(view.rows[places_M[picks_K]], finite32(sizes_K))
    others = np.setdiff1d(np.arange(view.n), places_M)
    fill = rng.permutation(others)[: k - len(places_M)]
    scores_K: Float64 = np.repeat([1.0, 0.0], [len(places_M), len(fill)])
    note = f"only {len(places_M)} {what}; the other {len(fill)} picks are random rows"
    return Selection(view.rows[np.append(places_M, fill)], finite32(scores_K), notes=(note,))
