"""Rows like many others that no labelled row resembles yet.

Greedy coverage under the Gaussian kernel exp(-|x - y|^2 / h^2) of features of length one. Coverage is the
mean, over the rows of the pool, of the kernel of a row with its nearest labelled or picked row. Each pick
adds most to the coverage. No label is looked at.

Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active learning"
(MaxHerding).
Deviation: all candidates can be picked, but coverage is measured on `evaluation` random candidates where
there are more.
Cost: 2 N M D flops, M = min(N, evaluation), half of that for M = N, and an exponential for each pair whose
kernel adds to the coverage; about five times that without labels, as the first picks change all gains.
Memory: at most 200 MiB beside the features for 50,000 rows; of more rows 50 bytes each. Features in a file are read
block by block, and whole only where coverage is measured on all candidates.
Passes: 1. Features that lie in a file are read once more for each pick.

Options:
    h: radius of the kernel; a larger radius lets each row cover rows farther away.
    evaluation: number of random candidates that coverage is measured on; auto takes all of up to 20,000 candidates,
        or all of up to 50,000 with 300 labelled rows or more; of more candidates it takes as many as cost the same, at
        least 5,000.
"""

from __future__ import annotations

from typing import Annotated

import numpy as np

from alcli.engine.forecast import foretell
from alcli.numerics.diversity.herding import columns_of_herding, herd_from
from alcli.numerics.diversity.near_pairs import CHUNK
from alcli.numerics.rows import stored_unit_rows, unit_rows
from alcli.selection.options import AutoOrCount, count_or, kernel_radius
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import at_places, evaluation_places, kernels_in_reach
from alcli.selection.view import View


@batch(needs=["features", "labelled"])
def maxherding(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    h: Annotated[float, kernel_radius] = 1.0,
    evaluation: AutoOrCount = "auto",
) -> Selection:
    """Pick k rows greedily. Scores: the gain in coverage, between 0 and 1.

    Random numbers are drawn only where there are more candidates than `evaluation`.
    """
    kernel_radius(h=h)
    count_or("auto", evaluation=evaluation)
    labelled_LD = unit_rows(view.labelled())
    places_M, notes = evaluation_places(view, evaluation, rng, kernels_in_reach(len(labelled_LD)))
    columns = columns_of_herding(len(places_M), len(labelled_LD), k)
    foretell(view.tell_cost, "maxherding", (view.n, view.dim), columns, CHUNK)
    X_ND = stored_unit_rows(view.stored("features"))
    picks_K, gains_K, how = herd_from(X_ND, k, at_places(X_ND, places_M), labelled_LD, h)
    return Selection(view.rows[picks_K], finite32(gains_K), notes=notes + how)
