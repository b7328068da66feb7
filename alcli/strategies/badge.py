"""Uncertain and varied rows: k-means++ on loss gradients.

The gradient of the last layer's loss at the predicted label is long where the head is unsure. k-means++ draws
rows by the squared distance of their gradients to the nearest gradient drawn before, beginning with the
longest gradient. The gradient 0, of a row that the head is sure of, counts as drawn from the start.

Source: Ash et al. 2020, "Deep batch active learning by diverse, uncertain gradient lower bounds", Alg. 1. The
gradient is (p - e_argmax) (x) [h; 1], where h are the inputs of the last layer and 1 is for the bias; it is
kept as two factors. Where labels are numbers, the mean is the likeliest label, and its gradient is 0. A row's
gradient is then taken at one standard deviation of its label: sd(y) [h; 1] (last-layer gradients with
k-means++, Holzmueller et al. 2023). The gradient of a group is the sum of the gradients of its rows.
Deviation: the published draws leave out the gradient 0. Where the head is sure of nearly all rows, they draw
many of these for their distance to the others (docs/strategies.md has figures). Of numbers no row is sure, and
the draws are the published ones.
Cost: 2.5 N (C + M) flops per pick, M the width of the last layer (D in a linear head); memory 100 N bytes beside the
class probabilities and the features, which may lie in files, never N C M.
Passes: K / 13.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64
from alcli.engine.forecast import foretell
from alcli.numerics.block_array import mapped
from alcli.numerics.diversity.kmeanspp import k_means_pp
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows
from alcli.selection.order import finite32
from alcli.selection.parts import Parts
from alcli.selection.strategy import Selection, batch, pointwise
from alcli.selection.view import View


# The modulus: the score holds the distance to the nearest corner of the simplex, and |p - q|_2 <= l1 / sqrt 2.
@pointwise(
    needs=["hidden_sq_norm", "log_probs"],
    modulus=lambda l1_B, C, hidden_sq_norm_B: l1_B * np.sqrt(0.5 * (hidden_sq_norm_B + 1.0)),
)
def largest_gradient(hidden_sq_norm_B: Float64, log_probs_BC: Float64) -> Float64:
    """The norm of each row's gradient, float64 [B]; the first pick has the largest."""
    residuals_BC = residuals(log_probs_BC)
    return np.sqrt(np.vecdot(residuals_BC, residuals_BC) * (hidden_sq_norm_B + 1.0))


@batch(needs=["hidden", "label_variance"], random=True)
def of_numbers(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Pick k rows whose labels are numbers.

    Scores: the distance of a row's gradient at one standard deviation to the nearest picked gradient (the
    first: its norm).
    """
    parts = Parts.of(view)
    deviations_R1 = np.sqrt(parts.view.matrix("label_variance"))[:, None]
    largest = float(deviations_R1.max())
    H_RD = parts.stored("hidden")
    rows = parts.summed(Rows(Factor((deviations_R1 / largest).astype(np.float32)), Factor(H_RD, offset=1.0)))
    picks_K, distances_K = k_means_pp(rows, k, None, rng)
    return Selection(view.rows[picks_K], finite32(distances_K * largest))


@batch(needs=["hidden", "log_probs"], random=True, single=largest_gradient, numbers=of_numbers)
def badge(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Pick k rows by k-means++ on their gradients.

    Scores: the distance of a row's gradient to 0 or to the nearest picked gradient, whichever is nearer, when the
    row was drawn.
    """
    parts = Parts.of(view)
    a_RC, H_RD = mapped(parts.stored("log_probs"), residuals), parts.stored("hidden")
    # A product with 16 columns serves 13 picks or more.
    foretell(view.tell_cost, "badge", H_RD.shape, 16 * (1 + k / 13) * (1 + a_RC.shape[1] / H_RD.shape[1]), 16)
    rows = parts.summed(Rows(Factor(a_RC), Factor(H_RD, offset=1.0)))
    picks_K, distances_K = k_means_pp(rows, k, None, rng, from_zero=True)
    return Selection(view.rows[picks_K], finite32(distances_K))


def residuals(log_probs_NC: Array) -> Array:
    """The gradient p - e_argmax of the loss at the predicted label by the logits; shape and dtype are the input's."""
    p_NC = np.exp(log_probs_NC)
    top = np.arange(len(p_NC)), log_probs_NC.argmax(axis=1)
    # p - 1 from log p directly, for p so close to 1 that the difference would round to 0.
    p_NC[top] = np.expm1(log_probs_NC[top])
    return p_NC
