"""From the rows of a simulation to one line per strategy: how good, how soon, and how sure against the baseline.

Source: area under the learning curve by the trapezoid rule over the number of labels, divided by its width; the difference to the
baseline is taken seed by seed, with Student's t interval over the seeds (the seeds share split and initial labels, so pairs are alike).
Cost: linear in the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.report.ranks import rank
from alcli.simulation.results import PHASES

LEVELS = (0.8, 0.9, 1.0)
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Curves:
    """Learning curves of one metric. labels_P: numbers of labels, ascending. values_SP: per strategy, one row a seed."""

    metric: str
    smaller_is_better: bool
    labels_P: Int64
    values_SP: Mapping[str, Float64]
    seconds: Mapping[str, Mapping[str, float]]  # per strategy and phase, the mean over seeds of a whole run

    @property
    def n_seeds(self) -> int:
        return len(next(iter(self.values_SP.values())))


@dataclass(frozen=True)
class Line:
    """One strategy. area: the mean height of its curve. labels_to: per level, None where it is never reached.

    difference, low, high: area minus that of the baseline, None for the baseline; low and high need two seeds.
    mean_rank, friedman, nemenyi: as in report/ranks.py; the p-values are None where there is no test.
    """

    strategy: str
    metric: str
    n_seeds: int
    area: float
    final: float
    labels_to: tuple[float | None, ...]
    difference: float | None
    low: float | None
    high: float | None
    seconds: Mapping[str, float]
    mean_rank: float
    friedman: float | None
    nemenyi: float | None

    def row(self) -> dict[str, Any]:
        """The columns of summary.csv."""
        levels = {f"labels_to_{round(100 * level)}": labels for level, labels in zip(LEVELS, self.labels_to)}
        against = {"difference": self.difference, "difference_low": self.low, "difference_high": self.high}
        about = {"strategy": self.strategy, "metric": self.metric, "seeds": self.n_seeds, "area": self.area, "final": self.final}
        ranked = {"mean_rank": self.mean_rank, "friedman_p": self.friedman, "nemenyi_p": self.nemenyi}
        return {**about, **levels, **against, **ranked, **self.seconds}


def curves_of(rows: Sequence[Mapping[str, Any]], metric: str, *, smaller_is_better: bool) -> Curves:
    """Collect one metric of tidy rows (strategy, seed, round, n_labels, metrics, seconds), in the strategies' order of appearance."""
    strategies = list(dict.fromkeys(row["strategy"] for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    last = max(row["round"] for row in rows)
    first = [row for row in rows if row["strategy"] == strategies[0] and row["seed"] == seeds[0]]
    values_SP = {strategy: np.full((len(seeds), last + 1), np.nan) for strategy in strategies}
    seconds = {strategy: dict.fromkeys(PHASES, 0.0) for strategy in strategies}
    place = {seed: i for i, seed in enumerate(seeds)}
    for row in rows:
        values_SP[row["strategy"]][place[row["seed"]], row["round"]] = row[metric]
        for phase in PHASES:
            seconds[row["strategy"]][phase] += row[phase] / len(seeds)
    labels_P = np.array([row["n_labels"] for row in sorted(first, key=lambda row: row["round"])], np.int64)
    return Curves(metric, smaller_is_better, labels_P, values_SP, seconds)


def summarise(curves: Curves, baseline: str) -> list[Line]:
    """One line per strategy, in order.

    The levels are shares of what the baseline gains from its first to its last point, so that they mean the same for every metric:
    1.0 is the value the baseline ends with. Labels needed are read from the mean curve, between points by a straight line.
    """
    base_P = curves.values_SP[baseline].mean(axis=0)
    targets = [base_P[0] + level * (base_P[-1] - base_P[0]) for level in LEVELS]
    areas_of = {strategy: areas(curves, strategy) for strategy in curves.values_SP}
    ranks = rank(areas_of, baseline, smaller_is_better=curves.smaller_is_better)
    lines = []
    for strategy, values_SP in curves.values_SP.items():
        areas_S, mean_P = areas_of[strategy], values_SP.mean(axis=0)
        needed = tuple(_first_reach(curves, mean_P, target) if _gains(curves, base_P) else None for target in targets)
        difference, low, high = (None, None, None) if strategy == baseline else paired_interval(areas_S - areas_of[baseline])
        lines.append(
            Line(strategy, curves.metric, curves.n_seeds, float(areas_S.mean()), float(mean_P[-1]), needed,
                 difference, low, high, curves.seconds[strategy], ranks.mean[strategy], ranks.friedman, ranks.nemenyi.get(strategy))
        )  # fmt: skip
    return lines


def areas(curves: Curves, strategy: str) -> Float64:
    """The area under each seed's curve divided by its width, shape [S]."""
    values_SP, labels_P = curves.values_SP[strategy], curves.labels_P
    if len(labels_P) == 1:
        return values_SP[:, 0]
    steps_P = np.diff(labels_P)
    return ((values_SP[:, 1:] + values_SP[:, :-1]) / 2) @ steps_P / steps_P.sum()  # type: ignore[no-any-return]


def paired_interval(differences_S: Float64) -> tuple[float, float | None, float | None]:
    """(mean, low, high) of Student's t interval; low and high are None for one difference."""
    from scipy.special import stdtrit

    mean, n = float(differences_S.mean()), len(differences_S)
    if n < 2:
        return mean, None, None
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2) * differences_S.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def _gains(curves: Curves, mean_P: Float64) -> bool:
    gain = mean_P[-1] - mean_P[0]
    return bool(gain < 0 if curves.smaller_is_better else gain > 0)


def _first_reach(curves: Curves, mean_P: Float64, target: float) -> float | None:
    """The number of labels at which a curve first reaches `target`, to a tenth; None when it never does."""
    short_P = (mean_P - target) * (1 if curves.smaller_is_better else -1)
    reached = np.flatnonzero(short_P <= 0)
    if not len(reached):
        return None
    i, labels_P = int(reached[0]), curves.labels_P
    if i == 0:
        return float(labels_P[0])
    share = short_P[i - 1] / (short_P[i - 1] - short_P[i])
    return round(float(labels_P[i - 1] + share * (labels_P[i] - labels_P[i - 1])), 1)
