"""Largest gradient of the predictive entropy by all parameters of the head.

No measure of uncertainty: the score is 0 at a certain prediction and at the uniform one; of two classes it is largest at p = 0.824. A head
that hardly knows its classes thus makes it prefer the surer rows: a note says so, and fallback=entropy takes the most uncertain
rows then. It grows with the length of the features, in a linear head in proportion to it: feature-norm=l2 takes that out.
Source: Gul, Elmahallawy, Madria & Tripathy 2024, "LPLgrad", eq. 8, without its branch; norm=sum is what its published code adds up.
Wang et al. 2022 ("expected gradient norm") differentiate sum_c p_c CE_c, which is the entropy.
Cost: one forward and one backward pass, 2 (D M + 2 M C) flops a row of a head with M hidden units, in closed form.
Passes: one over the ids, one over the rows; memory one number a row, none for features.
"""

from __future__ import annotations

import numpy as np

from alcli.numerics.entropy_gradient import FeatureNorm, Norm
from alcli.strategies._checks import Count
from alcli.strategies._contract import Selection, batch
from alcli.strategies._entropy_gradient import Fallback, longest_gradients
from alcli.strategies._view import View


@batch(needs=["features", "network", "log_probs", "row_key"], random=True)
def ent_gradnorm(
    view: View, k: int, *, rng: np.random.Generator, norm: Norm = "fro", feature_norm: FeatureNorm = "none", fallback: Fallback = "none",
    candidates: Count = 10_000,
) -> Selection:
    """Scores: the norm, or nats of entropy after the fall-back.

    norm: fro, over all parameters; sum of the norms of each weight matrix and bias; weights alone. feature_norm: l2, as if every row of
    features had length 1 (numerics/entropy_gradient.py). candidates: so many random rows are looked at. fallback: what to do when more
    than half of them are predicted nearly uniformly.
    """
    return longest_gradients(view, k, rng=rng, norm=norm, feature_norm=feature_norm, fallback=fallback, candidates=candidates)
