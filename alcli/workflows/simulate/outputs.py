"""The tables, the pictures and the remarks of a simulation, made from the runs in its folder."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from alcli.errors import counted
from alcli.numerics.metrics import Metric
from alcli.remarks import Note
from alcli.report import wins
from alcli.report.by_class import class_rows, confidence_rows, largest_share, worst_classes
from alcli.report.doubts import doubts
from alcli.report.notes import folded
from alcli.report.pictures import Appearance
from alcli.report.summary import Line, curves_of, summarise
from alcli.simulation.plan import BASELINE, Cell, Plan
from alcli.simulation.results import Details
from alcli.workflows.items import Items
from alcli.workflows.simulate.comparison import Json
from alcli.workflows.simulate.folder import SimulationFolder
from alcli.workflows.simulate.pictures import write_pictures
from alcli.workflows.simulate.truth import Truth


@dataclass(frozen=True)
class Outputs:
    """One line per strategy, and a report of the fits to every label, if there are any, and of the worst classes."""

    lines: list[Line]
    report: dict[str, Any]


def write_outputs(
    folder: SimulationFolder,
    items: Items,
    plan: Plan,
    truth: Truth,
    metric: Metric,
    config: Json,
    every_label: Sequence[Cell],
    look: Appearance,
    note: Note,
) -> Outputs:
    """Read all cells, which are finished, and write the tables and pictures; pass on all remarks.

    every_label: the cells of the fits to every label, if there are any.
    """
    cells = [Cell(strategy, seed) for strategy in plan.strategies for seed in range(plan.n_seeds)]
    rows, picks = folder.load(cells)
    full, _ = folder.load(every_label)
    curves, details = curves_of(rows, metric), folder.details(cells)
    value = float(np.mean([row[metric.name] for row in full])) if full else None
    lines = summarise(curves, BASELINE, value)
    folder.write_tables(rows, picks, lines, text_ids=items.ids.is_text)
    folder.write_csv("wins", wins.rows(curves))
    by_class = _write_classes(folder, details, truth)
    write_pictures(folder, config, curves, details, value, look)
    largest = largest_share(details) if details else None
    told = folder.notes(cells)
    of_rounds = folded((one for one in told if one[2] > 0), plan.n_seeds)
    of_the_plan = [*_first_items(told, plan), *_used_up(rows, plan), *_without_weights(picks, plan), *_of_none(rows)]
    for text in [*of_the_plan, *of_rounds, *doubts(rows, metric, BASELINE, largest)]:
        note(text)
    report: dict[str, Any] = {}
    if full:
        report["full_data"] = {metric.name: value, "labels": full[0]["n_labels"], "fits": len(full), **_reaches(lines)}
    if by_class:
        report["worst_classes"] = {name: worst_classes(by_class, name) for name in plan.strategies}
    return Outputs(lines, report)


def _write_classes(folder: SimulationFolder, details: Mapping[Cell, Details], truth: Truth) -> list[Json]:
    """Write classes.csv and confidence.csv, and return the rows of the first; nothing in a regression."""
    if not details or truth.classes is None:
        return []
    found = class_rows(details, truth.classes)
    folder.write_csv("classes", found)
    folder.write_csv("confidence", confidence_rows(details))
    return found


def _first_items(told: Iterable[tuple[str, int, int, str]], plan: Plan) -> Iterator[str]:
    """Yield a remark for what was remarked of the items to start with, which are the same for every strategy."""
    seeds: dict[str, set[int]] = {}
    for _, seed, number, text in told:
        if number == 0:
            seeds.setdefault(text, set()).add(seed)
    for text, of_text in seeds.items():
        yield f"{text} (in {len(of_text)} of {counted(plan.n_seeds, 'seed')})"


def _of_none(rows: Sequence[Json]) -> list[str]:
    """Return a remark on the items of no class that each strategy has asked for, where items can be such."""
    if "none" not in rows[0]:
        return []
    most: dict[str, dict[int, int]] = {}
    for row in rows:
        of_seeds = most.setdefault(row["strategy"], {})
        of_seeds[row["seed"]] = max(row["none"], of_seeds.get(row["seed"], 0))
    shown = (f"{strategy} {np.mean(list(of_seeds.values())):.1f}" for strategy, of_seeds in most.items())
    return [f"labels that went to items of no class, mean over the seeds: {', '.join(shown)}"]


def _without_weights(picks: Sequence[Json], plan: Plan) -> list[str]:
    """Return a remark if heads should be trained with weights, and no strategy gives any."""
    if not plan.train_weights or any("weight" in pick for pick in picks):
        return []
    return ["--train-weights changes nothing: none of these strategies gives weights"]


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
