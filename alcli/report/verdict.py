"""The summary in words: one sentence for each strategy, and one for all strategies together."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from alcli.numerics.metrics import Metric
from alcli.report.summary import Line
from alcli.simulation.plan import BASELINE

ORACLE_REMARK = "; an oracle: it is told true labels, so it is no strategy to use"
SIGNIFICANT = 0.05


def verdicts(lines: Sequence[Line], baseline: str, *, oracles: Collection[str] = ()) -> list[str]:
    """Return one sentence for every strategy but the baseline. oracles: names of strategies that see true labels."""
    base = next(line for line in lines if line.strategy == baseline)
    said = {line.strategy: _verdict(line, base) for line in lines if line is not base}
    return [text + (ORACLE_REMARK if name in oracles else "") for name, text in said.items()]


def conclusions(lines: Sequence[Line], *, oracles: Collection[str] = ()) -> list[str]:
    """Return all sentences: on every strategy, on all together, and on the differences that the seeds can show."""
    together = (agreement(lines), detectable(lines))
    return [*verdicts(lines, BASELINE, oracles=oracles), *(text for text in together if text)]


def agreement(lines: Sequence[Line]) -> str:
    """Return the result of Friedman's test of all strategies together in words; empty where there is no test."""
    p = lines[0].friedman
    if p is None:
        return ""
    test = f"Friedman's test over {lines[0].n_seeds} seeds, p = {p:.2g}"
    if p >= SIGNIFICANT:
        return f"all strategies together: no clear difference ({test})"
    differ = [line.strategy for line in lines if line.nemenyi is not None and line.nemenyi < SIGNIFICANT]
    verb = "differs" if len(differ) == 1 else "differ"
    which = f"{', '.join(differ)} {verb}" if differ else "but no single one differs clearly"
    return f"all strategies together: they differ ({test}); {which} from {BASELINE} (Nemenyi's test)"


def detectable(lines: Sequence[Line]) -> str:
    """Say which differences to the baseline the seeds can show; empty for a single seed."""
    found = [line.detectable for line in lines if line.detectable is not None]
    if not found:
        return ""
    metric, seeds = lines[0].metric, lines[0].n_seeds
    least, most = number(metric, min(found)), amount(metric, max(found))
    size = most if number(metric, max(found)) == least else f"{least} to {most}, by strategy"
    return f"with {seeds} seeds the smallest difference to {BASELINE} that is clear is {size}; more --seeds lower it"


def _verdict(line: Line, base: Line) -> str:
    assert line.difference is not None
    metric = line.metric
    size = amount(metric, abs(line.difference))
    direction = "lower" if line.difference < 0 else "higher"
    is_level = number(metric, abs(line.difference)) == number(metric, 0.0)
    if line.low is None or line.high is None:
        where = f"the same as {base.strategy}" if is_level else f"{size} {direction} than {base.strategy}"
        return f"{line.strategy}: {where} on average over the curve (one seed, so no interval)"
    # The interval is that of the size, so that its signs match the word lower or higher.
    # Adding 0.0 turns -0.0 into 0.0.
    sign = -1 if line.difference < 0 else 1
    low, high = sorted((sign * line.low + 0.0, sign * line.high + 0.0))
    interval = f"95% interval {number(metric, low)} to {number(metric, high)}"
    if low <= 0:
        where = "the same" if is_level else f"{size} {direction}"
        told = f"{where} on average over the curve, {interval}"
        return f"{line.strategy}: no clear difference from {base.strategy} ({told})"
    is_better = (line.difference > 0) == metric.larger_is_better
    found = f"than {base.strategy} by {size} on average over the curve ({interval})"
    return f"{line.strategy}: {'better' if is_better else 'worse'} {found}{_saving(line, base) if is_better else ''}"


def _saving(line: Line, base: Line) -> str:
    """Say with how many labels the strategy reaches the last value of the baseline, where it needs fewer."""
    ours, theirs = line.labels_to[-1], base.labels_to[-1]
    if ours is None or theirs is None or ours >= theirs:
        return ""
    needed = how_many(line.axis, ours)
    spent = f"with {needed} labels" if line.axis == "labels" else f"at a cost of {needed}"
    return f"; reaches {base.strategy}'s final value {spent} instead of {how_many(line.axis, theirs)}"


def how_many(axis: str, value: float) -> str:
    """Return labels as a whole number, and a cost to four digits."""
    return f"{round(value):,}" if axis == "labels" or abs(value) >= 1000 else f"{value:.4g}"


def amount(metric: Metric, value: float) -> str:
    """Return a difference with its unit, such as `2.1 points of accuracy`."""
    return f"{number(metric, value)} {'points of ' if metric.is_share else ''}{metric.words}"


def number(metric: Metric, value: float, *, sign: bool = False) -> str:
    """Return a value of a metric for people: shares in hundredths. sign: write a plus before a positive number."""
    plus = "+" if sign else ""
    if metric.is_share:
        # Adding 0.0 turns -0.0 into 0.0.
        return f"{round(100 * value, 1) + 0.0:{plus}.1f}"
    return f"{value:{plus},.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:{plus},.4g}"
