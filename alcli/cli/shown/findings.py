"""Tell the findings of a simulation: tables, verdicts, and the names of the files."""

from __future__ import annotations

from math import floor
from typing import TYPE_CHECKING

from alcli.cli.console import Console
from alcli.errors import printable

if TYPE_CHECKING:
    from alcli.report.summary import Line
    from alcli.workflows.simulate.run import Simulated
    from alcli.workflows.simulate.update_study import Studied


def tell_study(console: Console, done: Studied) -> None:
    """Write the tables and the verdict of a study, and name its files; with --json write one object."""
    if console.as_json:
        return console.summary(done.report | {"verdict": done.verdict, "out": str(done.folder)})
    for table in done.tables:
        console.say(table.title)
        console.table(table.header, table.rows)
        console.say("")
    console.say(done.verdict)
    console.say(
        f"{done.folder}/updates.png shows the figures; all measurements are in study.csv and study.parquet beside it"
    )


def tell(console: Console, done: Simulated) -> None:
    """Write the table and a verdict a strategy, and name the files; with --json write one object."""
    if console.as_json:
        return console.summary(done.report | {"verdicts": done.verdicts, "out": str(done.folder)})
    metric = done.lines[0].metric.words + (" %" if done.lines[0].metric.is_share else "")
    header = (
        "strategy",
        f"mean {metric}",
        "vs random",
        "95% interval",
        f"final {metric}",
        f"{done.lines[0].axis} to random's final",
        "mean rank",
        "s fit",
        "s select",
    )
    if "metric_taken" in done.report:
        console.say(done.report["metric_taken"])
    console.table(header, [_cells(line, done.lines[0]) for line in done.lines])
    _tell_full_data(console, done)
    for text in done.verdicts:
        console.say(text)
    _tell_classes(console, done)
    console.say(
        f"{done.folder}/curves.png shows the curves; the figures are in summary.csv and curves.parquet beside it"
    )


def _tell_classes(console: Console, done: Simulated) -> None:
    """Name the worst classes of the best strategy after the last round, beside their accuracy under random."""
    if "worst_classes" not in done.report:
        return
    best = min(done.lines, key=lambda line: line.mean_rank).strategy
    worst = [f"{printable(row['class'])} ({row['accuracy']:.0%})" for row in done.report["worst_classes"][best]]
    console.say(f"the least accurate classes of {best} after the last round: {', '.join(worst)}; classes.csv has all")


def _tell_full_data(console: Console, done: Simulated) -> None:
    """Write the table of --full-data: the labels that a strategy needs for shares of the value of every label."""
    from alcli.report.summary import counts_from_zero
    from alcli.report.verdict import number

    base = done.lines[0]
    if base.full_data is None:
        return
    value = f"{number(base.metric, base.full_data)}{' %' if base.metric.is_share else ''}"
    of_it = "of it" if counts_from_zero(base.metric) else "of the way to it from random's first"
    console.say(
        f"every label ({done.report['full_data']['labels']:,}) gives {base.metric.words} {value}; "
        f"{base.axis} to shares {of_it}, and what that saves against random:"
    )
    levels = [(f"{base.axis} to {one.share:.0%} ({number(base.metric, one.level)})", "saved") for one in base.reaches]
    console.table(["strategy", *(title for pair in levels for title in pair)], [_reached(line) for line in done.lines])


def _reached(line: Line) -> list[str]:
    """One row of the table of shares. Where random never gets there, the saving is a lower bound."""
    from alcli.report.verdict import how_many

    cells = [line.strategy]
    for one in line.reaches:
        saved = "" if one.saved is None else how_many(line.axis, one.saved)
        if one.at_least is not None:
            saved = f"> {how_many(line.axis, floor(one.at_least) if line.axis == 'labels' else one.at_least)}"
        cells += ["not reached" if one.needed is None else how_many(line.axis, one.needed), saved]
    return cells


def _cells(line: Line, base: Line) -> list[str]:
    """One row of the table. Where the baseline gains nothing there is no level to reach, and the column stays empty."""
    from alcli.report.verdict import how_many, number

    def shown(value: float | None, *, sign: bool = False) -> str:
        return "" if value is None else number(line.metric, value, sign=sign)

    interval = f"{shown(line.low, sign=True)} to {shown(line.high, sign=True)}" if line.low is not None else ""
    missed = "" if base.labels_to[-1] is None else "not reached"
    labels = missed if line.labels_to[-1] is None else how_many(line.axis, line.labels_to[-1])
    seconds = (f"{line.seconds[phase]:.2f}" for phase in ("seconds_fit", "seconds_select"))
    return [
        line.strategy,
        shown(line.area),
        shown(line.difference, sign=True),
        interval,
        shown(line.final),
        labels,
        f"{line.mean_rank:.1f}",
        *seconds,
    ]
