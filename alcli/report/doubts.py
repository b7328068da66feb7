"""Remarks where a metric alone misleads: heads worse than a constant answer, and metrics that disagree.

Cost: that of a summary for each metric.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alcli.numerics.metrics import METRICS, Metric
from alcli.report.summary import Curves, areas, curves_of, paired_interval

# Metrics of one task that should tell the same story. Others follow from one of them, or look at calibration alone.
_TOLD = (("accuracy", "balanced_accuracy", "macro_f1", "nll"), ("mae", "rmse", "nlpd"))


def doubts(rows: Sequence[Mapping[str, Any]], metric: Metric, baseline: str, largest: float | None) -> list[str]:
    """Return the remarks. rows: of all curves. metric: the one that compares strategies.

    largest: the share of the largest class among the test rows; None in a regression.
    """
    found = [] if largest is None else list(_below_largest(curves_of(rows, METRICS["accuracy"]), largest))
    return [*found, *_disagreements(rows, metric, baseline)]


def _below_largest(curves: Curves, largest: float) -> Iterator[str]:
    """Yield a remark if the accuracy of strategies ends below the share of the largest class."""
    last = {strategy: float(values_SP[:, -1].mean()) for strategy, values_SP in curves.values_SP.items()}
    below = [f"{strategy} ({100 * value:.1f}%)" for strategy, value in last.items() if value < largest]
    if below:
        yield (
            f"always answering the most frequent class would be right for {100 * largest:.1f}% of the test rows; the "
            f"final accuracy of {', '.join(below)} is below that"
        )


def _disagreements(rows: Sequence[Mapping[str, Any]], metric: Metric, baseline: str) -> Iterator[str]:
    """Yield a remark for every strategy that is clearly better than the baseline by one metric, worse by another."""
    names = next((told for told in _TOLD if told[0] in rows[0]), ())
    metrics = [metric, *(METRICS[name] for name in names if name != metric.name)]
    gains = [_gains(curves_of(rows, one), baseline) for one in metrics if all(one.name in row for row in rows)]
    for strategy in gains[0]:
        better = [one.words for one, gain in zip(metrics, gains) if gain[strategy] > 0]
        worse = [one.words for one, gain in zip(metrics, gains) if gain[strategy] < 0]
        if better and worse:
            verdict = f"clearly better than {baseline} by {_and(better)}, clearly worse by {_and(worse)}"
            yield f"metrics disagree on {strategy}: {verdict}"


def _gains(curves: Curves, baseline: str) -> dict[str, int]:
    """For every strategy but the baseline: 1 where it is clearly better, -1 where it is clearly worse, else 0."""
    sign = 1 if curves.metric.larger_is_better else -1
    base_S, found = areas(curves, baseline), {}
    for strategy in curves.values_SP:
        if strategy != baseline:
            _, low, high = paired_interval(sign * (areas(curves, strategy) - base_S))
            found[strategy] = 0 if low is None or high is None else int(low > 0) - int(high < 0)
    return found


def _and(words: Sequence[str]) -> str:
    return " and ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words)
