"""The study of updates as one picture of four panels.

Source: the figures of Huseljic et al. 2025, section 5: step size, growing sets of new labels, learning stages,
speed-up.
Cost: one drawing per format.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from alcli.errors import printable
from alcli.report.pictures import Appearance, colour_and_dash, is_narrow, legend, rendered
from alcli.report.update_study import Row, Rows, best_steps, growing_rows, means
from alcli.simulation.update_methods import AUTO, BASE, TARGET
from alcli.simulation.update_study import STAGES, STEP_SIZE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The panel of step sizes shows these methods already, or they lie on the line of another one.
_NOT_DRAWN = frozenset(
    {
        "warm refit",
        "second-order auto, class by class",
        "second-order auto, batch",
        *(f"second-order gamma {gamma}" for gamma in (1, 5, 30)),
    }
)
_WIDTH = 11.0


def draw(rows: Rows, title: str, look: Appearance) -> dict[str, bytes]:
    """Return the picture as the bytes of a file, by format."""
    return rendered(lambda: _figure(means(rows), title, look.width or _WIDTH), look)


def title_of(config: Mapping[str, Any]) -> str:
    """The title of the picture of a study, from its configuration."""
    seeds = f"{config['seeds']} seed{'s' if config['seeds'] > 1 else ''}"
    return f"{printable(config['pool']['name'])}: updates against retraining, mean of {seeds}"


def _figure(found: Rows, title: str, width: float) -> Figure:
    from matplotlib.figure import Figure

    narrow = is_narrow(width)
    figure = Figure(figsize=(width, 4 * 2.4 + 1.5 if narrow else 0.67 * width), layout="constrained")
    shown = [row for row in found if row["method"] not in _NOT_DRAWN]
    steps = [row for row in shown if row["experiment"] == STEP_SIZE and row["method"] == "second-order"]
    best = {method: step for method, step in best_steps(found).items() if method != "second-order"}
    growing = growing_rows([row for row in shown if row["method"] != "second-order"], best)
    stages = [row for row in shown if row["experiment"] == STAGES]
    style = {m: i for i, m in enumerate(dict.fromkeys(r["method"] for r in [*growing, *stages]))}
    gamma, sets, stage, speed = figure.subplots(*((4, 1) if narrow else (2, 2))).ravel()
    _step_sizes(gamma, steps, growing)
    _growing_sets(sets, growing, style)
    for axes in (gamma, sets):
        _limit(axes, [100 * r["accuracy"] for r in growing if r["method"] in (TARGET, BASE)])
    _learning_stages(stage, stages, style)
    _times(speed, stages, style)
    for axes in (stage, speed):
        ticks = {r["n_labelled"]: f"{r['n_labelled']}+{r['n_new']}" for r in stages}
        _plain_ticks(axes, ticks)
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    handles = {label: h for axes in (sets, stage) for h, label in zip(*axes.get_legend_handles_labels())}
    legend(figure, list(handles.values()), list(handles.keys()))
    return figure


def _step_sizes(axes: Axes, steps: Rows, growing: Rows) -> None:
    """Draw accuracy by step size for the smallest, a middling and the largest set; retraining and auto are levels."""
    sizes = sorted({r["n_new"] for r in steps})
    for i, size in enumerate(dict.fromkeys([sizes[0], sizes[len(sizes) // 2], sizes[-1]])):
        colour, _ = colour_and_dash(i + 1)
        some = [r for r in steps if r["n_new"] == size]
        gammas, accuracies = [r["gamma"] for r in some], [100 * r["accuracy"] for r in some]
        axes.plot(gammas, accuracies, color=colour, marker="o", markersize=3.6, label=f"+{size}")
        for name, dash in ((TARGET, ":"), (AUTO, "--")):
            level = next(r["accuracy"] for r in growing if r["method"] == name and r["n_new"] == size)
            axes.axhline(100 * level, color=colour, linestyle=dash, linewidth=1)
    axes.set(xscale="log", xlabel="step size gamma, curvature 1", ylabel="test accuracy (%)")
    _plain_ticks(axes, {r["gamma"]: f"{r['gamma']:g}" for r in steps})
    axes.set_title("step size (dashed: auto, dotted: retrain)", fontsize=9, loc="left")
    axes.legend(frameon=False, fontsize=8)


def _growing_sets(axes: Axes, growing: Rows, style: Mapping[str, int]) -> None:
    _lines(axes, growing, "n_new", style, lambda r: 100 * r["accuracy"])
    axes.set(xlabel=f"new labels after {growing[0]['n_labelled']}", ylabel="test accuracy (%)")
    axes.set_title("growing sets of new labels", fontsize=9, loc="left")


def _learning_stages(axes: Axes, stages: Rows, style: Mapping[str, int]) -> None:
    base = {r["n_labelled"]: r["accuracy"] for r in stages if r["method"] == BASE}

    def gain(row: Row) -> float:
        return float(100 * (row["accuracy"] - base[row["n_labelled"]]))

    _lines(axes, stages, "n_labelled", style, gain)
    _limit(axes, [0.0, *(gain(r) for r in stages if r["method"] == TARGET)])
    axes.set(xlabel="labels before + new", ylabel="accuracy gained (points)", xscale="log")
    axes.set_title("learning stages", fontsize=9, loc="left")


def _times(axes: Axes, stages: Rows, style: Mapping[str, int]) -> None:
    absorbing = [r for r in stages if r["method"] != BASE]
    _lines(axes, absorbing, "n_labelled", style, lambda r: 1e3 * r["seconds"])
    axes.set(xlabel="labels before + new", ylabel="milliseconds of one core", xscale="log", yscale="log")
    # The formatter of logarithmic axes writes formulas, which pictures do not show.
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title("time to absorb", fontsize=9, loc="left")


def _limit(axes: Axes, between: Sequence[float]) -> None:
    """Show the range between the old head and retraining, with a margin; values far below it are cut off."""
    low, high = min(between), max(between)
    room = max(high - low, 0.5)
    axes.set_ylim(low - 0.7 * room, high + 0.15 * room)


def _plain_ticks(axes: Axes, labels: Mapping[float, str]) -> None:
    """Put the ticks of a logarithmic axis at the values themselves. labels: by value."""
    axes.set_xticks(list(labels), list(labels.values()))
    axes.minorticks_off()


def _lines(axes: Axes, rows: Rows, axis: str, style: Mapping[str, int], value: Callable[[Row], float]) -> None:
    """Draw one line per method. style: the number of a method's colour and dash."""
    for method in dict.fromkeys(row["method"] for row in rows):
        some = sorted((row for row in rows if row["method"] == method), key=lambda row: row[axis])
        colour, dash = colour_and_dash(style[method])
        x, y = [r[axis] for r in some], [value(r) for r in some]
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.6, marker="o", markersize=3, label=method)
