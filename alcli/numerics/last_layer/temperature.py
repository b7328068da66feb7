"""The temperature T at which predictions explain held-out labels best.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2. The loss of softmax(logits / T) is
convex in 1/T. The loss of other predictions can have several minima, so a scan comes first.
Cost: about 30 passes over [L, C]; with the scan 60.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float64
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.logistic import cross_entropy

# The range that is searched.
BOUNDS = (0.01, 100.0)
_SCANNED = 33  # temperatures of the scan, each 1.33 times the one before


def fit_temperature(logits_LC: Float64, y_L: Array, weights_L: Float64) -> float:
    """Minimise the weighted cross-entropy over T within `BOUNDS`; return T.

    Without the bounds, perfectly separated labels would give 0, and labels that contradict the logits infinity.
    """

    return _least(lambda t: cross_entropy(logits_LC / t, y_L, weights_L), *BOUNDS)


def best_temperature(loss: Callable[[float], float]) -> float:
    """Minimise `loss`, any continuous function of T, within `BOUNDS`; return T. It may miss a narrow minimum."""
    scanned = np.geomspace(*BOUNDS, _SCANNED)
    best = int(np.argmin([loss(float(t)) for t in scanned]))
    return _least(loss, scanned[max(best - 1, 0)], scanned[min(best + 1, _SCANNED - 1)])


def temperature_between(trained_NC: Array, calibrated_NC: Array) -> float:
    """The divisor of the logits that turns `trained_NC` into `calibrated_NC`: the ratio of the two spreads of logs."""
    squares = np.zeros(2)
    for i in range(0, len(trained_NC), BLOCK_ROWS):
        for which, log_probs_NC in enumerate((trained_NC, calibrated_NC)):
            block = log_probs_NC[i : i + BLOCK_ROWS].astype(np.float64)
            squares[which] += np.square(block - block.mean(axis=1, keepdims=True)).sum()
    return float(np.sqrt(squares[0] / squares[1])) if squares[1] > 0.0 else 1.0


def _least(loss: Callable[[float], float], lower: float, upper: float) -> float:
    # scipy.optimize takes a third of a second to load, and only a fit needs it.
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(
        lambda log_t: loss(float(np.exp(log_t))),
        bounds=(np.log(lower), np.log(upper)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return float(np.exp(found.x))
