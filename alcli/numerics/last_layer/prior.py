"""The Gaussian prior of a last layer: `prior_precision` for the weights, and a weak prior for the bias.

A bias that is shrunk like a weight ties the predictions to the zero of the labels, or to equal shares of the classes.
Under squared loss the prior of the bias is flat, as in ordinary ridge regression with an intercept. So adding a number
to all labels adds it to all predictions. Under a softmax a flat prior would send the bias of a class without labels to
minus infinity. There the bias has a standard deviation of 3.2, in units of logits, whatever the scale of the features.

Source: Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, section 3.4.1 (the intercept is left out of
the penalty).
Cost: nothing that counts.
"""

from __future__ import annotations

from typing import Literal

import numpy as np

from alcli.arrays import Float64

SOFTMAX_BIAS_PRECISION = 0.1


def bias_precision(link: Literal["softmax", "identity"]) -> float:
    """The prior precision of the bias: 0, a flat prior, under squared loss."""
    return SOFTMAX_BIAS_PRECISION if link == "softmax" else 0.0


def prior_diagonal(prior_precision: float, D1: int, link: Literal["softmax", "identity"]) -> Float64:
    """The prior precision of each weight of one class, the bias last, float64 [D1]."""
    prior_D1 = np.full(D1, float(prior_precision))
    prior_D1[-1] = bias_precision(link)
    return prior_D1


def bias_column(prior_precision: float) -> float:
    """The value s of the bias column at which one precision for all weights is the prior of a softmax.

    The weight of a column of s is the bias divided by s, so it has s^2 times the precision of the bias.
    """
    return float(np.sqrt(prior_precision / SOFTMAX_BIAS_PRECISION))
