"""Tests of the difference between strategies: Friedman's test over the seeds, then Nemenyi's test against the baseline.

Each seed ranks the strategies by the area under their curves. Friedman's test finds out if these rankings agree more
than chance allows. Nemenyi's test finds out if the mean rank of a strategy differs from that of the baseline, at a
level that holds for all pairs of strategies together.
Source: Demsar 2006, "Statistical comparisons of classifiers over multiple data sets", section 3.2.2. Areas that are
equal in a seed share the mean of their ranks.
Cost: one sort per seed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64

FEWEST_STRATEGIES = 3
FEWEST_SEEDS = 2


@dataclass(frozen=True)
class Ranks:
    """The ranks of all strategies and the p-values of the tests.

    mean: the mean rank of every strategy; 1 is the best. friedman: the p-value of Friedman's test; None for fewer than
    3 strategies or 2 seeds, and where all areas are equal.
    nemenyi: the p-value of each strategy against the baseline; empty where there is no Friedman test.
    """

    mean: Mapping[str, float]
    friedman: float | None
    nemenyi: Mapping[str, float]


def rank(areas_S: Mapping[str, Float64], baseline: str, *, larger_is_better: bool) -> Ranks:
    """Compare strategies by the areas under their curves: per strategy one number a seed, seeds in the same order."""
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    names = list(areas_S)
    areas_SK = np.column_stack([areas_S[name] for name in names])
    ranks_SK = rankdata(-areas_SK if larger_is_better else areas_SK, axis=1)
    mean = dict(zip(names, map(float, ranks_SK.mean(axis=0))))
    S, K = ranks_SK.shape
    if K < FEWEST_STRATEGIES or S < FEWEST_SEEDS or (areas_SK == areas_SK[:, :1]).all():
        return Ranks(mean, None, {})
    standard_error = np.sqrt(K * (K + 1) / (6.0 * S))  # of a difference of two mean ranks
    others = [name for name in names if name != baseline]
    gaps = {name: abs(mean[name] - mean[baseline]) / standard_error * np.sqrt(2.0) for name in others}
    nemenyi = {name: float(studentized_range.sf(gap, K, np.inf)) for name, gap in gaps.items()}
    return Ranks(mean, float(friedmanchisquare(*areas_SK.T).pvalue), nemenyi)
