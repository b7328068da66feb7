"""Diverse gradients of the last layer: k-means++ seeding on the loss gradients at the predicted labels.

Source: Ash et al. 2020, "Deep batch active learning by diverse, uncertain gradient lower bounds", Alg. 1; embedding
(p - e_argmax) (x) [h; 1], h the inputs of the last layer, bias included, kept as two factors. The first pick is the largest gradient;
draws by squared distance. Where labels are numbers no label stands out as the likeliest guess but the mean, whose gradient is 0; a row's
gradient is then taken at one standard deviation of its label, sd(y) [h; 1] (last-layer gradients with k-means++, Holzmueller et al. 2023).
Cost: 2 N (C + M) flops per pick, M the width of the last layer (D in a linear head); memory N (C + M), never N C M.
Passes: K.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64
from alcli.numerics.diversity.kmeanspp import k_means_pp
from alcli.numerics.rows import Factor, Rows
from alcli.selection.order import finite32
from alcli.selection.strategy import Selection, batch, pointwise
from alcli.selection.view import View


# The modulus: the score holds the distance to the nearest corner of the simplex, and |p - q|_2 <= l1 / sqrt 2.
@pointwise(needs=["hidden_sq_norm", "log_probs"], modulus=lambda l1_B, C, hidden_sq_norm_B: l1_B * np.sqrt(0.5 * (hidden_sq_norm_B + 1.0)))
def largest_gradient(hidden_sq_norm_B: Float64, log_probs_BC: Float64) -> Float64:
    """The norm of each row's gradient, float64 [B]: the first pick is the largest."""
    residuals_BC = residuals(log_probs_BC)
    out_B: Float64 = np.sqrt(np.vecdot(residuals_BC, residuals_BC) * (hidden_sq_norm_B + 1.0))
    return out_B


@batch(needs=["hidden", "label_variance"], random=True)
def of_numbers(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Scores: distance between a row's gradient at one standard deviation and the nearest picked one (the first: its norm)."""
    deviations_N1 = np.sqrt(view.matrix("label_variance"))[:, None]
    largest = float(deviations_N1.max())
    rows = Rows(Factor((deviations_N1 / largest).astype(np.float32)), Factor(view.matrix("hidden"), offset=1.0))
    picks_K, distances_K = k_means_pp(rows, k, int(rows.sq_norms.argmax()), rng)
    return Selection(view.rows[picks_K], finite32(distances_K * largest))


@batch(needs=["hidden", "log_probs"], random=True, single=largest_gradient, numbers=of_numbers)
def badge(view: View, k: int, *, rng: np.random.Generator) -> Selection:
    """Scores: distance between a row's gradient and the nearest picked one (the first: its norm)."""
    rows = Rows(Factor(residuals(view.matrix("log_probs"))), Factor(view.matrix("hidden"), offset=1.0))
    picks_K, distances_K = k_means_pp(rows, k, int(rows.sq_norms.argmax()), rng)
    return Selection(view.rows[picks_K], finite32(distances_K))


def residuals(log_probs_NC: Array) -> Array:
    """p - e_argmax, shape and dtype of the input: the gradient of the loss at the predicted label by the logits."""
    p_NC = np.exp(log_probs_NC)
    top = np.arange(len(p_NC)), log_probs_NC.argmax(axis=1)
    # p - 1 from log p directly, for p so close to 1 that the difference would round to 0.
    p_NC[top] = np.expm1(log_probs_NC[top])
    return p_NC
