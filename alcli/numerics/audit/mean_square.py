"""The mean squared error of a regression over a pool, from an audit, and its root.

The head's own variance of the label says where errors are large. A power of it, fitted to the audit, gives an expected
squared error e for every row. The estimate is the mean of e over the pool, times the factor by which the squared errors
of the audit exceed e. The interval is symmetric on the scale of logarithms. Squared errors have long tails, and an
audit that missed the worst rows looks exact. So the variance counts one row more, which nobody saw. It is as bad,
against what is expected of it, as rows beyond the worst row of the audit are on average, by a Pareto tail: x / (1 - t)
for the worst row x and the index t of the tail.

Source: Sarndal, Swensson & Wretman 1992, "Model assisted survey sampling", section 7.3 (ratio estimation); Hill 1975,
"A simple general approach to inference about the tail of a distribution" (the index). The row more is ours.
Cost: O(N + M log M).
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64
from alcli.numerics.audit.sample import AuditSample
from alcli.numerics.audit.share import Z95

# Prior standard deviation of the power, around 1, where the logarithm of a squared normal error scatters by _LOG_ERROR.
_POWER, _LOG_ERROR = 0.5, 2.2
# The tail are the worst fifth of the rows, and 5 rows at least. Its index is at most this: beyond 1 it has no mean.
_TAIL, _LEAST_TAIL, _LARGEST_INDEX = 0.2, 5, 2 / 3
_TINY = 1e-300


class MeanSquare:
    """The estimate of a mean squared error.

    errors_M: squared errors of the audited rows. expected_M, expected_N: the head's variance of the label at them, and
    over the pool; positive.
    """

    def __init__(self, errors_M: Float64, expected_M: Float64, sample: AuditSample, expected_N: Float64) -> None:
        power = _fitted_power(errors_M, expected_M, sample)
        e_M, self._mean = expected_M**power, float((expected_N**power).mean())
        level = float(sample.shares_M @ e_M)
        self._factor = float(sample.shares_M @ errors_M) / level
        residuals_M = errors_M - self._factor * e_M
        spread = sample.variance(residuals_M**2) * len(sample) / max(len(sample) - 1, 1)
        mean = float(sample.shares_M @ errors_M)
        unseen = _beyond(errors_M / e_M) * level / len(sample) if sample.left_M.any() else 0.0
        self._relative = (spread + unseen**2) ** 0.5 / mean if mean > 0.0 else 0.0

    @property
    def root(self) -> float:
        """The estimated root of the mean squared error."""
        return (self._factor * self._mean) ** 0.5

    def interval(self, z: float = Z95) -> tuple[float, float]:
        """The lowest and the highest root within z standard errors."""
        factor = float(np.exp(0.5 * z * self._relative))
        return self.root / factor, self.root * factor


def _beyond(ratios_M: Float64) -> float:
    """The mean of what exceeds the largest ratio, by the Pareto tail of the largest ones."""
    falling_M = np.maximum(np.sort(ratios_M)[::-1], _TINY)
    k = max(_LEAST_TAIL, int(_TAIL * len(falling_M)))
    if k >= len(falling_M):
        return float(falling_M[0]) / (1.0 - _LARGEST_INDEX)
    index = min(float(np.log(falling_M[:k] / falling_M[k]).mean()), _LARGEST_INDEX)
    return float(falling_M[0]) / (1.0 - index)


def _fitted_power(errors_M: Float64, expected_M: Float64, sample: AuditSample) -> float:
    """The power of the head's variance that squared errors follow: a ridge regression of logarithms, 0 to 2."""
    weights_M = sample.shares_M * len(sample)
    x_M, y_M = np.log(expected_M), np.log(np.maximum(errors_M, _TINY))
    x_M = x_M - float(sample.shares_M @ x_M)
    # The logarithm of a squared error has a long lower tail: what is far below the others says little.
    y_M = np.maximum(y_M, np.median(y_M) - 2 * _LOG_ERROR)
    pull = _LOG_ERROR**2 / _POWER**2
    return float(np.clip((pull + weights_M @ (x_M * y_M)) / (pull + weights_M @ x_M**2), 0.0, 2.0))
