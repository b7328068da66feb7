"""The study of updates as tables.

Source: the figures of Huseljic et al. 2025, section 5 and appendix B: growing sets, learning stages, speed-up, steps.
Cost: a few passes over the rows of the study.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alcli.simulation.update_methods import AUTO, BASE, MEASURES, SWEEPS, TARGET
from alcli.simulation.update_study import GROWING, STAGES, STEP_SIZE

Row = Mapping[str, Any]
Rows = Sequence[Row]


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
    groups: dict[tuple[Any, ...], list[Row]] = {}
    names = ("experiment", "n_labelled", "n_new", "method", "gamma")
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    return [dict(zip(names, key)) | _measures(group) for key, group in groups.items()]


def best_steps(rows: Rows) -> dict[str, float]:
    """Return per swept method the step size of the highest accuracy, the mean over seeds and sizes.

    Accuracy is that of the test rows, so the choice is the most favourable one for the method.
    """
    totals: dict[str, dict[float, float]] = {}
    for row in _of(rows, STEP_SIZE):
        by_gamma = totals.setdefault(row["method"], {})
        by_gamma[row["gamma"]] = by_gamma.get(row["gamma"], 0.0) + row["accuracy"]
    return {method: max(by_gamma, key=by_gamma.__getitem__) for method, by_gamma in totals.items()}


def growing_rows(rows: Rows, best: Mapping[str, float]) -> list[Row]:
    """Return the rows of growing sets; then those of each swept method at its best step, as a method of its own."""
    chosen = [row for row in _of(rows, STEP_SIZE) if row["gamma"] == best[row["method"]]]
    return _of(rows, GROWING) + [
        {**row, "experiment": GROWING, "method": f"{row['method']}, best step {row['gamma']:g}"} for row in chosen
    ]


def recovered(rows: Rows) -> dict[str, float]:
    """Return per method the share of retraining's gain in accuracy; NaN where retraining gains nothing.

    rows: of one experiment, with the same sizes and seeds for each method. Their accuracies are added up.
    """
    totals: dict[str, float] = {}
    for row in rows:
        totals[row["method"]] = totals.get(row["method"], 0.0) + row["accuracy"]
    base = totals[BASE]
    gain = totals[TARGET] - base
    return {method: (total - base) / gain if gain > 0 else float("nan") for method, total in totals.items()}


def tables(rows: Rows) -> list[Table]:
    """Return the tables of growing sets, of learning stages with their times, and of step sizes."""
    found = means(rows)
    best = best_steps(found)
    growing, stages = growing_rows(found, best), _of(found, STAGES)
    absorbing = [row for row in stages if row["method"] != BASE]
    updating = {_size(row): row["seconds"] for row in stages if row["method"] == AUTO}
    labelled = growing[0]["n_labelled"]
    after, by_stage = f"after {labelled} labels and so many new ones", "by labels before + new labels"
    share, least = recovered(growing), _least(growing_rows(rows, best))
    more = {
        "of retraining's gain": lambda method: _share(share[method]),
        "least of a seed": lambda method: _share(least[method]),
    }
    return [
        _table(f"accuracy % {after}", growing, _new, _accuracy, more | _at_last(growing)),
        _table(f"share of retraining's gain in accuracy {after}", growing, _new, _shares(growing)),
        _table(f"accuracy % {by_stage}", stages, _stage, _accuracy, _at_last(stages)),
        _table(f"share of retraining's gain in accuracy {by_stage}", stages, _stage, _shares(stages)),
        _table(
            f"milliseconds of one core to absorb, {by_stage}", absorbing, _stage, lambda r: f"{1e3 * r['seconds']:.3g}"
        ),
        _table(
            f"time as a multiple of '{AUTO}', {by_stage}",
            absorbing,
            _stage,
            lambda r: f"{r['seconds'] / updating[_size(r)]:.3g}",
        ),
        *(_sweep(method, found, after) for method in best),
    ]


def _sweep(method: str, found: Rows, after: str) -> Table:
    """Make the table of the step sizes of a method."""
    rows: list[Row] = [
        {**row, "method": f"gamma {row['gamma']:g}"} for row in _of(found, STEP_SIZE) if row["method"] == method
    ]
    share = recovered([row for row in _of(found, GROWING) if row["method"] in (BASE, TARGET)] + rows)
    title = f"{method}, gamma is {SWEEPS[method].unit}: accuracy % {after}"
    return _table(title, rows, _new, _accuracy, {"of retraining's gain": lambda name: _share(share[name])})


def _of(rows: Rows, experiment: str) -> list[Row]:
    return [row for row in rows if row["experiment"] == experiment]


def _measures(group: Rows) -> dict[str, Any]:
    out: dict[str, Any] = {"seeds": len(group)}
    for name in (*(measure.name for measure in MEASURES), "flips"):
        values = np.array([row[name] for row in group])
        error = float(values.std(ddof=1) / len(values) ** 0.5) if len(values) > 1 else None
        out |= {name: float(values.mean()), f"{name}_se": error}
    weights = [row["ess"] for row in group if row["ess"] is not None]
    seconds = float(np.median([row["seconds"] for row in group]))
    return out | {"seconds": seconds, "ess": float(np.mean(weights)) if weights else None}


def _least(rows: Rows) -> dict[str, float]:
    """Return per method the smallest share of retraining's gain that a seed has, all its sizes together."""
    seeds = dict.fromkeys(row["seed"] for row in rows)
    by_seed = [recovered([row for row in rows if row["seed"] == seed]) for seed in seeds]
    return {method: min(share[method] for share in by_seed) for method in by_seed[0]}


def _size(row: Row) -> tuple[int, int]:
    return row["n_labelled"], row["n_new"]


def _new(row: Row) -> str:
    return str(row["n_new"])


def _stage(row: Row) -> str:
    return f"{row['n_labelled']} + {row['n_new']}"


def _accuracy(row: Row) -> str:
    return f"{100 * row['accuracy']:.1f}"


def _share(value: float) -> str:
    """A share in hundredths; a dash where there is none, since retraining gains nothing."""
    return "-" if np.isnan(value) else f"{round(100 * value)} %"


def _shares(rows: Rows) -> Callable[[Row], str]:
    """Return the function that gives the share of retraining's gain at the size of a row."""
    at = {size: recovered([row for row in rows if _size(row) == size]) for size in dict.fromkeys(map(_size, rows))}
    return lambda row: _share(at[_size(row)][row["method"]])


def _at_last(rows: Rows) -> dict[str, Callable[[str], str]]:
    """Columns of the other measures at the largest size: functions of a method."""
    last = {row["method"]: row for row in sorted(rows, key=_size)}
    where = f"at +{rows[-1]['n_new']}" if len({row["n_labelled"] for row in rows}) == 1 else "at the last"
    return {
        f"nll {where}": lambda method: f"{last[method]['nll']:.3f}",
        f"ece % {where}": lambda method: f"{100 * last[method]['ece']:.1f}",
        f"flips % {where}": lambda method: f"{100 * last[method]['flips']:.1f}",
    }


def _table(
    title: str,
    rows: Rows,
    column: Callable[[Row], str],
    cell: Callable[[Row], str],
    more: Mapping[str, Callable[[str], str]] | None = None,
) -> Table:
    """Make a table with a line per method and a column per size.

    column: the name of the column of a row. more: further columns, from the name of a method.
    """
    more = more or {}
    columns = dict.fromkeys(column(row) for row in sorted(rows, key=_size))
    by_place = {(row["method"], column(row)): row for row in rows}
    methods = dict.fromkeys(row["method"] for row in rows)
    body = [(m, *(cell(by_place[m, name]) for name in columns), *(one(m) for one in more.values())) for m in methods]
    return Table(title, ("method", *columns, *more), tuple(body))
