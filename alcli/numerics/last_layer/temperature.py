"""The temperature T at which softmax(logits / T) explains held-out labels best.

Source: Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2. The loss is convex in 1/T.
Cost: about 30 passes over [L, C].
"""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize_scalar

from alcli.arrays import Array, Float64
from alcli.numerics.logistic import cross_entropy

# The range that is searched.
BOUNDS = (0.01, 100.0)


def fit_temperature(logits_LC: Float64, y_L: Array, weights_L: Float64) -> float:
    """Minimise the weighted cross-entropy over T within `BOUNDS`; return T.

    Without the bounds, perfectly separated labels would give 0, and labels that contradict the logits infinity.
    """

    def loss(log_t: float) -> float:
        return cross_entropy(logits_LC / np.exp(log_t), y_L, weights_L)

    found = minimize_scalar(loss, bounds=tuple(np.log(BOUNDS)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
