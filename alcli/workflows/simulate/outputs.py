"""From the runs in the folder of a simulation to its tables, its pictures, and what is told of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alcli.data.pool import Pool
from alcli.errors import printable
from alcli.remarks import Note
from alcli.report import wins
from alcli.report.curves import draw
from alcli.report.notes import folded
from alcli.report.summary import Curves, Line, curves_of, summarise
from alcli.simulation.metrics import SMALLER_IS_BETTER
from alcli.simulation.plan import BASELINE, Cell, Plan
from alcli.workflows.items import Items
from alcli.workflows.simulate.folder import Json, SimulationFolder


@dataclass(frozen=True)
class Outputs:
    """A line per strategy, and a report of the fits to every label, empty without such fits."""

    lines: list[Line]
    report: dict[str, Any]


def write_outputs(
    folder: SimulationFolder, items: Items, plan: Plan, metric: str, cost_column: str | None, every_label: Sequence[Cell], note: Note
) -> Outputs:
    """Read all cells, which are finished, and write the tables and pictures; note what strategies and budgets give cause to say.

    every_label: the cells of fits to every label, if any.
    """
    cells = [Cell(strategy, seed) for strategy in plan.strategies for seed in range(plan.n_seeds)]
    rows, picks = folder.load(cells)
    full, _ = folder.load(every_label)
    curves = curves_of(rows, metric, smaller_is_better=metric in SMALLER_IS_BETTER)
    value = float(np.mean([row[metric] for row in full])) if full else None
    lines = summarise(curves, BASELINE, value)
    folder.write_tables(rows, picks, lines, text_ids=items.ids.is_text)
    _write_pictures(folder, items.pool, plan, curves, value, cost_column)
    about = {"full_data": {metric: value, "labels": full[0]["n_labels"], "fits": len(full), **_reaches(lines)}} if full else {}
    for text in [*folded(folder.notes(cells), plan.n_seeds), *_used_up(rows, plan)]:
        note(text)
    return Outputs(lines, about)


def _write_pictures(folder: SimulationFolder, pool: Pool, plan: Plan, curves: Curves, full_data: float | None, cost_column: str | None) -> None:
    name, unit = (text.replace("$", r"\$") for text in (Path(pool.name).name, printable(cost_column or "")))  # between dollars stands a formula
    more = f"then a budget of {plan.batch} a round ({unit})" if cost_column else f"{plan.batch} more a round"
    title = f"{name}: {plan.initial} labels to start with, {more}"
    folder.write_pictures("curves", draw(curves, BASELINE, title, unit=unit, full_data=full_data))
    folder.write_wins(wins.rows(curves), wins.draw(curves, name))


def _reaches(lines: Sequence[Line]) -> dict[str, Any]:
    """What summary.csv has no column for: the levels, and what strategies save at least at those that the baseline never reaches."""
    found = {line.strategy: {str(round(100 * one.share)): one.at_least for one in line.reaches if one.at_least is not None} for line in lines}
    return {
        "levels": {str(round(100 * one.share)): one.level for one in lines[0].reaches},
        "saved_at_least": {strategy: bounds for strategy, bounds in found.items() if bounds},
    }


def _used_up(rows: Sequence[Json], plan: Plan) -> list[str]:
    """A remark where a budget found nothing more to buy; a number of items that is too large was remarked on beforehand."""
    last: dict[tuple[str, int], int] = {}
    for row in rows:
        last[row["strategy"], row["seed"]] = max(row["round"], last.get((row["strategy"], row["seed"]), 0))
    first = min(last.values())
    if "cost" not in rows[0] or first == plan.rounds:
        return []
    return [f"from round {first + 1} of {plan.rounds} on, runs found nothing left that -n {plan.batch} buys"]
