"""Rows whose probabilities vary most between plausible models.

The models are draws of the posterior. The score is the mean over classes of the standard deviation (of the
population) of the class probability over S joint draws.

Source: Kampffmeyer, Salberg & Jenssen 2016, "Semantic segmentation of small objects and modeling of
uncertainty in urban remote sensing images"; as an acquisition in Gal, Islam & Ghahramani 2017, "Deep Bayesian
active learning with image data", section 4.
Cost: 2 N D S C flops for the draws and about three passes over N S C numbers in a cache; memory that of a
block.
Passes: 1.
"""

from __future__ import annotations

from alcli.arrays import Float64, Floats
from alcli.numerics.information.committee import deviation
from alcli.selection.strategy import pointwise


@pointwise(needs=["sample_log_probs"], samples=100)
def mean_std(log_probs_BSC: Floats) -> Float64:
    """The mean standard deviation of the class probabilities, float64 [B], between 0 and 1/2."""
    return deviation(log_probs_BSC)
