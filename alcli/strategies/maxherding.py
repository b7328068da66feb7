"""Greedy coverage under a Gaussian kernel: rows that the labelled and picked rows resemble least, where many rows are like them.

The kernel is exp(-|x - y|^2 / h^2) on features of length one; a row gains what it adds to the mean kernel of a row of the pool with its
nearest labelled or picked one. No label is looked at.

Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active learning" (MaxHerding).
Deviation: all candidates can be picked, and coverage is measured on `evaluation` random ones of them where there are more.
Cost: 2 N M D flops and N M exponentials, M = min(N, evaluation), then the few rows that lazy greedy search looks at again; without labels
about three times that. Memory: at most 256 MiB beside the features.
Passes: 1.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from alcli.numerics.herding import max_herding
from alcli.numerics.unit_rows import unit_rows
from alcli.strategies._checks import Count, at_least, positive
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._coverage import evaluation_places
from alcli.strategies._view import View


@batch(needs=["features", "labelled"])
def maxherding(view: View, k: int, *, rng: np.random.Generator, h: Annotated[float, positive] = 1.0, evaluation: Count = 5000) -> Selection:
    """Scores: the gain in coverage, which lies between 0 and 1. h: the radius of the kernel. evaluation: rows that coverage is measured on.

    Draws only where there are more candidates than `evaluation`.
    """
    positive(h=h)
    at_least(1, evaluation=evaluation)
    places_M, notes = evaluation_places(view, evaluation, rng)
    X_ND = unit_rows(view.matrix("features"))
    picks_K, gains_K = max_herding(X_ND, k, X_ND[places_M], unit_rows(view.labelled()), bandwidth=h)
    return Selection(view.rows[picks_K], finite32(gains_K), notes=notes)
