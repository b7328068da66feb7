"""Learning curves as a picture: the metric itself, and the gain of each strategy over the baseline.

Where there are many strategies, the best few and the baseline are drawn in colour, the rest in grey.
Cost: one drawing per format.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alcli.arrays import Float64
from alcli.report.pictures import COLOURS, DASHES, Appearance, is_narrow, legend, rendered, wrapped
from alcli.report.summary import CONFIDENCE, Curves, areas

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_MARKERS = "osD^vPX"
# Curves of more strategies than these cannot be told apart: the best few beside the baseline are in colour.
_MOST_IN_COLOUR = 8
_BEST = 5
_GREY, _IN_GREY = "#b8b8b8", "in grey: "
_MOST_TICKS = 8
_WIDTH, _TALLEST = 11.0, 4.6
Style = tuple[str, Any, str]


@dataclass(frozen=True)
class Drawn:
    """The curves of a picture. baseline: its strategy. title: above the panels. unit: of costs, where the curves run
    over costs. full_data: the value that every label together gives, drawn as a line.
    """

    curves: Curves
    baseline: str
    title: str
    unit: str = ""
    full_data: float | None = None


def draw(drawn: Drawn, look: Appearance) -> dict[str, bytes]:
    """Return the picture as the bytes of a file, by format."""
    return rendered(lambda: figure_of(drawn, look.width or _WIDTH), look)


def figure_of(drawn: Drawn, width: float) -> Figure:
    """Return the picture at a width in inches. Its texts are not broken into lines yet."""
    from matplotlib.figure import Figure

    curves, baseline, narrow = drawn.curves, drawn.baseline, is_narrow(width)
    height = 2 * max(2.2, 0.62 * width) if narrow else min(_TALLEST, 0.42 * width)
    figure = Figure(figsize=(width, height + (0.18 * len(curves.values_SP) if narrow else 0.0)), layout="constrained")
    above, below = figure.subplots(2, 1) if narrow else figure.subplots(1, 2)
    metric, styles = curves.metric, _styles(_in_colour(curves, baseline))
    scale, unit = (100.0, " (%)") if metric.is_share else (1.0, "")
    limits = (0.0, scale) if metric.is_share else (-np.inf, np.inf)
    _lines(above, curves, {s: scale * v for s, v in curves.values_SP.items()}, styles, limits=limits)
    if drawn.full_data is not None:
        dash = (0, (6, 2, 1, 2))
        above.axhline(scale * drawn.full_data, color="#777777", linewidth=1.0, linestyle=dash, label="every label")
    across = f"cost of the labels ({drawn.unit})" if curves.axis == "cost" else "labels"
    above.set(xlabel=across, ylabel=f"test {metric.words}{unit}")
    base_SP = curves.values_SP[baseline]
    _lines(below, curves, {s: scale * (v - base_SP) for s, v in curves.values_SP.items()}, styles, flat=baseline)
    below.set(xlabel=across, ylabel=f"{metric.words} minus {baseline}'s ({_better(curves)})")
    figure.suptitle(drawn.title, fontsize=10, x=0.01, ha="left")
    seeds = "1 seed" if curves.n_seeds == 1 else f"mean of {curves.n_seeds} seeds, {CONFIDENCE:.0%} interval"
    above.set_title(f"learning curves, {seeds}", fontsize=9, loc="left")
    below.set_title(f"paired difference to {baseline}", fontsize=9, loc="left")
    named = sorted(zip(*above.get_legend_handles_labels()), key=lambda pair: pair[1].startswith(_IN_GREY))
    legend(figure, [handle for handle, _ in named], [wrapped(label) for _, label in named])
    return figure


def _in_colour(curves: Curves, baseline: str) -> list[str]:
    """The strategies to draw in colour, in their order: all, or the baseline and the best few of many."""
    names = list(curves.values_SP)
    if len(names) <= _MOST_IN_COLOUR:
        return names
    sign = -1 if curves.metric.larger_is_better else 1
    others = [name for name in names if name != baseline]
    best = sorted(others, key=lambda name: sign * float(areas(curves, name).mean()))[:_BEST]
    return [name for name in names if name == baseline or name in best]


def _better(curves: Curves) -> str:
    """The words beside the axis of differences: the direction of an improvement, or the unit of a share."""
    if not curves.metric.larger_is_better:
        return "below 0 is better"
    return "points" if curves.metric.is_share else "above 0 is better"


def _lines(
    axes: Axes,
    curves: Curves,
    values_SP: dict[str, Float64],
    styles: dict[str, Style],
    *,
    flat: str | None = None,
    limits: tuple[float, float] = (-np.inf, np.inf),
) -> None:
    """Draw the mean of every strategy, and the band of those in colour.

    flat: a strategy that is drawn as a plain line at 0. limits: the values that a metric can have; bands end there.
    """
    x_P = curves.x_P
    # Bands of many strategies overlap, so each of them is fainter.
    alpha = min(0.13, 0.6 / len(styles))
    grey = [strategy for strategy in values_SP if strategy not in styles]
    for strategy in grey:
        label = f"{_IN_GREY}{', '.join(grey)}" if strategy == grey[0] else None
        axes.plot(x_P, values_SP[strategy].mean(axis=0), color=_GREY, linewidth=0.8, label=label, zorder=1.5)
    for strategy, (colour, dash, marker) in styles.items():
        if strategy == flat:
            axes.axhline(0, color=colour, linewidth=1.2)
            continue
        mean_P, half_P = _band(values_SP[strategy])
        low_P, high_P = np.clip(mean_P - half_P, *limits), np.clip(mean_P + half_P, *limits)
        axes.fill_between(x_P, low_P, high_P, color=colour, alpha=alpha, linewidth=0)
        line = {"color": colour, "linestyle": dash, "linewidth": 1.6, "marker": marker, "markersize": 3.6}
        axes.plot(x_P, mean_P, label=strategy, **line)
    if curves.axis == "labels":
        # A tick at every round, or at every second one, and so on.
        axes.set_xticks(x_P[:: -(-len(x_P) // _MOST_TICKS)])


def _styles(strategies: list[str]) -> dict[str, Style]:
    """Return (colour, dash, marker) of every strategy. A modifier changes the dash and keeps the colour."""
    bases = list(dict.fromkeys(name.partition("+")[0] for name in strategies))
    styles = {}
    for name in strategies:
        i = bases.index(name.partition("+")[0])
        same = [other for other in strategies if other.partition("+")[0] == bases[i]]
        dash = DASHES[(i // len(COLOURS) + same.index(name)) % len(DASHES)]
        styles[name] = COLOURS[i % len(COLOURS)], dash, _MARKERS[(i + i // len(COLOURS)) % len(_MARKERS)]
    return styles


def _band(v_SP: Float64) -> tuple[Float64, Float64]:
    """Return the mean over seeds and half the width of Student's t interval, both [P]; the half is 0 for one seed."""
    from scipy.special import stdtrit

    n = len(v_SP)
    if n < 2:
        return v_SP.mean(axis=0), np.zeros(v_SP.shape[1])
    half_P = stdtrit(n - 1, (1 + CONFIDENCE) / 2) * v_SP.std(axis=0, ddof=1) / np.sqrt(n)
    return v_SP.mean(axis=0), half_P
