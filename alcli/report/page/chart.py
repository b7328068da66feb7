"""Learning curves as a chart of the page: where lines, points, intervals and ticks stand.

Dashes and shapes of points repeat what colours say.
Cost: linear in the points.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from alcli.report.page.contents import SHAPES, Chart, Dot, Drawing, Tick
from alcli.report.pictures import library

# Curves of a chart; more cannot be told apart.
MOST = 7
_WIDTH, _HEIGHT = 860, 360
_BOX = (64.0, 16.0, 640.0, 300.0)
_DASHES = ("", "7 4", "2 3", "10 3 2 3", "5 2", "1 4", "12 4")
_TICKS = 6


@dataclass(frozen=True)
class CurvePoint:
    """A point of a curve: x, y, and the ends of its interval where it has one."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


def chart(curves: Mapping[str, Sequence[CurvePoint]], *, x_label: str, y_label: str, words: str, share: bool) -> Chart:
    """Return the chart of up to `MOST` curves by name, none of them empty. share: y is a share, shown in hundredths.

    words: what the chart shows, in a sentence.
    """
    points = [point for curve in curves.values() for point in curve]
    ys = [y for point in points for y in (point.y, point.low, point.high) if y is not None]
    across, up = _ticks([point.x for point in points], whole=True), _ticks(ys, whole=False)
    if share:
        up = [tick for tick in up if -1e-9 <= tick <= 1 + 1e-9]
    left, top, width, height = _BOX
    x_low, x_high = min(across[0], *(p.x for p in points)), max(across[-1], *(p.x for p in points))
    y_low, y_high = min(up[0], *ys), max(up[-1], *ys)

    def x_of(value: float) -> float:
        return round(left + width * (value - x_low) / (x_high - x_low), 1)

    def y_of(value: float) -> float:
        return round(top + height * (y_high - value) / (y_high - y_low), 1)

    def shown(value: float) -> str:
        return f"{100 * value:.1f}%" if share else f"{value:.4g}"

    def dot(point: CurvePoint) -> Dot:
        has = point.low is not None and point.high is not None
        interval = f" (95% interval {shown(point.low or 0.0)} to {shown(point.high or 0.0)})" if has else ""
        ends = (y_of(point.low or 0.0), y_of(point.high or 0.0)) if has else (None, None)
        return Dot(x_of(point.x), y_of(point.y), f"{point.x:,.6g}: {shown(point.y)}{interval}", *ends)

    drawings = []
    for number, (name, curve) in enumerate(curves.items()):
        dots = [dot(point) for point in curve]
        path = "M" + "L".join(f"{one.x:g} {one.y:g}" for one in dots)
        drawings.append(Drawing(name, number, SHAPES[number], _DASHES[number], path, dots))
    return Chart(
        _WIDTH,
        _HEIGHT,
        _BOX,
        [Tick(x_of(value), f"{value:,.6g}") for value in across],
        [Tick(y_of(value), f"{100 * value:.4g}%" if share else f"{value:.4g}") for value in up],
        drawings,
        x_label,
        y_label,
        words,
    )


def _ticks(values: Sequence[float], *, whole: bool) -> list[float]:
    """Round numbers from below the least value to above the largest one; two at least."""
    with library():
        from matplotlib.ticker import MaxNLocator

    low, high = min(values), max(values)
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        # The interval of a single value: without a width nothing can be drawn.
        reach = 1.0 if whole else max(0.01, abs(low) * 0.05)
        low, high = low - reach, high + reach
    return [float(value) for value in MaxNLocator(_TICKS, integer=whole).tick_values(low, high)]
