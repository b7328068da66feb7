"""What a summary means, in one sentence per strategy."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from alcli.report.summary import Line

ORACLE_REMARK = "; an oracle: it is told true labels, so it is no strategy to use"
_SHARES = frozenset({"accuracy", "balanced_accuracy", "macro_f1"})


def verdicts(lines: Sequence[Line], baseline: str, *, smaller_is_better: bool, oracles: Collection[str] = ()) -> list[str]:
    """One sentence for every strategy but the baseline. oracles: names of those who are told true labels, which is said."""
    base = next(line for line in lines if line.strategy == baseline)
    said = {line.strategy: _verdict(line, base, smaller_is_better) for line in lines if line is not base}
    return [text + (ORACLE_REMARK if name in oracles else "") for name, text in said.items()]


def _verdict(line: Line, base: Line, smaller_is_better: bool) -> str:
    assert line.difference is not None
    size = amount(line.metric, abs(line.difference))
    direction = "lower" if line.difference < 0 else "higher"
    if line.low is None or line.high is None:
        return f"{line.strategy}: {size} {direction} than {base.strategy} on average over the curve (one seed, so no interval)"
    # The interval is told in the direction of an improvement, so that its signs match the words.
    sign = -1 if smaller_is_better else 1
    low, high = sorted((sign * line.low, sign * line.high))
    interval = f"95% CI {number(line.metric, low)} to {number(line.metric, high)}"
    if low <= 0 <= high:
        return f"{line.strategy}: not distinguishable from {base.strategy} ({size} {direction} on average over the curve, {interval})"
    if low > 0:
        return f"{line.strategy}: better than {base.strategy} by {size} on average over the curve ({interval}){_saving(line, base)}"
    low, high = -high, -low
    interval = f"95% CI {number(line.metric, low)} to {number(line.metric, high)}"
    return f"{line.strategy}: worse than {base.strategy} by {size} on average over the curve ({interval})"


def _saving(line: Line, base: Line) -> str:
    ours, theirs = line.labels_to[-1], base.labels_to[-1]
    if ours is None or theirs is None or ours >= theirs:
        return ""
    return f"; reaches what {base.strategy} ends with at {ours:,.0f} labels instead of {theirs:,.0f}"


def amount(metric: str, value: float) -> str:
    """A value with its unit."""
    unit = f"points of {metric.replace('_', ' ')}" if metric in _SHARES else metric
    return f"{number(metric, value)} {unit}"


def number(metric: str, value: float, *, sign: bool = False) -> str:
    """A value of a metric as people read it: shares in hundredths. sign: with a plus where it is positive."""
    plus = "+" if sign else ""
    return f"{100 * value:{plus}.1f}" if metric in _SHARES else f"{value:{plus},.4g}"
