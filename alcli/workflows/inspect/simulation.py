"""The facts about the folder of a simulation: its grid, the runs that are done, and the verdicts on finished ones."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import Any

from alcli.errors import DataError, printable
from alcli.numerics.metrics import METRICS, Metric
from alcli.report.summary import curves_of, summarise
from alcli.report.verdict import conclusions
from alcli.simulation.contenders import ORACLES
from alcli.simulation.metrics import stored_metric
from alcli.simulation.plan import BASELINE, Cell
from alcli.workflows.simulate.comparison import Json
from alcli.workflows.simulate.folder import SimulationFolder

UNFINISHED = "not before every run is done: the same command of alcli simulate goes on"


def about_simulation(path: Path) -> dict[str, Any]:
    """Return the facts about a folder. Raises DataError for damaged files, and NewerFormatError."""
    folder = SimulationFolder(path)
    config = folder.config()
    where = f"{printable(path / 'config.json')}: is damaged, expected what a simulation wrote"
    try:
        strategies = [str(config["study"])] if "study" in config else [str(name) for name in config["strategies"]]
        cells = [Cell(strategy, seed) for seed in range(int(config["seeds"])) for strategy in strategies]
        facts = _of_config(config, strategies)
    except (KeyError, TypeError, ValueError):
        raise DataError(where, hint="run the simulation again in another folder") from None
    done = [cell for cell in cells if folder.has(cell, rounds=config.get("rounds", 0))]
    facts |= {"runs": len(cells), "runs_done": len(done), "finished": len(done) == len(cells)}
    if "study" in config:
        return facts
    curves, picks = folder.load(done)
    facts |= {"rounds_done": max((int(row["round"]) for row in curves), default=0), "picks": len(picks)}
    if not facts["finished"]:
        return facts | {"verdicts": UNFINISHED}
    return facts | _judged(folder, curves)


def _of_config(config: Json, strategies: list[str]) -> dict[str, Any]:
    """The settings of a simulation that its results follow from."""
    names = ("pool", "study", "batch", "rounds", "initial", "seeds", "test", "cost")
    found = {name: config[name] for name in names if name in config}
    head = {name: value for name, value in config["head"].items() if value not in (None, {})}
    return {"strategies": strategies, **found, "head": head, "version": config["version"]}


def _judged(folder: SimulationFolder, curves: list[Json]) -> dict[str, Any]:
    """The verdicts on the strategies with their intervals, by the metric of the last run."""
    metric = metric_of(folder.path, curves)
    lines = summarise(curves_of(curves, metric), BASELINE)
    oracles = [line.strategy for line in lines if ORACLES.keys() & set(re.split("[=+,]", line.strategy))]
    return {"metric": metric.name, "verdicts": conclusions(lines, oracles=oracles)}


def metric_of(path: Path, curves: list[Json]) -> Metric:
    """The metric in summary.csv, by which the strategies are compared; accuracy or RMSE where it is one of a file."""
    try:
        with open(path / "summary.csv", newline="", encoding="utf-8") as file:
            named = next(csv.DictReader(file), {}).get("metric", "")
    except (OSError, ValueError, csv.Error):
        named = ""
    usual = "accuracy" if "accuracy" in curves[0] else "rmse"
    found = stored_metric(named)
    return found if found is not None and all(found.name in row for row in curves) else METRICS[usual]
