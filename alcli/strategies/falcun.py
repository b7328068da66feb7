"""Uncertain rows whose predictions differ from each other.

Rows are drawn with probability proportional to relevance^gamma. The relevance of a row is its uncertainty,
1 - (p_1 - p_2), plus its distance to the nearest drawn row. Distances are city-block distances of class
probabilities; they start as the uncertainty, and form=paper scales them to [0, 1] over the rows that are not
drawn yet.

Source: Gilhuber, Beer, Ma & Seidl 2024, "FALCUN: a simple and efficient deep active learning strategy".
form=official is the default of the published code.
Cost: 3 N C flops and a few passes over N numbers a pick; memory N C numbers. The head alone looks at
features.
Passes: 1.

Options:
    gamma: exponent of the relevance; a larger number prefers relevant rows more strongly.
    form: the relevance of a row.
        paper: the uncertainty plus the scaled distance.
        official: the distance alone, unscaled.
"""

from __future__ import annotations

from typing import Annotated, Literal

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.diversity.kmeanspp import draw
from alcli.selection.options import positive
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch
from alcli.selection.view import View
from alcli.strategies.margin import margin

Form = Literal["paper", "official"]


@batch(needs=["log_probs"], random=True, of_means=True)
def falcun(
    view: View, k: int, *, rng: np.random.Generator, gamma: Annotated[float, positive] = 10.0, form: Form = "paper"
) -> Selection:
    """Draw k rows. Scores: the relevance of a row when it was drawn, at most 2."""
    positive(gamma=gamma)
    log_probs_NC = view.matrix("log_probs")
    picks_K, relevance_K = falcun_draws(
        np.exp(log_probs_NC), margin(log_probs_NC).astype(np.float64), k, rng, gamma=gamma, form=form
    )
    return Selection(view.rows[picks_K], finite32(relevance_K))


def falcun_draws(
    probs_NC: Floats, uncertainty_N: Float64, k: int, rng: np.random.Generator, *, gamma: float, form: Form
) -> tuple[Int64, Float64]:
    """Draw k <= N rows with probability proportional to relevance^gamma.

    Where the relevance of all rows is 0, each free row has the same chance. Returns picks int64 [k] and their
    relevance when they were drawn. Memory: O(N) beside the probabilities.
    """
    picks, scores = np.empty(k, np.int64), np.empty(k)
    is_free, distances_N = np.ones(len(probs_NC), bool), uncertainty_N.copy()
    with workers() as spread:
        for t, uniform in enumerate(rng.random(k)):
            relevance_N = relevances(uncertainty_N, distances_N, is_free, form)
            most = relevance_N.max()
            weights_N = (relevance_N / most) ** gamma if most > 0.0 else is_free.astype(np.float64)
            i = int(draw(weights_N, np.array([uniform]))[0])
            picks[t], scores[t], is_free[i] = i, relevance_N[i], False
            _lower(distances_N, probs_NC, i, spread)
    return picks, scores


def relevances(uncertainty_N: Float64, distances_N: Float64, is_free: Array, form: Form) -> Float64:
    """The relevance of each row, float64 [N]; 0 for rows that are not free. form: the option of `falcun`."""
    if form == "official":
        return np.where(is_free, distances_N, 0.0)
    free_F = distances_N[is_free]
    least, most = free_F.min(), free_F.max()
    scaled_N = (distances_N - least) / (most - least) if most > least else np.zeros(len(distances_N))
    return np.where(is_free, uncertainty_N + scaled_N, 0.0)


def _lower(distances_N: Float64, probs_NC: Floats, i: int, spread: Spread) -> None:
    """Lower each distance to the distance to row i where the latter is less."""
    # Row i is repeated, because NumPy subtracts one run of B C numbers twice as fast as B runs of C.
    repeated_BC = np.tile(probs_NC[i], (min(BLOCK_ROWS, len(probs_NC)), 1))
    ones_C = np.ones_like(probs_NC[i])

    def work(first: int, last: int) -> None:
        kept_BC = np.empty_like(repeated_BC)
        for a in range(first, last, BLOCK_ROWS):
            part = slice(a, min(a + BLOCK_ROWS, last))
            gaps_BC = np.subtract(probs_NC[part], repeated_BC[: part.stop - a], out=kept_BC[: part.stop - a])
            np.abs(gaps_BC, out=gaps_BC)
            np.minimum(distances_N[part], gaps_BC @ ones_C, out=distances_N[part])

    spread(len(distances_N), work)
