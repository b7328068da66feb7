"""Greedy cover by balls: each pick is the row within whose radius lie most rows that are not covered yet.

Features are made of length one; balls around labelled rows are covered before the first pick; the radius is the largest at which the balls of
95 % of the rows are pure, that is hold one cluster of k-means alone, of as many clusters as the head has classes. Once all rows are covered,
the rest of the batch are random rows. No label is looked at.

Source: Yehuda, Dekel, Hacohen & Weinshall 2022, "Active learning through a covering lens" (ProbCover), Alg. 1, and its rule of purity.
Deviations: the radius is found exactly and not on a grid, from 2,000 random rows where there are more; while there is no head, `classes`
is the batch size; coverage is measured on `evaluation` random candidates where there are more (auto: all of 20,000 rows, else as many as cost
the same, at least 5,000). The published code leaves the balls of the last N mod 500 rows empty, and takes row 0 once nothing is left to
cover: these are not repeated.
Cost: 2 N M D flops, M = min(N, evaluation), half of that for M = N; those of k-means and of min(N, 2000) more columns unless `delta` is given.
Memory: 350 MiB at most beside the features: where there are more than 2^24 pairs, the radius is lowered, and a note says so.
Passes: 1.
"""

from __future__ import annotations

from functools import partial
from typing import Annotated

import numpy as np

from alcli.numerics.balls import Balls, are_within, pure_radius
from alcli.numerics.kmeans import k_means
from alcli.numerics.unit_rows import unit_rows
from alcli.strategies._checks import AutoOrCount, at_least, count_or, positive_where_given, share
from alcli.strategies._contract import Selection, batch, finite32
from alcli.strategies._coverage import at_places, evaluation_places
from alcli.strategies._view import View

_PURITY_ROWS = 2000
_WIDEST = 2.0  # no two rows of length one are farther apart


@batch(needs=["features", "labelled", "network"], random=True, cold=True)
def probcover(
    view: View, k: int, *, rng: np.random.Generator, delta: Annotated[float | None, positive_where_given] = None, purity: Annotated[float, share] = 0.95, classes: Annotated[int, partial(at_least, 0)] = 0,
    evaluation: AutoOrCount = "auto",
) -> Selection:
    """Scores: the share of the candidates that a pick was the first to cover, 0 for those that fill the batch.

    delta: the radius; none finds it by `purity`. classes: clusters of k-means, 0 for as many as the head has classes, or
    rows are asked for where there is none (at least 2).
    """
    at_least(0, classes=classes)
    count_or("auto", evaluation=evaluation)
    share(purity=purity)
    positive_where_given(delta=delta)
    X_ND = unit_rows(view.matrix("features"))
    places_M, notes = evaluation_places(view, evaluation, rng)
    if delta is None:
        labels_N = k_means(X_ND, min(max(classes or _known_classes(view) or k, 2), view.n), rng).labels_N
        sample_S = np.sort(rng.permutation(view.n)[:_PURITY_ROWS])
        delta = pure_radius(X_ND, labels_N, sample_S, purity)
    targets, delta = at_places(X_ND, places_M), min(delta, _WIDEST)
    balls = Balls(X_ND, targets, delta)
    if balls.radius < delta:
        notes += (f"the radius was lowered from {delta:.3g} to {balls.radius:.3g}, as more pairs of rows are near each other than fit in memory",)
    covered_M = are_within(targets, unit_rows(view.labelled()), balls.radius)
    picks, counts = balls.cover(k, covered_M)
    free = np.setdiff1d(np.arange(view.n), picks)
    fill = rng.permutation(free)[: k - len(picks)]
    if len(fill):
        notes += (f"the balls of {len(picks)} picks and the labelled rows cover all that balls can; the other {len(fill)} picks are random rows",)
    scores_K = np.append(counts / len(places_M), np.zeros(len(fill)))
    return Selection(view.rows[np.append(picks, fill)], finite32(scores_K), notes=notes, record={"radius": balls.radius})


def _known_classes(view: View) -> int:
    """How many classes the head has, 0 where there is no head or its labels are numbers."""
    return len(view.network().W_CD1) if view.has_head and not view.regression else 0
