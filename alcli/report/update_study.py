"""The study of updates as tables and as one picture of four panels.

Source: the figures of Huseljic et al. 2025, section 5: step size, growing sets of new labels, learning stages,
speed-up.
Cost: one drawing per format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alcli.report.curves import colour_and_dash, rendered
from alcli.simulation.update_methods import MEASURES
from alcli.simulation.update_study import GROWING, STAGES, STEP_SIZE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASE, TARGET, AUTO = "base", "retrain", "second-order auto"
# The panel of step sizes shows these methods already.
_NOT_DRAWN = frozenset({"second-order gamma 1", "second-order gamma 5", "second-order gamma 30"})
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Table:
    """A table in words, ready to be shown."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def means(rows: Rows) -> list[dict[str, Any]]:
    """Return one row per experiment, size, method and step size.

    Measures are means over seeds, with their standard errors as NAME_se (None for one seed); seconds are medians.
    """
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    names = ("experiment", "n_labelled", "n_new", "method", "gamma")
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return [dict(zip(names, key)) | _measures(group) for key, group in groups.items()]


def recovered(found: Rows, n_new: int | None = None) -> dict[str, float]:
    """Return per method the share of retraining's gain in accuracy; NaN where retraining gains nothing.

    found: the rows of `means`. n_new: one size of the growing sets of new labels; None takes all sizes together.
    """
    by_method: dict[str, float] = {}
    for row in found:
        if row["experiment"] == GROWING and n_new in (None, row["n_new"]):
            by_method[row["method"]] = by_method.get(row["method"], 0.0) + row["accuracy"]
    base = by_method[BASE]
    gain = by_method[TARGET] - base
    return {method: (total - base) / gain if gain > 0 else float("nan") for method, total in by_method.items()}


def tables(rows: Rows) -> list[Table]:
    """Return the tables of growing sets, learning stages, time and step sizes."""
    found = means(rows)
    growing, stages, steps = ([r for r in found if r["experiment"] == e] for e in (GROWING, STAGES, STEP_SIZE))
    share, last = recovered(found), max(r["n_new"] for r in growing)
    labelled, added = growing[0]["n_labelled"], stages[0]["n_new"]
    absorbing = [r for r in stages if r["method"] != BASE]
    updating = {r["n_labelled"]: r["seconds"] for r in stages if r["method"] == AUTO}
    by_gamma = [r | {"method": f"gamma {r['gamma']:g}"} for r in steps]
    after, on_top = f"after {labelled} labels and so many new ones", f"{added} new labels on top of so many"
    more = {
        "of retraining's gain": lambda method: f"{100 * share[method]:.0f} %",
        f"nll at +{last}": lambda method: f"{_at(growing, method, last)['nll']:.3f}",
    }
    return [
        _table(f"accuracy % {after}", growing, "n_new", _percent, more),
        _table(f"accuracy % after {on_top}", stages, "n_labelled", _percent),
        _table(f"milliseconds to absorb {on_top}", absorbing, "n_labelled", lambda r: f"{1e3 * r['seconds']:.3g}"),
        _table(
            f"time as a multiple of '{AUTO}'",
            absorbing,
            "n_labelled",
            lambda r: f"{r['seconds'] / updating[r['n_labelled']]:.3g}",
        ),
        _table(f"second-order with curvature 1: accuracy % {after}", by_gamma, "n_new", _percent),
    ]


def draw(rows: Rows, title: str) -> dict[str, bytes]:
    """Return the picture as the bytes of a PNG and of an SVG file, by format."""
    return rendered(lambda: _figure(means(rows), title))


def _measures(group: Rows) -> dict[str, Any]:
    out: dict[str, Any] = {"seeds": len(group)}
    for name in (measure.name for measure in MEASURES):
        values = np.array([row[name] for row in group])
        error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
        out |= {name: float(values.mean()), f"{name}_se": error}
    weights = [row["ess"] for row in group if row["ess"] is not None]
    seconds = float(np.median([row["seconds"] for row in group]))
    return out | {"seconds": seconds, "ess": float(np.mean(weights)) if weights else None}


def _table(
    title: str,
    rows: Rows,
    axis: str,
    cell: Callable[[Any], str],
    more: Mapping[str, Callable[[str], str]] | None = None,
) -> Table:
    """Make a table with a line per method and a column per size. more: further columns, from the name of a method."""
    more = more or {}
    sizes = sorted({row[axis] for row in rows})
    by_place = {(row["method"], row[axis]): row for row in rows}
    methods = dict.fromkeys(row["method"] for row in rows)
    body = [(m, *(cell(by_place[m, size]) for size in sizes), *(one(m) for one in more.values())) for m in methods]
    return Table(title, ("method", *map(str, sizes), *more), tuple(body))


def _percent(row: Mapping[str, Any]) -> str:
    return f"{100 * row['accuracy']:.1f}"


def _at(rows: Rows, method: str, n_new: int) -> Mapping[str, Any]:
    return next(row for row in rows if row["method"] == method and row["n_new"] == n_new)


def _figure(found: Rows, title: str) -> Figure:
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 7.4), layout="constrained")
    shown = [r for r in found if r["method"] not in _NOT_DRAWN]
    growing, stages, steps = ([r for r in shown if r["experiment"] == e] for e in (GROWING, STAGES, STEP_SIZE))
    style = {m: i for i, m in enumerate(dict.fromkeys(r["method"] for r in [*growing, *stages]))}
    (gamma, sets), (stage, speed) = figure.subplots(2, 2)
    _step_sizes(gamma, steps, growing)
    _growing_sets(sets, growing, style)
    for axes in (gamma, sets):
        _limit(axes, [100 * r["accuracy"] for r in growing if r["method"] in (TARGET, BASE)])
    _learning_stages(stage, stages, style)
    _times(speed, stages, style)
    for axes in (stage, speed):
        _plain_ticks(axes, sorted({r["n_labelled"] for r in stages}))
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    handles = {label: h for axes in (sets, stage) for h, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside right center", frameon=False, handlelength=3.2)
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
            axes.axhline(100 * _at(growing, name, size)["accuracy"], color=colour, linestyle=dash, linewidth=1)
    axes.set(xscale="log", xlabel="step size gamma, curvature 1", ylabel="test accuracy (%)")
    _plain_ticks(axes, [r["gamma"] for r in steps])
    axes.set_title("step size (dashed: auto, dotted: retrain)", fontsize=9, loc="left")
    axes.legend(frameon=False, fontsize=8)


def _growing_sets(axes: Axes, growing: Rows, style: Mapping[str, int]) -> None:
    _lines(axes, growing, "n_new", style, lambda r: 100 * r["accuracy"])
    axes.set(xlabel=f"new labels after {growing[0]['n_labelled']}", ylabel="test accuracy (%)")
    axes.set_title("growing sets of new labels", fontsize=9, loc="left")


def _learning_stages(axes: Axes, stages: Rows, style: Mapping[str, int]) -> None:
    base = {r["n_labelled"]: r["accuracy"] for r in stages if r["method"] == BASE}

    def gain(row: Mapping[str, Any]) -> float:
        return float(100 * (row["accuracy"] - base[row["n_labelled"]]))

    _lines(axes, stages, "n_labelled", style, gain)
    _limit(axes, [0.0, *(gain(r) for r in stages if r["method"] == TARGET)])
    axes.set(xlabel="labels before", ylabel="accuracy gained (points)", xscale="log")
    axes.set_title(f"learning stages: {stages[0]['n_new']} new labels", fontsize=9, loc="left")


def _times(axes: Axes, stages: Rows, style: Mapping[str, int]) -> None:
    absorbing = [r for r in stages if r["method"] != BASE]
    _lines(axes, absorbing, "n_labelled", style, lambda r: 1e3 * r["seconds"])
    axes.set(xlabel="labels before", ylabel="milliseconds", xscale="log", yscale="log")
    axes.set_title(f"time to absorb {stages[0]['n_new']} new labels", fontsize=9, loc="left")


def _limit(axes: Axes, between: Sequence[float]) -> None:
    """Show the range between the old head and retraining, with a margin; values far below it are cut off."""
    low, high = min(between), max(between)
    room = max(high - low, 0.5)
    axes.set_ylim(low - 0.7 * room, high + 0.15 * room)


def _plain_ticks(axes: Axes, values: Iterable[float]) -> None:
    """Put the ticks of a logarithmic axis at the values themselves."""
    ticks = sorted(set(values))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _lines(axes: Axes, rows: Rows, axis: str, style: Mapping[str, int], value: Callable[[Any], float]) -> None:
    """Draw one line per method. style: the number of a method's colour and dash."""
    for method in dict.fromkeys(row["method"] for row in rows):
        some = sorted((row for row in rows if row["method"] == method), key=lambda row: row[axis])
        colour, dash = colour_and_dash(style[method])
        x, y = [r[axis] for r in some], [value(r) for r in some]
        axes.plot(x, y, color=colour, linestyle=dash, linewidth=1.6, marker="o", markersize=3, label=method)
