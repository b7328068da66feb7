"""The tables, the pictures and the remarks of a simulation, made from the runs in its folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alcli.data.pool import Pool
from alcli.errors import printable
from alcli.numerics.metrics import Metric
from alcli.remarks import Note
from alcli.report import wins
from alcli.report.curves import draw
from alcli.report.notes import folded
from alcli.report.summary import Curves, Line, curves_of, summarise
from alcli.simulation.contenders import short_names
from alcli.simulation.plan import BASELINE, Cell, Plan
from alcli.workflows.items import Items
from alcli.workflows.simulate.folder import Json, SimulationFolder


@dataclass(frozen=True)
class Outputs:
    """One line per strategy, and a report of the fits to every label, which is empty without such fits."""

    lines: list[Line]
    report: dict[str, Any]


def write_outputs(
    folder: SimulationFolder,
    items: Items,
    plan: Plan,
    metric: Metric,
    cost_column: str | None,
    every_label: Sequence[Cell],
    note: Note,
) -> Outputs:
    """Read all cells, which are finished, and write the tables and pictures; pass on the remarks of the strategies.

    every_label: the cells of the fits to every label, if there are any.
    """
    cells = [Cell(strategy, seed) for strategy in plan.strategies for seed in range(plan.n_seeds)]
    rows, picks = folder.load(cells)
    full, _ = folder.load(every_label)
    curves = curves_of(rows, metric)
    value = float(np.mean([row[metric.name] for row in full])) if full else None
    lines = summarise(curves, BASELINE, value)
    folder.write_tables(rows, picks, lines, text_ids=items.ids.is_text)
    folder.write_wins(wins.rows(curves))
    _write_pictures(folder, items.pool, plan, curves, value, cost_column)
    for text in [*folded(folder.notes(cells), plan.n_seeds), *_used_up(rows, plan)]:
        note(text)
    if not full:
        return Outputs(lines, {})
    about = {metric.name: value, "labels": full[0]["n_labels"], "fits": len(full), **_reaches(lines)}
    return Outputs(lines, {"full_data": about})


def _write_pictures(
    folder: SimulationFolder, pool: Pool, plan: Plan, curves: Curves, full_data: float | None, cost_column: str | None
) -> None:
    name, unit = (_without_formulas(text) for text in (Path(pool.name).name, printable(cost_column or "")))
    more = f"then a budget of {plan.batch} a round ({unit})" if cost_column else f"{plan.batch} more a round"
    title = f"{name}: {plan.initial} labels to start with, {more}"
    if plan.candidates is not None:
        title += f", among {plan.candidates} random candidates"
    short = short_names(curves.values_SP)
    curves = replace(curves, values_SP={short[strategy]: v_SP for strategy, v_SP in curves.values_SP.items()})
    folder.write_pictures("curves", draw(curves, BASELINE, title, unit=unit, full_data=full_data))
    folder.write_pictures("wins", wins.draw(curves, name))


def _without_formulas(text: str) -> str:
    """Escape dollar signs, between which a picture would show a formula."""
    return text.replace("$", r"\$")


def _reaches(lines: Sequence[Line]) -> dict[str, Any]:
    """The part of the report that summary.csv has no column for.

    levels: the values to reach. saved_at_least: lower bounds on the saving at levels that the baseline never reaches.
    """
    bounds = {line.strategy: {one.share: one.at_least for one in line.reaches} for line in lines}
    known = {
        strategy: {_percent(share): value for share, value in by_share.items() if value is not None}
        for strategy, by_share in bounds.items()
    }
    return {
        "levels": {_percent(one.share): one.level for one in lines[0].reaches},
        "saved_at_least": {strategy: by_percent for strategy, by_percent in known.items() if by_percent},
    }


def _percent(share: float) -> str:
    return str(round(100 * share))


def _used_up(rows: Sequence[Json], plan: Plan) -> list[str]:
    """Return a remark if a run ended early since its budget could pay for no item.

    A number of items that the pool does not have is remarked on before the runs.
    """
    last: dict[tuple[str, int], int] = {}
    for row in rows:
        last[row["strategy"], row["seed"]] = max(row["round"], last.get((row["strategy"], row["seed"]), 0))
    first = min(last.values())
    if "cost" not in rows[0] or first == plan.rounds:
        return []
    return [f"from round {first + 1} of {plan.rounds} on, no item was left that -n {plan.batch} can pay for"]
