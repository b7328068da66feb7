"""Rows whose label would say most about the weights: draws of the posterior are each sure, and disagree.

Source: Houlsby et al. 2011, "Bayesian active learning for classification and preference learning", eq. 2; score
H(mean of P_s) - mean of H(P_s) over S joint draws, between 0 and log C.
Cost: 2 N D S C flops for the draws and about three passes over N S C numbers in a cache; memory that of a block.
Passes: 1.
"""

from __future__ import annotations

from alcli.arrays import Float64, Floats
from alcli.numerics.information.committee import information
from alcli.selection.strategy import pointwise


@pointwise(needs=["sample_log_probs"], samples=100)
def bald(log_probs_BSC: Floats) -> Float64:
    """Mutual information of label and weights in nats, float64 [B]."""
    return information(log_probs_BSC)
