"""The share of rows of a pool that have a property, such as being predicted right, from an audit.

Predictors of the property are known for every row: the log odds of the confidence, and the agreement with neighbours.
A logistic curve through the audit says how likely a row has the property: p = sigma(t + b x). The estimate is the mean
of p over the pool at the height t at which p and the audit agree. So the audit corrects the predictors, and they take
away the chance of which rows were drawn.
The interval holds every height that the audit does not refute: at which the audit's mean of (property - p) is within z
standard errors of 0, and the standard errors are those of that height. It is a score interval, which Wilson's is where
all rows are alike. It stays inside 0 and 1, and is right near them, where an interval around the estimate is not.

Source: Lehtonen & Veijanen 1998, "Logistic generalized regression estimators" (the estimate); Wilson 1927, "Probable
inference, the law of succession, and statistical inference" (the interval); Kossen et al. 2021, "Active testing:
sample-efficient model evaluation", Zrnic & Candes 2024, "Active statistical inference" (labels drawn by confidence).
Cost: one sort of N numbers, and O(M + bins) a step, some 100 steps. Memory: O(N) while the pool is put into bins.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from scipy.special import expit, logit

from alcli.arrays import Array, Float64
from alcli.numerics.audit.sample import AuditSample

Z95 = 1.959963984540054
_BINS = 256
HIGHEST = 60.0  # log odds; the sigmoid of more is 1
_SURE = 1e-4  # a confidence nearer to 0 or 1 counts as this near
# Prior standard deviation of the height of the curve while its slopes are fitted.
_HEIGHT = 5.0


def log_odds(confidence_N: Float64) -> Float64:
    """Return log(c / (1 - c)) of a confidence, which is kept away from 0 and 1."""
    return np.asarray(logit(np.clip(confidence_N, _SURE, 1.0 - _SURE)))


@dataclass(frozen=True)
class Slopes:
    """The slopes of F predictors before there are labels: their means, and standard deviations."""

    mean_F: tuple[float, ...]
    spread_F: tuple[float, ...]


# Of (log odds of the confidence, agreement): of "predicted right", near what benchmarks/study_audit.py finds, and of a
# property that neither was made for.
OF_CORRECTNESS = Slopes((0.6, 4.5), (2.0, 8.0))
OF_ANYTHING = Slopes((0.0, 0.0), (0.5, 3.0))


@dataclass(frozen=True)
class Binned:
    """A predictor over the pool, in bins of about equally many rows. means_B: of the bins. shares_B: with sum 1."""

    means_B: Float64
    shares_B: Float64

    @classmethod
    def of(cls, x_N: Float64, weights_N: Float64 | None = None) -> Binned:
        """Sort the values into bins. weights_N: positive; how much each row counts."""
        edges = np.linspace(0, len(x_N), min(_BINS, len(x_N)) + 1).astype(np.int64)
        if weights_N is None:
            sums_B, sizes_B = np.add.reduceat(np.sort(x_N), edges[:-1]), np.diff(edges)
            return cls(sums_B / sizes_B, sizes_B / len(x_N))
        order = np.argsort(x_N, kind="stable")
        sizes_B = np.add.reduceat(weights_N[order], edges[:-1])
        sums_B = np.add.reduceat((x_N * weights_N)[order], edges[:-1])
        return cls(sums_B / sizes_B, sizes_B / sizes_B.sum())


class Share:
    """The estimate of a share.

    has_M: 1 where an audited row has the property, else 0. x_MF: the predictors of the audited rows. x_NF: the
    predictors over the pool. slopes: of the curve, before there are labels. weights_N: the chance of each row of the
    pool to be one that the share is about, where the audited rows were picked out; None where it is about all rows.
    """

    def __init__(
        self,
        has_M: Array,
        x_MF: Float64,
        sample: AuditSample,
        x_NF: Float64,
        slopes: Slopes,
        weights_N: Float64 | None = None,
    ) -> None:
        self._has_M, self._sample = np.asarray(has_M, np.float64), sample
        b_F = _fitted_slopes(self._has_M, x_MF, sample.shares_M * len(sample), slopes)
        self._b_F, self._x_M, self._pool = b_F, x_MF @ b_F, Binned.of(x_NF @ b_F, weights_N)
        # The curve lies nearer to the rows that it was fitted to than to others (Akaike's final prediction error).
        m, fitted = len(sample), len(b_F) + 1
        self._inflation = (m + fitted) / max(m - fitted, 1)

    @cached_property
    def value(self) -> float:
        """The estimate; 0 or 1 where no audited row has the property or all have it."""
        if self._has_M.min() == self._has_M.max():
            return float(self._has_M[0])
        return self._mean_at(self._root(0.0))

    def chances(self, x_NF: Float64) -> Float64:
        """The chance of each row to have the property, float64 [N], by the curve."""
        return np.asarray(expit(x_NF @ self._b_F + self._root(0.0)))

    @property
    def error(self) -> float:
        """The standard error: half the width of the interval of one standard error."""
        low, high = self.interval(1.0)
        return (high - low) / 2

    def interval(self, z: float = Z95) -> tuple[float, float]:
        """The lowest and the highest share that lie within z standard errors."""
        low, high = self._mean_at(self._root(z)), self._mean_at(self._root(-z))
        return min(low, self.value), max(high, self.value)

    def deviation(self, share: float) -> float:
        """The number of standard errors by which the audit lies above a share between 0 and 1."""
        return self._score(crossing(lambda t: share - self._mean_at(t)))

    def _mean_at(self, height: float) -> float:
        return float(self._pool.shares_B @ expit(self._pool.means_B + height))

    def _score(self, height: float) -> float:
        """The standardised difference between the audit and the curve of a height; it falls with the height."""
        p_M = expit(self._x_M + height)
        difference = float(self._sample.shares_M @ (self._has_M - p_M))
        error = (self._inflation * self._sample.variance(p_M * expit(-self._x_M - height))) ** 0.5
        if error == 0.0:
            return float(np.copysign(np.inf, difference)) if difference else 0.0
        return difference / error

    def _root(self, z: float) -> float:
        """The height at which the score is z; an end of the range where no height has it."""
        if not self._sample.left_M.any():
            z = 0.0
        if z == 0.0:
            return crossing(lambda t: float(self._sample.shares_M @ (self._has_M - expit(self._x_M + t))))
        return crossing(lambda t: self._score(t) - z)


def crossing(falling: Callable[[float], float]) -> float:
    """Return the height at which a falling function crosses 0; the end of the range on whose side it stays."""
    from scipy.optimize import brentq  # imported here, since commands that measure nothing start without it

    if falling(-HIGHEST) <= 0.0:
        return -HIGHEST
    return HIGHEST if falling(HIGHEST) >= 0.0 else float(brentq(falling, -HIGHEST, HIGHEST, xtol=1e-7))


def _fitted_slopes(has_M: Float64, x_MF: Float64, weights_M: Float64, slopes: Slopes) -> Float64:
    """The slopes of the logistic curve through the audit, under a normal prior, float64 [F].

    Newton's method, with steps halved until the objective falls; the objective is convex.
    """
    design_MF1 = np.column_stack([x_MF, np.ones(len(x_MF))])
    around = np.array([*slopes.mean_F, 0.0])
    precision = np.array([*slopes.spread_F, _HEIGHT]) ** -2.0

    def loss(at: Float64) -> float:
        logits_M = design_MF1 @ at
        prior = 0.5 * float(precision @ (at - around) ** 2)
        return prior + float(weights_M @ (np.logaddexp(0.0, logits_M) - has_M * logits_M))

    at, before = around, loss(around)
    for _ in range(50):
        p_M = expit(design_MF1 @ at)
        gradient = precision * (at - around) - design_MF1.T @ (weights_M * (has_M - p_M))
        curvature = np.diag(precision) + (design_MF1.T * (weights_M * p_M * (1.0 - p_M))) @ design_MF1
        step = np.linalg.solve(curvature, gradient)
        length = 1.0
        while (now := loss(at - length * step)) > before and length > 1e-6:
            length /= 2.0
        if before - now < 1e-10:
            break
        at, before = at - length * step, now
    return np.asarray(at[:-1])
