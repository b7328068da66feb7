"""Rows whose label is expected to push the model hardest.

The push is the length of the gradient of the loss by the last layer, expected over the labels that the head
predicts.

Source: Settles, Craven & Ray 2008, "Multiple-instance active learning", section 4.1. For a softmax layer the
length factorises: sum_y p_y |p - e_y| |[h; 1]|. Where labels are numbers, the loss is squared and the label
normal: E|y - f(x)| |[h; 1]|.
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
    """The expected gradient length for labels that are numbers, float64 [B].

    The mean distance of a normal variable to its mean is sqrt(2 / pi) times its standard deviation.
    """
    return np.sqrt(2.0 / np.pi * label_variance_B) * np.sqrt(hidden_sq_norm_B + 1.0)


# The modulus: half of l1 moves among distances between 0 and sqrt 2, and every distance moves by
# |p - q|_2 <= l1 / sqrt 2 at most.
@pointwise(
    needs=["hidden_sq_norm", "log_probs"],
    numbers=of_numbers,
    modulus=lambda l1_B, C, hidden_sq_norm_B: l1_B * np.sqrt(2.0 * (hidden_sq_norm_B + 1.0)),
)
def egl(hidden_sq_norm_B: Float64, log_probs_BC: Float64) -> Float64:
    """The expected gradient length, float64 [B]."""
    return np.sqrt(hidden_sq_norm_B + 1.0) * expected_distance(log_probs_BC)
