"""Rows on whose class the fewest posterior draws agree.

The score is 1 - (number of draws that vote for the class with most votes) / S.

Source: Freeman 1965, "Elementary applied statistics"; as an acquisition in Gal, Islam & Ghahramani 2017,
"Deep Bayesian active learning with image data", section 4. Some call 1 - (largest mean probability) by this
name; that is least-confident, which looks at no votes. Scores are multiples of 1/S, so rows of equal score
are many; they are drawn as in qbc.
Cost: 2 N D S C flops for the draws and one pass over N S C numbers; memory that of a block.
Passes: 1.
"""

from __future__ import annotations

from alcli.arrays import Float64, Floats
from alcli.numerics.information.committee import votes
from alcli.selection.strategy import pointwise


@pointwise(needs=["sample_log_probs"], samples=100, ties_drawn=True)
def variation_ratio(log_probs_BSC: Floats) -> Float64:
    """The share of draws that do not vote for the class with most votes, float64 [B], between 0 and 1 - 1/C."""
    return 1.0 - votes(log_probs_BSC).max(axis=1) / log_probs_BSC.shape[1]
