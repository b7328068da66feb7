"""What a summary means, in one sentence per strategy and one for all of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from alcli.report.summary import Line
from alcli.simulation.plan import BASELINE

ORACLE_REMARK = "; an oracle: it is told true labels, so it is no strategy to use"
SIGNIFICANT = 0.05
_SHARES = frozenset({"accuracy", "balanced_accuracy", "macro_f1"})


def verdicts(lines: Sequence[Line], baseline: str, *, smaller_is_better: bool, oracles: Collection[str] = ()) -> list[str]:
    """One sentence for every strategy but the baseline. oracles: names of those who are told true labels, which is said."""
    base = next(line for line in lines if line.strategy == baseline)
    said = {line.strategy: _verdict(line, base, smaller_is_better) for line in lines if line is not base}
    return [text + (ORACLE_REMARK if name in oracles else "") for name, text in said.items()]


def agreement(lines: Sequence[Line]) -> str:
    """What Friedman's test says of all strategies together; empty where there is no test."""
    p = lines[0].friedman
    if p is None:
        return ""
    if p >= SIGNIFICANT:
        return f"Friedman's test over {lines[0].n_seeds} seeds: the strategies cannot be told apart (p = {p:.2g})"
    differ = [line.strategy for line in lines if line.nemenyi is not None and line.nemenyi < SIGNIFICANT]
    which = f"by Nemenyi's test {', '.join(differ)} {'differs' if len(differ) == 1 else 'differ'} from {BASELINE}" if differ else f"but by Nemenyi's test none from {BASELINE}"
    return f"Friedman's test over {lines[0].n_seeds} seeds: the strategies differ (p = {p:.2g}); {which}"


def _verdict(line: Line, base: Line, smaller_is_better: bool) -> str:
    assert line.difference is not None
    size = amount(line.metric, abs(line.difference))
    direction = "lower" if line.difference < 0 else "higher"
    is_level = number(line.metric, abs(line.difference)) == number(line.metric, 0.0)
    if line.low is None or line.high is None:
        where = f"{size} {direction} than {base.strategy}" if not is_level else f"the same as {base.strategy}"
        return f"{line.strategy}: {where} on average over the curve (one seed, so no interval)"
    # The interval is told in the direction of an improvement, so that its signs match the words.
    sign = -1 if smaller_is_better else 1
    low, high = sorted((sign * line.low + 0.0, sign * line.high + 0.0))
    interval = f"95% CI {number(line.metric, low)} to {number(line.metric, high)}"
    if low <= 0 <= high:
        where = f"{size} {direction}" if not is_level else "the same"
        return f"{line.strategy}: not distinguishable from {base.strategy} ({where} on average over the curve, {interval})"
    if low > 0:
        return f"{line.strategy}: better than {base.strategy} by {size} on average over the curve ({interval}){_saving(line, base)}"
    low, high = -high, -low
    interval = f"95% CI {number(line.metric, low)} to {number(line.metric, high)}"
    return f"{line.strategy}: worse than {base.strategy} by {size} on average over the curve ({interval})"


def _saving(line: Line, base: Line) -> str:
    ours, theirs = line.labels_to[-1], base.labels_to[-1]
    if ours is None or theirs is None or ours >= theirs:
        return ""
    return f"; reaches what {base.strategy} ends with at {asked(line.axis, ours)} instead of {how_many(line.axis, theirs)}"


def asked(axis: str, value: float) -> str:
    """A number of labels, or what they cost, in words."""
    return f"{how_many(axis, value)} labels" if axis == "labels" else f"a cost of {how_many(axis, value)}"


def how_many(axis: str, value: float) -> str:
    """Labels as a whole number, costs to four digits."""
    return f"{round(value):,}" if axis == "labels" or abs(value) >= 1000 else f"{value:.4g}"


def amount(metric: str, value: float) -> str:
    """A value with its unit."""
    unit = f"points of {metric.replace('_', ' ')}" if metric in _SHARES else metric
    return f"{number(metric, value)} {unit}"


def number(metric: str, value: float, *, sign: bool = False) -> str:
    """A value of a metric as people read it: shares in hundredths. sign: with a plus where it is positive."""
    plus = "+" if sign else ""
    if metric in _SHARES:
        return f"{round(100 * value, 1) + 0.0:{plus}.1f}"  # -0.0 + 0.0 is 0.0
    return f"{value:{plus},.0f}" if 1e4 <= abs(value) < 1e15 else f"{value:{plus},.4g}"
