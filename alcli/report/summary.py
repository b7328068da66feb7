"""The summary of a simulation, one line per strategy: its quality, the labels it needs, its gain over the baseline.

Source: the area under the learning curve is taken by the trapezoid rule over the number of labels and divided by the
width of the curve. The difference to the baseline is taken seed by seed, with Student's t interval over the seeds: all
strategies share the split and the initial labels of a seed, so the areas of one seed are paired.
Where items have costs, a curve runs over the cost of the labels. Strategies spend a budget to different sums, so the
curves of a seed are read at equal costs, by straight lines between the rounds: evenly spaced from the cost of the
initial labels to the smallest total that any strategy has spent in the end.
Cost: linear in the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64
from alcli.numerics.metrics import Metric
from alcli.report.ranks import rank
from alcli.simulation.results import PHASES

LEVELS = (0.8, 0.9, 1.0)
# Shares of the value that every label together gives.
SHARES = (0.8, 0.9)
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Curves:
    """Learning curves of one metric over P points and S seeds.

    x_P: the axis, ascending: int64 numbers of labels, or float64 costs of the labels, which are means over the seeds.
    values_SP: per strategy, float64 [S, P]. seconds: per strategy and phase, the seconds of a whole run, mean over
    seeds.
    axis: "labels" or "cost".
    """

    metric: Metric
    x_P: Array
    values_SP: Mapping[str, Float64]
    seconds: Mapping[str, Mapping[str, float]]
    axis: str = "labels"

    @property
    def n_seeds(self) -> int:
        return len(next(iter(self.values_SP.values())))


@dataclass(frozen=True)
class Reach:
    """The point at which a strategy reaches a share of the full-data value.

    level: the value to reach. needed: the labels, or their cost, at which the strategy reaches the level; None if it
    never does. saved: `needed` of the baseline minus `needed` of the strategy; None for the baseline itself, and if one
    of the two never reaches the level.
    at_least: a lower bound on the saving where only the strategy reaches the level: the last label of the baseline
    minus `needed`.
    """

    share: float
    level: float
    needed: float | None
    saved: float | None = None
    at_least: float | None = None


@dataclass(frozen=True)
class Line:
    """The summary of one strategy.

    area: the mean height of its curve. labels_to: for each of `LEVELS` the labels, or their cost, at which the strategy
    reaches the level; None if it never does.
    difference, low, high: the area minus the area of the baseline, and its interval. All three are None for the
    baseline; low and high need two seeds.
    mean_rank, friedman, nemenyi, holm: see `report/ranks.py`. The p-values are None where there is no test.
    full_data: the value that every label together gives; None unless the user asked for it. reaches: one `Reach` for
    each of `SHARES`, empty without `full_data`.
    """

    strategy: str
    metric: Metric
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
    holm: float | None = None
    full_data: float | None = None
    reaches: tuple[Reach, ...] = ()
    axis: str = "labels"

    @property
    def detectable(self) -> float | None:
        """The smallest difference that is clear with so many seeds: half the width of the interval."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2

    def row(self) -> dict[str, Any]:
        """Return the columns of summary.csv. With costs, `cost` takes the place of `labels` in their names."""
        about = {"strategy": self.strategy, "metric": self.metric.name, "seeds": self.n_seeds}
        quality = {"area": self.area, "final": self.final}
        levels = {f"{self.axis}_to_{round(100 * level)}": labels for level, labels in zip(LEVELS, self.labels_to)}
        full = {} if self.full_data is None else {"full_data": self.full_data} | self._reached()
        interval = {"difference_low": self.low, "difference_high": self.high, "detectable": self.detectable}
        against = {"difference": self.difference} | interval
        tests = {"friedman_p": self.friedman, "nemenyi_p": self.nemenyi, "holm_p": self.holm}
        ranked = {"mean_rank": self.mean_rank, **tests}
        return {**about, **quality, **levels, **full, **against, **ranked, **self.seconds}

    def _reached(self) -> dict[str, Any]:
        columns: dict[str, Any] = {}
        for one in self.reaches:
            percent = round(100 * one.share)
            columns[f"{self.axis}_to_{percent}_of_full"] = one.needed
            columns[f"{self.axis}_saved_at_{percent}_of_full"] = one.saved
        return columns


def curves_of(rows: Sequence[Mapping[str, Any]], metric: Metric) -> Curves:
    """Collect the learning curves of one metric from the tidy rows of `CellResult.curve_rows`.

    Strategies keep the order in which they first appear, seeds are ascending.
    """
    strategies = list(dict.fromkeys(row["strategy"] for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    runs: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    seconds = {strategy: dict.fromkeys(PHASES, 0.0) for strategy in strategies}
    for row in sorted(rows, key=lambda row: row["round"]):
        runs.setdefault((row["strategy"], row["seed"]), []).append(row)
        for phase in PHASES:
            seconds[row["strategy"]][phase] += row[phase] / len(seeds)
    if "cost" in rows[0]:
        costs_SP = _common_costs([[_column(runs[one, seed], "cost") for one in strategies] for seed in seeds])
        values = {
            one: [_value_at(runs[one, seed], metric, costs_P) for seed, costs_P in zip(seeds, costs_SP)]
            for one in strategies
        }
        x_P, axis = costs_SP.mean(axis=0), "cost"
    else:
        values = {one: [np.array(_column(runs[one, seed], metric.name)) for seed in seeds] for one in strategies}
        x_P, axis = np.array(_column(runs[strategies[0], seeds[0]], "n_labels"), np.int64), "labels"
    return Curves(metric, x_P, {strategy: np.stack(found) for strategy, found in values.items()}, seconds, axis)


def _column(run: Sequence[Mapping[str, Any]], name: str) -> list[float]:
    return [row[name] for row in run]


def _common_costs(costs_SKP: Sequence[Sequence[Sequence[float]]]) -> Float64:
    """Return the costs at which the curves of each seed are read, float64 [S, P].

    costs_SKP: the costs of the rounds, per seed and strategy. P is the number of points of the longest run.
    """
    points = max(len(costs_P) for costs_KP in costs_SKP for costs_P in costs_KP)
    return np.stack(
        [np.linspace(costs_KP[0][0], min(costs_P[-1] for costs_P in costs_KP), points) for costs_KP in costs_SKP]
    )


def _value_at(run: Sequence[Mapping[str, Any]], metric: Metric, costs_P: Float64) -> Float64:
    return np.interp(costs_P, _column(run, "cost"), _column(run, metric.name))


def summarise(curves: Curves, baseline: str, full_data: float | None = None) -> list[Line]:
    """Return one line per strategy, in order. full_data: the value that every label together gives, where it is known.

    The levels are shares of what the baseline gains from its first to its last point, so that they mean the same for
    every metric: 1.0 is the value that the baseline ends with. The labels needed are read from the mean curve, between
    points by a straight line.
    """
    means = {strategy: values_SP.mean(axis=0) for strategy, values_SP in curves.values_SP.items()}
    base_P = means[baseline]
    targets = [base_P[0] + level * (base_P[-1] - base_P[0]) for level in LEVELS]
    baseline_gains = _gains(curves, base_P[0], base_P[-1])
    areas_of = {strategy: areas(curves, strategy) for strategy in curves.values_SP}
    base_S = areas_of[baseline]
    ranks = rank(areas_of, baseline, larger_is_better=curves.metric.larger_is_better)
    lines = []
    for strategy, mean_P in means.items():
        areas_S = areas_of[strategy]
        needed = tuple(_first_reach(curves, mean_P, target) if baseline_gains else None for target in targets)
        difference, low, high = (None, None, None) if strategy == baseline else paired_interval(areas_S - base_S)
        line = Line(
            strategy=strategy,
            metric=curves.metric,
            n_seeds=curves.n_seeds,
            area=float(areas_S.mean()),
            final=float(mean_P[-1]),
            labels_to=needed,
            difference=difference,
            low=low,
            high=high,
            seconds=curves.seconds[strategy],
            mean_rank=ranks.mean[strategy],
            friedman=ranks.friedman,
            nemenyi=ranks.nemenyi.get(strategy),
            holm=ranks.holm.get(strategy),
            full_data=full_data,
            reaches=() if full_data is None else _reaches(curves, mean_P, base_P, full_data),
            axis=curves.axis,
        )
        lines.append(line)
    return lines


def counts_from_zero(metric: Metric) -> bool:
    """True for a metric that is 0 for a useless head, so that 80% of its value means something."""
    return metric.is_share and metric.larger_is_better


def _reaches(curves: Curves, mean_P: Float64, base_P: Float64, full_data: float) -> tuple[Reach, ...]:
    """Return when a mean curve reaches the shares of the full-data value, and what that saves against the baseline.

    A share of an accuracy is taken from 0. Other metrics have no natural zero: their share is one of the way from the
    first point of the baseline, where all curves begin, to the full-data value. mean_P may be base_P itself.
    """
    first = 0.0 if counts_from_zero(curves.metric) else base_P[0]
    reachable = _gains(curves, first, full_data)
    found = []
    for share in SHARES:
        level = float(first + share * (full_data - first))
        needed, theirs = (_first_reach(curves, one_P, level) if reachable else None for one_P in (mean_P, base_P))
        if needed is None or mean_P is base_P:
            found.append(Reach(share, level, needed))
        elif theirs is None:
            found.append(Reach(share, level, needed, at_least=_rounded(curves, curves.x_P[-1] - needed)))
        else:
            found.append(Reach(share, level, needed, saved=_rounded(curves, theirs - needed)))
    return tuple(found)


def areas(curves: Curves, strategy: str) -> Float64:
    """Return the area under the curve of each seed divided by the width of the curve, float64 [S]."""
    values_SP, x_P = curves.values_SP[strategy], curves.x_P
    if len(x_P) == 1:
        return values_SP[:, 0]
    steps_P = np.diff(x_P)
    return ((values_SP[:, 1:] + values_SP[:, :-1]) / 2) @ steps_P / steps_P.sum()


def paired_interval(differences_S: Float64) -> tuple[float, float | None, float | None]:
    """Return (mean, low, high) of Student's t interval. For a single difference low and high are None."""
    from scipy.special import stdtrit

    mean, n = float(differences_S.mean()), len(differences_S)
    if n < 2:
        return mean, None, None
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2) * differences_S.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def _gains(curves: Curves, first: float, last: float) -> bool:
    """True where `last` is better than `first`."""
    return bool(last > first if curves.metric.larger_is_better else last < first)


def _first_reach(curves: Curves, mean_P: Float64, target: float) -> float | None:
    """Return the number of labels, or the cost, at which a curve first reaches `target`; None if it never does."""
    short_P = (mean_P - target) * (-1 if curves.metric.larger_is_better else 1)
    reached = np.flatnonzero(short_P <= 0)
    if not len(reached):
        return None
    i, x_P = int(reached[0]), curves.x_P
    if i == 0:
        return _rounded(curves, x_P[0])
    share = short_P[i - 1] / (short_P[i - 1] - short_P[i])
    return _rounded(curves, x_P[i - 1] + share * (x_P[i] - x_P[i - 1]))


def _rounded(curves: Curves, value: float) -> float:
    """Round labels to a tenth. Round costs to six digits, since their unit may be large."""
    return round(float(value), 1) if curves.axis == "labels" else float(f"{value:.6g}")
