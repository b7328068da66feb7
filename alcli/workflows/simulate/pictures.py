"""The pictures of a simulation, made from the runs in its folder: at its end, and anew by `--redraw`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from alcli.data.writing.locks import lock
from alcli.errors import DataError, UsageError, counted, printable
from alcli.numerics.metrics import METRICS, Metric
from alcli.report import by_class, curves, update_picture, wins
from alcli.report.pictures import Appearance
from alcli.report.summary import Curves, curves_of
from alcli.simulation.contenders import short_names
from alcli.simulation.metrics import metric_named, stored_metric
from alcli.simulation.plan import BASELINE, FULL_DATA, Cell
from alcli.simulation.results import Details
from alcli.workflows.simulate.comparison import Json
from alcli.workflows.simulate.folder import SimulationFolder
from alcli.workflows.simulate.runs import damaged


def write_pictures(
    folder: SimulationFolder,
    config: Json,
    found: Curves,
    details: Mapping[Cell, Details],
    full_data: float | None,
    look: Appearance,
) -> list[str]:
    """Write the pictures of a simulation, and return the names of their files.

    full_data: the value that every label together gives, where it is known. details: empty in a regression.
    """
    pool, unit = printable(config["pool"]["name"]), printable(config.get("cost", {}).get("column", ""))
    more = f"then a budget of {config['batch']} a round ({unit})" if unit else f"{config['batch']} more a round"
    title = f"{pool}: {config['initial']} labels to start with, {more}"
    if config.get("candidates") is not None:
        title += f", among {config['candidates']} random candidates"
    short = short_names(found.values_SP)
    found = replace(found, values_SP={short[strategy]: v_SP for strategy, v_SP in found.values_SP.items()})
    drawn = curves.Drawn(found, BASELINE, title, unit, full_data)
    pictures = {"curves": curves.draw(drawn, look), "wins": wins.draw(found, pool, look)}
    if details:
        pictures["confidence"] = by_class.draw(details, short, f"{pool}, after the last round", look)
    for name, picture in pictures.items():
        folder.write_pictures(name, picture)
    return [f"{name}.{format}" for name in pictures for format in look.formats]


def redraw(out: Path, metric: str | None, look: Appearance) -> list[str]:
    """Make the pictures of a finished simulation, or study of updates, anew, and return the names of their files.

    metric: its name; None takes the one that the summary compares strategies by.
    Raises InputError where `out` holds no simulation, DataError where a run is missing or damaged, or was not measured
    by the metric, and UsageError for a metric that is not there.
    """
    asked = None if metric is None else metric_named(metric)
    folder = SimulationFolder(out)
    config = folder.config()
    with lock(folder.runs):
        if "study" in config:
            return _redraw_study(folder, config, metric, look)
        cells = [Cell(strategy, seed) for strategy in config["strategies"] for seed in range(config["seeds"])]
        chosen = _of_summary(folder) if asked is None else asked
        missing = [cell for cell in cells if not folder.has(cell, rounds=config["rounds"])]
        if missing:
            what = f"{counted(len(missing), 'run')} of {len(cells)} {'is' if len(missing) == 1 else 'are'} not finished"
            raise DataError(f"{printable(out)}: {what}", hint="run the command of the simulation again")
        rows, _ = folder.load(cells)
        _check_measured(rows, chosen, out)
        value = _full_data(folder, config, chosen)
        return write_pictures(folder, config, curves_of(rows, chosen), folder.details(cells), value, look)


def _of_summary(folder: SimulationFolder) -> Metric:
    """The metric that the summary compares strategies by. Raises DataError for none, UsageError for one of a file."""
    name = folder.summary()[0].get("metric")
    if not name:
        raise damaged(folder.path / "summary.csv")
    found = stored_metric(name)
    if found is None:
        what = f"{printable(folder.path)}: strategies are compared by '{printable(name)}', a metric of a file"
        raise UsageError(what, hint="name the file, as --metric FILE.py")
    return found


def _check_measured(rows: Sequence[Json], metric: Metric, out: Path) -> None:
    """Raise UsageError where a run was not measured by the metric."""
    if not all(metric.name in row for row in rows):
        known = [name for name in METRICS if name in rows[0]]
        what = f"{printable(out)}: not every run was measured by '{printable(metric.name)}'"
        raise UsageError(what, hint=f"run the simulation with this --metric first, or take one of {', '.join(known)}")


def _full_data(folder: SimulationFolder, config: Json, metric: Metric) -> float | None:
    """The value that every label gives, where the summary has it and the runs were measured by the metric."""
    if "full_data" not in folder.summary()[0]:
        return None
    cells = [Cell(FULL_DATA, seed) for seed in range(1 if config["test"] == "split" else config["seeds"])]
    rows, _ = folder.load(cells)
    return float(np.mean([row[metric.name] for row in rows])) if all(metric.name in row for row in rows) else None


def _redraw_study(folder: SimulationFolder, config: Json, metric: str | None, look: Appearance) -> list[str]:
    if metric is not None:
        raise UsageError("--metric does not go with a study of updates", hint="its pictures show accuracy and seconds")
    rows, _ = folder.load(Cell(config["study"], seed) for seed in range(config["seeds"]))
    folder.write_pictures(config["study"], update_picture.draw(rows, update_picture.title_of(config), look))
    return [f"{config['study']}.{format}" for format in look.formats]
