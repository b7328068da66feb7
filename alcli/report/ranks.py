"""Whether strategies differ at all, and from the baseline: Friedman's test over the seeds, and Nemenyi's test behind it.

Each seed ranks the strategies by the area under their curves. Friedman's test asks whether these rankings agree more than chance lets
them; Nemenyi's whether a strategy's mean rank differs from the baseline's, at a level that holds for all pairs of strategies together.
Source: Demsar 2006, "Statistical comparisons of classifiers over multiple data sets", section 3.2.2 (areas equal in a seed share the
mean of their ranks).
Cost: a sort a seed.
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
    """mean: the mean rank of every strategy, 1 the best. friedman: the p-value, None for fewer than 3 strategies or 2 seeds.

    nemenyi: the p-value of each strategy against the baseline; empty where there is no Friedman test.
    """

    mean: Mapping[str, float]
    friedman: float | None
    nemenyi: Mapping[str, float]


def rank(areas_S: Mapping[str, Float64], baseline: str, *, smaller_is_better: bool) -> Ranks:
    """Compare strategies by the areas under their curves, one number a seed, the seeds in the same order for all."""
    from scipy.stats import friedmanchisquare, rankdata, studentized_range

    names = list(areas_S)
    areas_SK = np.column_stack([areas_S[name] for name in names])
    ranks_SK = rankdata(areas_SK if smaller_is_better else -areas_SK, axis=1)
    mean = dict(zip(names, map(float, ranks_SK.mean(axis=0))))
    S, K = ranks_SK.shape
    if K < FEWEST_STRATEGIES or S < FEWEST_SEEDS or (areas_SK == areas_SK[:, :1]).all():
        return Ranks(mean, None, {})
    width = np.sqrt(K * (K + 1) / (6.0 * S))  # standard error of a difference of two mean ranks
    gaps = {name: abs(mean[name] - mean[baseline]) / width * np.sqrt(2.0) for name in names if name != baseline}
    nemenyi = {name: float(studentized_range.sf(gap, K, np.inf)) for name, gap in gaps.items()}
    return Ranks(mean, float(friedmanchisquare(*areas_SK.T).pvalue), nemenyi)
