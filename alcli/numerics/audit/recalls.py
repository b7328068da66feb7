"""The balanced accuracy over a pool, from an audit: the recall of each class, and the mean over the classes.

The recall of a class is a ratio of two sums over the audit, and its variance is that of as many rows of equal weight.
The interval holds every mean recall that the audit does not refute. Under such a mean the classes have the recalls that
were found, drawn towards each other and moved by the same log odds until their mean is it; so a class whose few rows
were all predicted right does not pass for known.

Source: Sarndal, Swensson & Wretman 1992, "Model assisted survey sampling", section 5.6 (ratios); Wilson 1927 (the
interval).
Cost: O(M), and O(C) a step, some 100 steps.
"""

from __future__ import annotations

import numpy as np
from scipy.special import expit, logit

from alcli.arrays import Array, Float64, Int64
from alcli.numerics.audit.sample import AuditSample
from alcli.numerics.audit.share import HIGHEST, Z95, crossing

# Audited rows that each class must have.
FEWEST = 5
# Rows of the mean recall that are added to each class.
_ADDED = 2.0


def too_rare(y_M: Int64, n_classes: int) -> int:
    """Return the number of classes that have fewer audited rows than a recall needs."""
    return int((np.bincount(y_M, minlength=n_classes) < FEWEST).sum())


def balanced_accuracy(
    right_M: Array, y_M: Int64, sample: AuditSample, n_classes: int, z: float = Z95
) -> tuple[float, tuple[float, float]]:
    """Return the mean recall over the classes and its interval of z standard errors. y_M: class numbers.

    Every class has a row at least.
    """
    shares_M = sample.shares_M
    total_C = np.bincount(y_M, shares_M, n_classes)
    recall_C = np.bincount(y_M, shares_M * right_M, n_classes) / total_C
    value = float(recall_C.mean())
    # 1 / the number of rows of equal weight that have the same variance; 0 in a sample that holds every row.
    spread_C = np.bincount(y_M, sample.left_M * shares_M**2, n_classes) / total_C**2
    if not spread_C.any():
        return value, (value, value)
    found_C = (recall_C + _ADDED * spread_C * _inside(value, len(y_M))) / (1.0 + _ADDED * spread_C)
    odds_C = logit(np.clip(found_C, 1e-6, 1.0 - 1e-6))

    def score(height: float) -> float:
        p_C = expit(odds_C + height)
        error = float((spread_C * p_C * (1.0 - p_C)).sum()) ** 0.5 / n_classes
        return (value - float(p_C.mean())) / max(error, 1e-300)

    low = _mean(odds_C, crossing(lambda t: score(t) - z))
    high = _mean(odds_C, crossing(lambda t: score(t) + z))
    return value, (min(low, value), max(high, value))


def _inside(share: float, n: int) -> float:
    """A share kept half a row away from 0 and 1."""
    return min(max(share, 0.5 / n), 1.0 - 0.5 / n)


def _mean(odds_C: Float64, height: float) -> float:
    """The mean recall at a height; 0 or 1 at the ends of the range."""
    if abs(height) >= HIGHEST:
        return float(height > 0.0)
    return float(expit(odds_C + height).mean())
