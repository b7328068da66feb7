"""As maxherding, but covering what the head is unsure of.

Coverage is that of `maxherding` with every row weighted by its uncertainty 1 - (p_1 - p_2), p at the
temperature of the head (`fit-head` finds it on held-out labels when asked to). Where labels are numbers, the
weight is the posterior variance of the prediction, relative to the largest. The weight of a group is the mean
of the weights of its rows.

Source: Bae, Oliveira & Sutherland 2025, "Uncertainty herding: one active learning method for all label
budgets" (UHerding).
Deviations: h is fixed at 1 unless asked for; the radius of the published rule, the smallest distance between
labelled rows, shrinks as labels come (docs/strategies.md compares the two rules). The temperature maximises
the likelihood of held-out labels in place of minimising their calibration error. Coverage is measured on
`evaluation` random candidates where there are more.
Cost: that of `maxherding`, and the head's predictions for M rows; radius=published also L^2 D flops.
Passes: 1. Features that lie in a file are read once more for each pick.

Options:
    radius: rule for the radius of the kernel.
        fixed: the radius `h`.
        published: the smallest distance between two labelled rows.
    h: radius of the kernel; with radius=published it serves while no two labelled rows differ.
    evaluation: number of random candidates that coverage is measured on; auto takes all of up to 20,000 candidates,
        or all of up to 50,000 with 300 labelled rows or more; of more candidates it takes as many as cost the same, at
        least 5,000.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.engine.forecast import foretell
from alcli.numerics.diversity.herding import columns_of_herding, herd_from, smallest_distance
from alcli.numerics.diversity.near_pairs import CHUNK
from alcli.numerics.rows import stored_unit_rows, unit_rows
from alcli.selection.conditions import given, where
from alcli.selection.options import AutoOrCount, count_or, kernel_radius
from alcli.selection.order import finite32
from alcli.selection.parts import Parts
from alcli.selection.strategy import Selection, batch
from alcli.selection.subsets import at_places, evaluation_places, kernels_in_reach
from alcli.selection.view import View
from alcli.strategies.margin import margin

Radius = Literal["fixed", "published"]
_FALLS_BACK = given(radius="fixed") | where(
    "while no two labelled rows differ",
    lambda now: not np.isfinite(smallest_distance(unit_rows(now.view.labelled()))),
)


@batch(needs=["features", "labelled", "logit_variance"])
def for_numbers(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    radius: Radius = "fixed",
    h: Annotated[float, kernel_radius, _FALLS_BACK] = 1.0,
    evaluation: AutoOrCount = "auto",
) -> Selection:
    """Pick k rows greedily, of numbers."""

    def unsure(places_M: Int64) -> Float64:
        variance_M = Parts.of(view).means_at(lambda v_B1: v_B1.astype(np.float64)[:, 0], "logit_variance", places_M)
        return variance_M / max(float(variance_M.max(initial=0.0)), np.finfo(np.float64).tiny)

    return _herded(view, k, rng, radius, h, evaluation, unsure)


@batch(needs=["features", "labelled", "log_probs"], numbers=for_numbers)
def uherding(
    view: View,
    k: int,
    *,
    rng: np.random.Generator,
    radius: Radius = "fixed",
    h: Annotated[float, kernel_radius, _FALLS_BACK] = 1.0,
    evaluation: AutoOrCount = "auto",
) -> Selection:
    """Pick k rows greedily. Scores: the gain in weighted coverage, between 0 and 1.

    Random numbers are drawn only where there are more candidates than `evaluation`.
    """

    def unsure(places_M: Int64) -> Float64:
        return Parts.of(view).means_at(lambda logs_BC: margin(logs_BC.astype(np.float64)), "log_probs", places_M)

    return _herded(view, k, rng, radius, h, evaluation, unsure)


def _herded(
    view: View,
    k: int,
    rng: np.random.Generator,
    radius: Radius,
    h: float,
    evaluation: AutoOrCount,
    unsure: Callable[[Int64], Float64],
) -> Selection:
    """Pick k rows; unsure: the weights of the candidates at M places, between 0 and 1."""
    kernel_radius(h=h)
    count_or("auto", evaluation=evaluation)
    labelled_LD = unit_rows(view.labelled())
    places_M, notes = evaluation_places(view, evaluation, rng, kernels_in_reach(len(labelled_LD)))
    columns = columns_of_herding(len(places_M), len(labelled_LD), k)
    foretell(view.tell_cost, "uherding", (view.n, view.dim), columns, CHUNK)
    X_ND = stored_unit_rows(view.stored("features"))
    if radius == "published":
        least = smallest_distance(labelled_LD)
        h = least if np.isfinite(least) else h
    weights_M = unsure(places_M)
    picks_K, gains_K, how = herd_from(X_ND, k, at_places(X_ND, places_M), labelled_LD, h, weights_M)
    return Selection(view.rows[picks_K], finite32(gains_K), notes=notes + how, record={"radius": h})
