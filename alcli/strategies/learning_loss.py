"""Largest loss as predicted by a branch beside the head.

The branch orders losses and knows no scale, so scores compare rows of one head only. A head without a branch
is refused.

Source: Yoo & Kweon 2019, "Learning loss for active learning", section 3; trained in heads/_pair_loss.py by
`fit-head --head mlp --aux-loss`.
Cost: one pass through the hidden layers and the branch, 2 (D M + M U) flops a row for one layer of M units
and U of the branch.
Passes: 1.
"""

from __future__ import annotations

from alcli.arrays import Float64
from alcli.selection.strategy import pointwise


@pointwise(needs=["predicted_loss"])
def learning_loss(predicted_loss_B: Float64) -> Float64:
    """The predicted loss itself, float64 [B]."""
    return predicted_loss_B
