"""The labels that a target takes, from a learning curve through audited rounds.

The share of errors falls as a power of the number of labels n: log error = a - b log n. Each round counts by the
standard error of its estimate. Where rounds scatter around the line by more than their errors explain, the uncertainty
grows with them. Draws of (a, b) give draws of the number of labels, and these the interval.

Source: Hestness et al. 2017, "Deep learning scaling is predictable, empirically" (the power law); Figueroa et al. 2012,
"Predicting sample size required for classification performance" (a weighted fit, extrapolated).
Cost: O(rounds + draws).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64

FEWEST_ROUNDS = 4
_DRAWS = 4000
_FEWEST_ERRORS = 1e-4  # a share of errors below is taken for this
_MOST = 1e9  # more labels than this are no number of labels


@dataclass(frozen=True)
class Projection:
    """labels: the number at which the curve is at the target; inf where it never gets there. low, high: of 95% of the
    curves that the rounds allow.
    """

    labels: float
    low: float
    high: float


def projected(labels_R: Float64, accuracy_R: Float64, error_R: Float64, target: float) -> Projection | None:
    """Return the labels to a target; None with fewer than FEWEST_ROUNDS rounds of different numbers of labels.

    error_R: standard errors of the accuracies. Deterministic.
    """
    if len(np.unique(labels_R)) < FEWEST_ROUNDS:
        return None
    wrong_R = np.maximum(1.0 - accuracy_R, _FEWEST_ERRORS)
    # The standard error of a logarithm; never below one error in a thousand rows.
    sd_R = np.maximum(error_R, 1e-3) / wrong_R
    line_R2 = np.column_stack([np.ones(len(labels_R)), np.log(labels_R)]) / sd_R[:, None]
    y_R = np.log(wrong_R) / sd_R
    at, *_ = np.linalg.lstsq(line_R2, y_R, rcond=None)
    scatter = float(((y_R - line_R2 @ at) ** 2).sum()) / (len(labels_R) - 2)
    covariance = np.linalg.inv(line_R2.T @ line_R2) * max(1.0, scatter)
    draws_S2 = np.random.default_rng(0).multivariate_normal(at, covariance, _DRAWS)
    low, high = np.quantile(_labels_at(np.asarray(draws_S2), target), [0.025, 0.975], method="nearest")
    return Projection(float(_labels_at(np.asarray(at[None], np.float64), target)[0]), float(low), float(high))


def _labels_at(lines_S2: Float64, target: float) -> Float64:
    """The number of labels at which each line is at the target; inf for a line that does not fall."""
    falls_S = lines_S2[:, 1] < 0.0
    power_S = np.where(falls_S, lines_S2[:, 1], -1.0)
    log_n_S = (np.log(max(1.0 - target, _FEWEST_ERRORS)) - lines_S2[:, 0]) / power_S
    return np.where(falls_S & (log_n_S < np.log(_MOST)), np.exp(np.minimum(log_n_S, 700.0)), np.inf)
