"""Expected gradient length: how long the loss gradient of the last layer will be, the label drawn from the predicted probabilities.

Source: Settles, Craven & Ray 2008, "Multiple-instance active learning", section 4.1; for a softmax layer the length factorises,
sum_y p_y |p - e_y| |[h; 1]|. Where labels are numbers the loss is squared and the label normal: E|y - f(x)| |[h; 1]|.
Cost: O(N (C + D)); memory of one block.
Passes: 1.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.numerics.gradients.gradient_rows import expected_distance
from alcli.selection.strategy import pointwise


@pointwise(needs=["hidden_sq_norm", "label_variance"])
def of_numbers(hidden_sq_norm_B: Float64, label_variance_B: Float64) -> Float64:
    """The expected length for a label that is a number, float64 [B]: a normal variable is sqrt(2 / pi) of its deviation from its mean."""
    return np.sqrt(2.0 / np.pi * label_variance_B) * np.sqrt(hidden_sq_norm_B + 1.0)


# Half of l1 moves among distances between 0 and sqrt 2, and every distance moves by |p - q|_2 <= l1 / sqrt 2 at most.
@pointwise(
    needs=["hidden_sq_norm", "log_probs"],
    numbers=of_numbers,
    modulus=lambda l1_B, C, hidden_sq_norm_B: l1_B * np.sqrt(2.0 * (hidden_sq_norm_B + 1.0)),
)
def egl(hidden_sq_norm_B: Float64, log_probs_BC: Float64) -> Float64:
    """The expected length, float64 [B]."""
    out_B: Float64 = np.sqrt(hidden_sq_norm_B + 1.0) * expected_distance(log_probs_BC)
    return out_B
