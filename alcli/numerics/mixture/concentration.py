"""The concentration of the mixture: how much a cosine says about the class of a row.

Without labels it follows from the pool: the maximum likelihood of a von Mises-Fisher distribution of mean resultant
length R, R (d - R^2) / (1 - R^2), with the effective number of dimensions d in place of D. Rows of real features vary
in few of their dimensions, so D would make kappa 10 to 50 times too large. d is 1 over the mean squared cosine of two
rows. R is computed from the rows that the means were fitted to, so it is adjusted for the number of means, as R^2 of a
regression is. A share of the result is taken, because each row was compared with its nearest mean.
With labels, held-out rows say it: the scale at which the cosines of held-out labelled rows with the means, as logits,
make their labels most probable. The estimate without labels enters as a log-normal prior on the scale. Where rows of
a class do not gather around a mean, as in many tables, the scale is small, and the head built on the mixture stays near
the head without it.
Source: Banerjee et al., JMLR 2005, eq. 4.4; calibration after Guo et al., On Calibration of Modern Neural Networks,
2017 (temperature scaling); d after the participation ratio of a covariance.
Cost: S^2 D flops for d, and about 30 evaluations of a softmax over the held-out rows.
"""

from __future__ import annotations

import math

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.numerics.logistic import log_softmax

SHORTEST, LONGEST = 0.2, 0.999  # limits of the mean resultant length
_FARTHEST = 6.0  # the largest change of the logarithm of the scale
_PAIRS_OF = 1024  # rows that the mean squared cosine is computed from


def effective_dimensions(U_SD: Floats) -> float:
    """Return 1 over the mean squared cosine of two different rows of U_SD; 1 where there are no two rows."""
    U_SD = U_SD[:: max(1, -(-len(U_SD) // _PAIRS_OF))].astype(np.float64)
    n = len(U_SD)
    # The squares of all pairs add up to |U^T U|^2; those of a row with itself are 1, or 0 for a row of zeros.
    gram = U_SD.T @ U_SD if U_SD.shape[1] < n else U_SD @ U_SD.T
    squares = float(np.vdot(gram, gram)) - float((np.einsum("sd,sd->s", U_SD, U_SD) ** 2).sum())
    return n * (n - 1) / squares if squares > 0.0 else 1.0


def of_pool(length: float, dimensions: float, n_classes: int, n_rows: int, share: float) -> float:
    """Return the concentration for n_rows rows of mean cosine `length` with the nearest of n_classes means.

    share: the part of the maximum likelihood that is taken.
    """
    taken = min(n_classes / max(n_rows, 1), 0.99)
    square = min(max((length**2 - taken) / (1.0 - taken), SHORTEST**2), LONGEST**2)
    return share * math.sqrt(square) * max(dimensions - square, 0.1) / (1.0 - square)


def calibrated(cosines_HP: Float64, y_H: Array, expected: float, certainty: float) -> float:
    """Return the scale of the cosines of held-out rows that makes their classes y_H most probable.

    cosines_HP: -inf for a class that a row could not have. expected: the centre of the prior on the scale, which is
    also the answer without rows. certainty: 1 over the variance of that prior, on the logarithm of the scale.
    """
    if not len(y_H):
        return expected
    # Loaded late, as in numerics/last_layer/temperature.py.
    from scipy.optimize import minimize_scalar

    rows = np.arange(len(y_H))

    def loss(step: float) -> float:
        log_probs_HP = log_softmax(cosines_HP * (expected * math.exp(step)))
        return certainty * step * step / 2.0 - float(log_probs_HP[rows, y_H].sum())

    found = minimize_scalar(loss, bounds=(-_FARTHEST, _FARTHEST), method="bounded", options={"xatol": 1e-4})
    return expected * math.exp(float(found.x))
