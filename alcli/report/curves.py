"""Learning curves as a picture: the metric itself, and the gain of each strategy over the baseline.

Source: the colours are those of Okabe & Ito, Color Universal Design, 2008, which colour-blind readers can tell apart.
Dashes repeat the distinction.
Cost: one drawing per format. The bytes of the SVG follow from the numbers and the version of matplotlib alone.
"""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from alcli.arrays import Float64
from alcli.report.summary import CONFIDENCE, Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_COLOURS = ("#000000", "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)))
_MARKERS = "osD^vPX"
# Letters of a line of a strategy's name. The name of a mix can have any length, a picture cannot.
_WIDEST = 32
_STYLE = {
    "svg.hashsalt": "alcli",
    "svg.fonttype": "path",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.7,
    "axes.axisbelow": True,
}


def draw(
    curves: Curves, baseline: str, title: str, *, unit: str = "", full_data: float | None = None
) -> dict[str, bytes]:
    """Return the picture as the bytes of a PNG and of an SVG file, by format.

    unit: the unit of costs, where the curves run over costs. full_data: the value that every label together gives,
    drawn as a line.
    """
    return rendered(lambda: _figure(curves, baseline, title, unit, full_data))


def rendered(make: Callable[[], Figure]) -> dict[str, bytes]:
    """Call `make` in the style of all pictures, and return its figure as the bytes of a PNG and of an SVG file."""
    import matplotlib

    # The defaults come first: a user's matplotlibrc must not change the bytes.
    with matplotlib.rc_context({**matplotlib.rcParamsDefault, "backend": "agg", **_STYLE}):
        figure = make()
        return {format: _encode(figure, format) for format in ("png", "svg")}


def colour_and_dash(i: int) -> tuple[str, Any]:
    """Return the colour and the dash of line i of a picture."""
    return _COLOURS[i % len(_COLOURS)], _DASHES[i // len(_COLOURS) % len(_DASHES)]


def wrapped(strategy: str) -> str:
    """Break the name of a strategy into lines that leave room for the axes; a short name stays as it is."""
    if len(strategy) <= _WIDEST:
        return strategy
    return "\n".join(textwrap.wrap(strategy.replace(",", ", "), _WIDEST, break_on_hyphens=False))


def _encode(figure: Figure, format: str) -> bytes:
    out = io.BytesIO()
    # "Date": None keeps the time of day out of the file; a PNG has no such key.
    figure.savefig(out, format=format, dpi=150, metadata={"Date": None} if format == "svg" else None)
    return out.getvalue()


def _figure(curves: Curves, baseline: str, title: str, cost: str, full_data: float | None) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), layout="constrained")
    left, right = figure.subplots(1, 2)
    metric = curves.metric
    scale, unit = (100.0, " (%)") if metric.is_share else (1.0, "")
    _lines(left, curves, {s: scale * v for s, v in curves.values_SP.items()})
    if full_data is not None:
        dash = (0, (6, 2, 1, 2))
        left.axhline(scale * full_data, color="#777777", linewidth=1.0, linestyle=dash, label="every label")
    across = f"cost of the labels ({cost})" if curves.axis == "cost" else "labels"
    left.set(xlabel=across, ylabel=f"test {metric.words}{unit}")
    base_SP = curves.values_SP[baseline]
    _lines(right, curves, {s: scale * (v - base_SP) for s, v in curves.values_SP.items()}, flat=baseline)
    right.set(xlabel=across, ylabel=f"{metric.words} minus {baseline}'s ({_better(curves)})")
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    seeds = "1 seed" if curves.n_seeds == 1 else f"mean of {curves.n_seeds} seeds, {CONFIDENCE:.0%} interval"
    left.set_title(f"learning curves, {seeds}", fontsize=9, loc="left")
    right.set_title(f"paired difference to {baseline}", fontsize=9, loc="left")
    handles, labels = left.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", frameon=False, handlelength=3.2)
    return figure


def _better(curves: Curves) -> str:
    """The words beside the axis of differences: the direction of an improvement, or the unit of a share."""
    if not curves.metric.larger_is_better:
        return "below 0 is better"
    return "points" if curves.metric.is_share else "above 0 is better"


def _lines(axes: Axes, curves: Curves, values_SP: dict[str, Float64], flat: str | None = None) -> None:
    """Draw the mean and the band of every strategy. The strategy `flat` is drawn as a plain line at 0."""
    x_P, styles = curves.x_P, _styles(list(values_SP))
    # Bands of many strategies overlap, so each of them is fainter.
    alpha = min(0.13, 0.6 / len(values_SP))
    for strategy, v_SP in values_SP.items():
        colour, dash, marker = styles[strategy]
        if strategy == flat:
            axes.axhline(0, color=colour, linewidth=1.2)
            continue
        mean_P, half_P = _band(v_SP)
        axes.fill_between(x_P, mean_P - half_P, mean_P + half_P, color=colour, alpha=alpha, linewidth=0)
        axes.plot(
            x_P,
            mean_P,
            color=colour,
            linestyle=dash,
            linewidth=1.6,
            marker=marker,
            markersize=3.6,
            label=wrapped(strategy),
        )


def _styles(strategies: list[str]) -> dict[str, tuple[str, Any, str]]:
    """Return (colour, dash, marker) of every strategy. A modifier changes the dash and keeps the colour."""
    bases = list(dict.fromkeys(name.partition("+")[0] for name in strategies))
    styles = {}
    for name in strategies:
        i = bases.index(name.partition("+")[0])
        same = [other for other in strategies if other.partition("+")[0] == bases[i]]
        dash = _DASHES[(i // len(_COLOURS) + same.index(name)) % len(_DASHES)]
        styles[name] = _COLOURS[i % len(_COLOURS)], dash, _MARKERS[(i + i // len(_COLOURS)) % len(_MARKERS)]
    return styles


def _band(v_SP: Float64) -> tuple[Float64, Float64]:
    """Return the mean over seeds and half the width of Student's t interval, both [P]; the half is 0 for one seed."""
    from scipy.special import stdtrit

    n = len(v_SP)
    if n < 2:
        return v_SP.mean(axis=0), np.zeros(v_SP.shape[1])
    half_P = stdtrit(n - 1, (1 + CONFIDENCE) / 2) * v_SP.std(axis=0, ddof=1) / np.sqrt(n)
    return v_SP.mean(axis=0), half_P
