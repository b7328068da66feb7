"""Rows on which plausible models are each sure but disagree.

The models are draws of the posterior. The score is the mutual information of a row's label and the weights:
how much the label is expected to say about the weights.

Source: Houlsby et al. 2011, "Bayesian active learning for classification and preference learning", eq. 2;
score H(mean of P_s) - mean of H(P_s) over S joint draws, between 0 and log C.
Cost: 2 N D S C flops for the draws and about three passes over N S C numbers in a cache; memory that of a
block.
Passes: 1.
"""

from __future__ import annotations

from alcli.arrays import Float64, Floats
from alcli.numerics.information.committee import information
from alcli.selection.strategy import pointwise


@pointwise(needs=["sample_log_probs"], samples=100)
def bald(log_probs_BSC: Floats) -> Float64:
    """The mutual information of label and weights in nats, float64 [B]."""
    return information(log_probs_BSC)
