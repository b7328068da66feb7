"""Greedy coverage under a Gaussian kernel: rows that the labelled and picked rows resemble least, where many rows are like them.

The kernel is exp(-|x - y|^2 / h^2) on features of length one; a row gains what it adds to the mean kernel of a row of the pool with its
nearest labelled or picked one. No label is looked at.

Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active learning" (MaxHerding).
Deviation: all candidates can be picked, and coverage is measured on `evaluation` random ones of them where there are more. auto: all of
20,000 rows, from 300 labelled rows on all of 50,000, else as many as cost the same, at least 5,000.
Cost: 2 N M D flops, M = min(N, evaluation), half of that for M = N, and an exponential for each pair whose kernel adds to the coverage;
about five times that without labels, as the first picks change all gains. Memory: at most 200 MiB beside the features for 50,000 rows.
Passes: 1.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from alcli.numerics.diversity.herding import max_herding
from alcli.numerics.rows import unit_rows
from alcli.selection.options import AutoOrCount, count_or, kernel_radius
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import at_places, evaluation_places, kernels_in_reach
from alcli.selection.view import View


@batch(needs=["features", "labelled"])
def maxherding(
    view: View, k: int, *, rng: np.random.Generator, h: Annotated[float, kernel_radius] = 1.0, evaluation: AutoOrCount = "auto",
) -> Selection:
    """Scores: the gain in coverage, which lies between 0 and 1. h: the radius of the kernel. evaluation: rows that coverage is measured on.

    Draws only where there are more candidates than `evaluation`.
    """
    kernel_radius(h=h)
    count_or("auto", evaluation=evaluation)
    labelled_LD = unit_rows(view.labelled())
    places_M, notes = evaluation_places(view, evaluation, rng, kernels_in_reach(len(labelled_LD)))
    X_ND = unit_rows(view.matrix("features"))
    picks_K, gains_K = max_herding(X_ND, k, at_places(X_ND, places_M), labelled_LD, bandwidth=h)
    return Selection(view.rows[picks_K], finite32(gains_K), notes=notes)
