"""The curves and verdicts of a simulation, as a section of a report."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from alcli.errors import counted
from alcli.report.page.chart import MOST, CurvePoint, chart
from alcli.report.page.contents import Grid, PageSection
from alcli.report.summary import Curves, Line, curves_of, summarise
from alcli.report.verdict import number
from alcli.simulation.plan import BASELINE, Cell
from alcli.workflows.inspect.simulation import UNFINISHED, about_simulation, metric_of
from alcli.workflows.simulate.folder import SimulationFolder

_TITLE = "Strategies in simulation"


def simulated(path: Path) -> PageSection:
    """The section on a simulation. Raises DataError for damaged files, InputError, and NewerFormatError."""
    facts = about_simulation(path)
    if "study" in facts:
        return PageSection(
            "simulation", _TITLE, ["The folder holds a study of updates, which has no strategies to show."]
        )
    if not facts["finished"]:
        done = f"{facts['runs_done']} of {facts['runs']} runs are done"
        return PageSection(
            "simulation", _TITLE, [f"The simulation is not finished, {done}. There are no verdicts {UNFINISHED}."]
        )
    folder = SimulationFolder(path)
    cells = [Cell(strategy, seed) for seed in range(int(facts["seeds"])) for strategy in facts["strategies"]]
    rows, _ = folder.load(cells)
    curves = curves_of(rows, metric_of(path, rows))
    lines = summarise(curves, BASELINE)
    pool = facts.get("pool")
    where = f" on {pool['name']}" if isinstance(pool, dict) and "name" in pool else ""
    sizes = counted(int(facts["seeds"]), "seed"), counted(int(facts["rounds_done"]), "round")
    about = f"{len(lines)} strategies, {' and '.join(sizes)}{where}"
    return PageSection(
        "simulation",
        _TITLE,
        [f"{about}.", *(f"{verdict}." for verdict in facts["verdicts"])],
        _chart(curves),
        [_grid(lines)],
    )


def _chart(curves: Curves) -> Any:
    """The mean curves over the seeds: of the baseline, and of the strategies whose curves lie best."""
    metric = curves.metric
    means = {name: values_SP.mean(axis=0) for name, values_SP in curves.values_SP.items()}
    sign = -1 if metric.larger_is_better else 1
    ranked = sorted((name for name in means if name != BASELINE), key=lambda name: sign * float(np.mean(means[name])))
    drawn = {
        name: [CurvePoint(float(x), float(y)) for x, y in zip(curves.x_P, means[name])]
        for name in [BASELINE, *ranked[: MOST - 1]]
    }
    more = f" of random choice and the {MOST - 1} best of {len(ranked)} strategies" if len(ranked) >= MOST else ""
    words = f"Test {metric.words} by {curves.axis}{more}, means over the seeds"
    return chart(drawn, x_label=curves.axis, y_label=metric.words, words=words, share=metric.is_share)


def _grid(lines: list[Line]) -> Grid:
    metric = lines[0].metric
    unit = f"{metric.words}{' %' if metric.is_share else ''}"

    def row(line: Line) -> tuple[str, ...]:
        difference = "" if line.difference is None else number(metric, line.difference, sign=True)
        ends = (line.low, line.high)
        interval = " to ".join(number(metric, end, sign=True) for end in ends if end is not None)
        return (line.strategy, number(metric, line.area), difference, interval, number(metric, line.final))

    header = ("strategy", f"mean {unit}", f"minus {BASELINE}", "95% interval", f"final {unit}")
    return Grid("Strategies of the simulation", header, [row(line) for line in lines], frozenset({1, 2, 3, 4}))
