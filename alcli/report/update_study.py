"""The study of updates as tables and as one picture of four panels.

Source: the figures of Huseljic et al. 2025, section 5: step size, growing sets of new labels, learning stages, speed-up.
Cost: one drawing per format.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from alcli.report.curves import colour_and_dash, rendered
from alcli.simulation.update_study import GROWING, STAGES, STEP_SIZE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

BASE, TARGET, AUTO = "base", "retrain", "second-order auto"
_NOT_DRAWN = frozenset({"second-order gamma 1", "second-order gamma 5", "second-order gamma 30"})  # the first panel has all step sizes
Rows = Sequence[Mapping[str, Any]]


@dataclass(frozen=True)
class Table:
    """A table in words, ready to be shown."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def means(rows: Rows) -> list[dict[str, Any]]:
    """One row per experiment, size, method and step size: mean and standard error over seeds of the measures, median seconds."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["experiment"], row["n_labelled"], row["n_new"], row["method"], row["gamma"]), []).append(row)
    names = ("experiment", "n_labelled", "n_new", "method", "gamma")
    return [dict(zip(names, key)) | _measures(group) for key, group in groups.items()]


def recovered(found: Rows, n_new: int | None = None) -> dict[str, float]:
    """Per method the share of retraining's gain in accuracy, over growing sets of new labels together or at one size."""
    by_method: dict[str, float] = {}
    for row in found:
        if row["experiment"] == GROWING and n_new in (None, row["n_new"]):
            by_method[row["method"]] = by_method.get(row["method"], 0.0) + row["accuracy"]
    gain = by_method[TARGET] - by_method[BASE]
    return {method: (total - by_method[BASE]) / gain if gain > 0 else float("nan") for method, total in by_method.items()}


def tables(rows: Rows) -> list[Table]:
    """Growing sets, learning stages, time, step sizes."""
    found = means(rows)
    growing, stages, steps = ([r for r in found if r["experiment"] == e] for e in (GROWING, STAGES, STEP_SIZE))
    share, last = recovered(found), max(r["n_new"] for r in growing)
    labelled, added = growing[0]["n_labelled"], stages[0]["n_new"]
    more = {"of retraining's gain": lambda method: f"{100 * share[method]:.0f} %", f"nll at +{last}": lambda m: f"{_at(growing, m, last)['nll']:.3f}"}
    absorbing = [r for r in stages if r["method"] != BASE]
    updating = {r["n_labelled"]: r["seconds"] for r in stages if r["method"] == AUTO}
    return [
        _table(f"accuracy % after {labelled} labels and so many new ones", growing, "n_new", _percent, more),
        _table(f"accuracy % after {added} new labels on top of so many", stages, "n_labelled", _percent, {}),
        _table(f"milliseconds to absorb {added} new labels on top of so many", absorbing, "n_labelled", lambda r: f"{1e3 * r['seconds']:.3g}", {}),
        _table(f"time as a multiple of '{AUTO}'", absorbing, "n_labelled", lambda r: f"{r['seconds'] / updating[r['n_labelled']]:.3g}", {}),
        _table(f"second-order with curvature 1: accuracy % after {labelled} labels and so many new ones", [r | {"method": f"gamma {r['gamma']:g}"} for r in steps], "n_new", _percent, {}),
    ]  # fmt: skip


def draw(rows: Rows, title: str) -> dict[str, bytes]:
    """The picture as the bytes of a PNG and of an SVG file, by format."""
    return rendered(lambda: _figure(means(rows), title))


def _measures(group: Rows) -> dict[str, Any]:
    out: dict[str, Any] = {"seeds": len(group)}
    for name in ("accuracy", "nll"):
        values = np.array([row[name] for row in group])
        out |= {name: float(values.mean()), f"{name}_se": float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None}
    weights = [row["ess"] for row in group if row["ess"] is not None]
    return out | {"seconds": float(np.median([row["seconds"] for row in group])), "ess": float(np.mean(weights)) if weights else None}


def _table(title: str, rows: Rows, axis: str, cell: Callable[[Any], str], more: Mapping[str, Callable[[str], str]]) -> Table:
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
    _lines(sets, growing, "n_new", style, lambda r: 100 * r["accuracy"])
    sets.set(xlabel=f"new labels after {growing[0]['n_labelled']}", ylabel="test accuracy (%)")
    sets.set_title("growing sets of new labels", fontsize=9, loc="left")
    base = {r["n_labelled"]: r["accuracy"] for r in stages if r["method"] == BASE}
    _lines(stage, stages, "n_labelled", style, lambda r: 100 * (r["accuracy"] - base[r["n_labelled"]]))
    stage.set(xlabel="labels before", ylabel="accuracy gained (points)", xscale="log")
    stage.set_title(f"learning stages: {stages[0]['n_new']} new labels", fontsize=9, loc="left")
    _lines(speed, [r for r in stages if r["method"] != BASE], "n_labelled", style, lambda r: 1e3 * r["seconds"])
    speed.set(xlabel="labels before", ylabel="milliseconds", xscale="log", yscale="log")
    speed.set_title(f"time to absorb {stages[0]['n_new']} new labels", fontsize=9, loc="left")
    for axes in (stage, speed):
        _plain_ticks(axes, sorted(base))
    for axes in (gamma, sets):
        _limit(axes, [100 * r["accuracy"] for r in growing if r["method"] in (TARGET, BASE)])
    _limit(stage, [0.0, *(100 * (r["accuracy"] - base[r["n_labelled"]]) for r in stages if r["method"] == TARGET)])
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    handles = {label: h for axes in (sets, stage) for h, label in zip(*axes.get_legend_handles_labels())}
    figure.legend(handles.values(), handles.keys(), loc="outside right center", frameon=False, handlelength=3.2)
    return figure


def _step_sizes(axes: Axes, steps: Rows, growing: Rows) -> None:
    """Accuracy by step size for the least, a middling and the largest set; retraining and auto as levels."""
    sizes = sorted({r["n_new"] for r in steps})
    for i, size in enumerate(dict.fromkeys([sizes[0], sizes[len(sizes) // 2], sizes[-1]])):
        colour, _ = colour_and_dash(i + 1)
        some = [r for r in steps if r["n_new"] == size]
        axes.plot([r["gamma"] for r in some], [100 * r["accuracy"] for r in some], color=colour, marker="o", markersize=3.6, label=f"+{size}")
        for name, dash in ((TARGET, ":"), (AUTO, "--")):
            axes.axhline(100 * _at(growing, name, size)["accuracy"], color=colour, linestyle=dash, linewidth=1)
    axes.set(xscale="log", xlabel="step size gamma, curvature 1", ylabel="test accuracy (%)")
    _plain_ticks(axes, [r["gamma"] for r in steps])
    axes.set_title("step size (dashed: auto, dotted: retrain)", fontsize=9, loc="left")
    axes.legend(frameon=False, fontsize=8)


def _limit(axes: Axes, between: Sequence[float]) -> None:
    """Show what lies around the old head and retraining; what falls far below leaves the picture."""
    low, high = min(between), max(between)
    room = max(high - low, 0.5)
    axes.set_ylim(low - 0.7 * room, high + 0.15 * room)


def _plain_ticks(axes: Axes, values: Iterable[float]) -> None:
    """The values themselves as ticks of a logarithmic axis."""
    ticks = sorted(set(values))
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()


def _lines(axes: Axes, rows: Rows, axis: str, style: Mapping[str, int], value: Callable[[Any], float]) -> None:
    for method in dict.fromkeys(row["method"] for row in rows):
        some = sorted((row for row in rows if row["method"] == method), key=lambda row: row[axis])
        colour, dash = colour_and_dash(style[method])
        axes.plot([r[axis] for r in some], [value(r) for r in some], color=colour, linestyle=dash, linewidth=1.6, marker="o", markersize=3, label=method)
