"""Rows whose logits the posterior knows least; for regressions too, and the labels asked so far matter only by where they lie.

Source: MacKay 1992, "Information-based objective functions for active data selection", section 4; score phi^T covariance phi, mean over
classes where each has its own. Under a Gaussian likelihood of noise 1 the information gained is 1/2 log(1 + score): the same ranking.
Cost: that of the posterior's variance, 2 N D^2 flops for laplace; memory that of a block.
Passes: 1.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.selection.strategy import pointwise

_LARGEST = float(np.finfo(np.float32).max)  # what a score is stored as


@pointwise(needs=["logit_variance"])
def predictive_variance(variance_BC: Floats) -> Float64:
    """Posterior variance of the logits, mean over classes, float64 [B]."""
    out_B: Float64 = np.minimum(variance_BC.mean(axis=1), _LARGEST)
    return out_B
