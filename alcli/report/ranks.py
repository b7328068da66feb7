"""Tests of the difference between strategies: Friedman's over the seeds, Nemenyi's and paired t against the baseline.

Each seed ranks the strategies by the area under their curves. Friedman's test finds out if these rankings agree more
than chance allows. Nemenyi's test finds out if the mean rank of a strategy differs from that of the baseline, at a
level that holds for all pairs of strategies together. It looks at ranks alone. The paired t test looks at the sizes of
the differences too; its p-values are adjusted for the number of strategies by Holm's method.
Source: Demsar 2006, "Statistical comparisons of classifiers over multiple data sets", section 3.2.2; Holm 1979, "A
simple sequentially rejective multiple test procedure". Areas that are equal in a seed, but for rounding, share the mean
of their ranks.
Cost: one sort per seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64

FEWEST_STRATEGIES = 3
FEWEST_SEEDS = 2
DIGITS = 12  # of the largest area; areas that agree in so many are equal


@dataclass(frozen=True)
class Ranks:
    """The ranks of all strategies and the p-values of the tests.

    mean: the mean rank of every strategy; 1 is the best. friedman: the p-value of Friedman's test; None for fewer than
    3 strategies or 2 seeds, and where all areas are equal.
    nemenyi: the p-value of each strategy against the baseline; empty where there is no Friedman test.
    holm: the p-value of each strategy against the baseline by a paired t test, adjusted by Holm's method for all
    strategies; empty for fewer than 2 seeds.
    """

    mean: Mapping[str, float]
    friedman: float | None
    nemenyi: Mapping[str, float]
    holm: Mapping[str, float]


def rank(areas_S: Mapping[str, Float64], baseline: str, *, larger_is_better: bool) -> Ranks:
    """Compare strategies by the areas under their curves: per strategy one number a seed, seeds in the same order."""
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    names = list(areas_S)
    areas_SK = _rounded(np.column_stack([areas_S[name] for name in names]))
    others = [name for name in names if name != baseline]
    holm = _holm(
        {name: _paired(areas_SK[:, names.index(name)] - areas_SK[:, names.index(baseline)]) for name in others}
    )
    ranks_SK = rankdata(-areas_SK if larger_is_better else areas_SK, axis=1)
    mean = dict(zip(names, map(float, ranks_SK.mean(axis=0))))
    S, K = ranks_SK.shape
    if K < FEWEST_STRATEGIES or S < FEWEST_SEEDS or (areas_SK == areas_SK[:, :1]).all():
        return Ranks(mean, None, {}, holm)
    standard_error = np.sqrt(K * (K + 1) / (6.0 * S))  # of a difference of two mean ranks
    gaps = {name: abs(mean[name] - mean[baseline]) / standard_error * np.sqrt(2.0) for name in others}
    nemenyi = {name: float(studentized_range.sf(gap, K, np.inf)) for name, gap in gaps.items()}
    return Ranks(mean, float(friedmanchisquare(*areas_SK.T).pvalue), nemenyi, holm)


def _rounded(areas_SK: Float64) -> Float64:
    """The areas without the digits that the order of their summands decides."""
    largest = float(np.abs(areas_SK).max())
    return areas_SK if largest == 0.0 else np.round(areas_SK / largest, DIGITS)


def _paired(differences_S: Float64) -> float | None:
    """The two-sided p-value of Student's t test of a mean of zero; None for a single seed."""
    from scipy.stats import t

    S = len(differences_S)
    if S < FEWEST_SEEDS:
        return None
    mean, error = float(differences_S.mean()), float(differences_S.std(ddof=1)) / S**0.5
    if error == 0.0:
        return 1.0 if mean == 0.0 else 0.0
    return float(2.0 * t.sf(abs(mean) / error, S - 1))


def _holm(p_of: Mapping[str, float | None]) -> dict[str, float]:
    """Adjust p-values for their number, by Holm's method. Names without a p-value are left out."""
    known = sorted((p, name) for name, p in p_of.items() if p is not None)
    adjusted, least = {}, 0.0
    for i, (p, name) in enumerate(known):
        least = max(least, min((len(known) - i) * p, 1.0))
        adjusted[name] = least
    return adjusted
