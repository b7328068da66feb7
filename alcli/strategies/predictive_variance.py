"""Largest posterior variance of the head's outputs.

It serves regressions too. There the values of the labels matter only by the fitted noise and prior precision.

Source: MacKay 1992, "Information-based objective functions for active data selection", section 4; score phi^T
covariance phi for phi = [h; 1], mean over classes where each class has its own covariance. Under a Gaussian
likelihood of noise 1 the information gained is 1/2 log(1 + score): the same ranking.
Cost: that of the posterior's variance, 2 N D^2 flops for laplace; memory that of a block.
Passes: 1.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.selection.strategy import pointwise

# Scores are stored as float32.
_LARGEST = float(np.finfo(np.float32).max)


@pointwise(needs=["logit_variance"])
def predictive_variance(variance_BC: Floats) -> Float64:
    """The posterior variance of the logits, mean over classes, float64 [B]."""
    return np.minimum(variance_BC.mean(axis=1), _LARGEST)
