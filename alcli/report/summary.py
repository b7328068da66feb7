"""From the rows of a simulation to one line per strategy: how good, how soon, and how sure against the baseline.

Source: area under the learning curve by the trapezoid rule over the number of labels, divided by its width; the difference to the
baseline is taken seed by seed, with Student's t interval over the seeds (the seeds share split and initial labels, so pairs are alike).
Where items have costs, a curve runs over what its labels cost. Strategies spend a budget to different sums, so curves are then read, seed by seed,
at equal costs: evenly from that of the initial labels to the least that a strategy has spent in the end, by straight lines between the rounds.
Cost: linear in the rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64
from alcli.report.ranks import rank
from alcli.simulation.results import PHASES

LEVELS = (0.8, 0.9, 1.0)
SHARES = (0.8, 0.9)  # of the value that every label together gives
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Curves:
    """Learning curves of one metric. x_P: numbers of labels, or means over the seeds of what they cost, ascending; `axis` says which.

    values_SP: per strategy, one row a seed.
    """

    metric: str
    smaller_is_better: bool
    x_P: Array
    values_SP: Mapping[str, Float64]
    seconds: Mapping[str, Mapping[str, float]]  # per strategy and phase, the mean over seeds of a whole run
    axis: str = "labels"

    @property
    def n_seeds(self) -> int:
        return len(next(iter(self.values_SP.values())))


@dataclass(frozen=True)
class Reach:
    """When a strategy is at a share of the full-data value. level: that value. needed: labels (or their cost), None where it never is.

    saved: the baseline's needed minus these, None where one of the two is never there, and for the baseline.
    at_least: what is saved at least where the baseline is never there and the strategy is: up to the last label of the baseline.
    """

    share: float
    level: float
    needed: float | None
    saved: float | None = None
    at_least: float | None = None


@dataclass(frozen=True)
class Line:
    """One strategy. area: the mean height of its curve. labels_to: per level (in labels, or their cost), None where it is never reached.

    difference, low, high: area minus that of the baseline, None for the baseline; low and high need two seeds.
    mean_rank, friedman, nemenyi: as in report/ranks.py; the p-values are None where there is no test.
    full_data: the value that every label together gives, None where that was not asked for; reaches: one of each of `SHARES` of it.
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
    full_data: float | None = None
    reaches: tuple[Reach, ...] = ()
    axis: str = "labels"

    def row(self) -> dict[str, Any]:
        """The columns of summary.csv; with costs, those of labels are named after these."""
        levels = {f"{self.axis}_to_{round(100 * level)}": labels for level, labels in zip(LEVELS, self.labels_to)}
        full = {} if self.full_data is None else {"full_data": self.full_data} | self._reached()
        against = {"difference": self.difference, "difference_low": self.low, "difference_high": self.high}
        about = {"strategy": self.strategy, "metric": self.metric, "seeds": self.n_seeds, "area": self.area, "final": self.final}
        ranked = {"mean_rank": self.mean_rank, "friedman_p": self.friedman, "nemenyi_p": self.nemenyi}
        return {**about, **levels, **full, **against, **ranked, **self.seconds}

    def _reached(self) -> dict[str, Any]:
        values = ((round(100 * one.share), one) for one in self.reaches)
        return {key: value for percent, one in values for key, value in (
            (f"{self.axis}_to_{percent}_of_full", one.needed), (f"{self.axis}_saved_at_{percent}_of_full", one.saved),
        )}  # fmt: skip


def curves_of(rows: Sequence[Mapping[str, Any]], metric: str, *, smaller_is_better: bool) -> Curves:
    """Collect one metric of tidy rows (strategy, seed, round, n_labels, cost where there is one, metrics, seconds), in the strategies' order of appearance."""
    strategies = list(dict.fromkeys(row["strategy"] for row in rows))
    seeds = sorted({row["seed"] for row in rows})
    runs: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    seconds = {strategy: dict.fromkeys(PHASES, 0.0) for strategy in strategies}
    for row in sorted(rows, key=lambda row: row["round"]):
        runs.setdefault((row["strategy"], row["seed"]), []).append(row)
        for phase in PHASES:
            seconds[row["strategy"]][phase] += row[phase] / len(seeds)
    if "cost" in rows[0]:
        costs_SP = _common_costs([[[row["cost"] for row in runs[strategy, seed]] for strategy in strategies] for seed in seeds])
        values = {strategy: [_read(runs[strategy, seed], metric, costs_P) for seed, costs_P in zip(seeds, costs_SP)] for strategy in strategies}
        x_P, axis = costs_SP.mean(axis=0), "cost"
    else:
        values = {strategy: [np.array([row[metric] for row in runs[strategy, seed]]) for seed in seeds] for strategy in strategies}
        x_P, axis = np.array([row["n_labels"] for row in runs[strategies[0], seeds[0]]], np.int64), "labels"
    return Curves(metric, smaller_is_better, x_P, {strategy: np.stack(found) for strategy, found in values.items()}, seconds, axis)


def _common_costs(costs_SKP: Sequence[Sequence[Sequence[float]]]) -> Float64:
    """Where to read the curves of each seed, shape [S, P]; as many points as the longest run has. costs_SKP: per seed and strategy."""
    points = max(len(costs_P) for costs_KP in costs_SKP for costs_P in costs_KP)
    return np.stack([np.linspace(costs_KP[0][0], min(costs_P[-1] for costs_P in costs_KP), points) for costs_KP in costs_SKP])


def _read(run: Sequence[Mapping[str, Any]], metric: str, costs_P: Float64) -> Float64:
    return np.interp(costs_P, [row["cost"] for row in run], [row[metric] for row in run])


def summarise(curves: Curves, baseline: str, full_data: float | None = None) -> list[Line]:
    """One line per strategy, in order. full_data: the value that every label together gives, where it is known.

    The levels are shares of what the baseline gains from its first to its last point, so that they mean the same for every metric:
    1.0 is the value the baseline ends with. Labels needed are read from the mean curve, between points by a straight line.
    """
    means = {strategy: values_SP.mean(axis=0) for strategy, values_SP in curves.values_SP.items()}
    base_P = means[baseline]
    targets = [base_P[0] + level * (base_P[-1] - base_P[0]) for level in LEVELS]
    areas_of = {strategy: areas(curves, strategy) for strategy in curves.values_SP}
    ranks = rank(areas_of, baseline, smaller_is_better=curves.smaller_is_better)
    lines = []
    for strategy, mean_P in means.items():
        areas_S = areas_of[strategy]
        needed = tuple(_first_reach(curves, mean_P, target) if _gains(curves, base_P[0], base_P[-1]) else None for target in targets)
        difference, low, high = (None, None, None) if strategy == baseline else paired_interval(areas_S - areas_of[baseline])
        reaches = () if full_data is None else _reaches(curves, mean_P, base_P, full_data)
        lines.append(
            Line(strategy, curves.metric, curves.n_seeds, float(areas_S.mean()), float(mean_P[-1]), needed,
                 difference, low, high, curves.seconds[strategy], ranks.mean[strategy], ranks.friedman, ranks.nemenyi.get(strategy),
                 full_data, reaches, curves.axis)
        )  # fmt: skip
    return lines


def _reaches(curves: Curves, mean_P: Float64, base_P: Float64, full_data: float) -> tuple[Reach, ...]:
    """When a mean curve is at the shares of the full-data value, and what that saves against the baseline, which may be the curve itself.

    Of an error, which falls, a share of the value would say nothing: it is of the way down to it from where all curves begin.
    """
    found = []
    for share in SHARES:
        first = base_P[0] if curves.smaller_is_better else 0.0
        level = float(first + share * (full_data - first))
        reached = _gains(curves, first, full_data)
        needed, theirs = (_first_reach(curves, one_P, level) if reached else None for one_P in (mean_P, base_P))
        if needed is None or mean_P is base_P:
            found.append(Reach(share, level, needed))
        elif theirs is None:
            found.append(Reach(share, level, needed, at_least=_rounded(curves, curves.x_P[-1] - needed)))
        else:
            found.append(Reach(share, level, needed, saved=_rounded(curves, theirs - needed)))
    return tuple(found)


def areas(curves: Curves, strategy: str) -> Float64:
    """The area under each seed's curve divided by its width, shape [S]."""
    values_SP, x_P = curves.values_SP[strategy], curves.x_P
    if len(x_P) == 1:
        return values_SP[:, 0]
    steps_P = np.diff(x_P)
    return ((values_SP[:, 1:] + values_SP[:, :-1]) / 2) @ steps_P / steps_P.sum()


def paired_interval(differences_S: Float64) -> tuple[float, float | None, float | None]:
    """(mean, low, high) of Student's t interval; low and high are None for one difference."""
    from scipy.special import stdtrit

    mean, n = float(differences_S.mean()), len(differences_S)
    if n < 2:
        return mean, None, None
    half = float(stdtrit(n - 1, (1 + CONFIDENCE) / 2) * differences_S.std(ddof=1) / np.sqrt(n))
    return mean, mean - half, mean + half


def _gains(curves: Curves, first: float, last: float) -> bool:
    return bool(last < first if curves.smaller_is_better else last > first)


def _first_reach(curves: Curves, mean_P: Float64, target: float) -> float | None:
    """The number of labels, or the cost, at which a curve first reaches `target`; None when it never does."""
    short_P = (mean_P - target) * (1 if curves.smaller_is_better else -1)
    reached = np.flatnonzero(short_P <= 0)
    if not len(reached):
        return None
    i, x_P = int(reached[0]), curves.x_P
    if i == 0:
        return _rounded(curves, x_P[0])
    share = short_P[i - 1] / (short_P[i - 1] - short_P[i])
    return _rounded(curves, x_P[i - 1] + share * (x_P[i] - x_P[i - 1]))


def _rounded(curves: Curves, value: float) -> float:
    """Labels to a tenth, costs, whose unit may be large, to six digits."""
    return round(float(value), 1) if curves.axis == "labels" else float(f"{value:.6g}")
