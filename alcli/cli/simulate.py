"""`alcli simulate`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional

import typer

from alcli.cli import options as o
from alcli.cli.console import Console, console

if TYPE_CHECKING:
    from alcli.report.summary import Line
    from alcli.workflows.simulate import Simulated


def simulate(
    pool: o.PoolArgument,
    strategy: Annotated[list[str], typer.Option("-s", "--strategy", metavar="STRATEGY", help="What to compare with random; repeatable, or separated by commas.", autocompletion=o.complete_strategy, show_default=False)],
    n: Annotated[int, typer.Option("-n", metavar="N", help="Labels per round.", show_default=False)],
    rounds: Annotated[int, typer.Option("--rounds", metavar="R", help="Rounds of choosing N items.", show_default=False)],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for curves, selections, summary and pictures; a stopped simulation goes on there.", show_default=False)],
    initial: Annotated[Optional[int], typer.Option("--initial", metavar="M", help="Random labels to start with.  [default: N]", show_default=False)] = None,
    stratified: Annotated[bool, typer.Option("--stratified", help="Take the classes in turn for the labels to start with.")] = False,
    seeds: Annotated[int, typer.Option("--seeds", metavar="S", help="Repetitions; each has its own split and labels to start with, the same for all strategies.")] = 3,
    jobs: Annotated[int, typer.Option("--jobs", metavar="J", help="Processes; the results do not depend on it.")] = 1,
    test_fraction: Annotated[Optional[float], typer.Option("--test-fraction", metavar="F", help="Share of rows to measure on.  [default: those whose split is test, else 0.2]", show_default=False)] = None,
    head: o.HeadKind = None,
    posterior: o.PosteriorKind = "laplace",
    covariance: o.Covariance = "shared",
    prior_precision: o.PriorPrecision = "auto",
    calibrate: o.Calibrate = "none",
    param: Annotated[Optional[list[str]], typer.Option("-p", "--param", metavar="[METHOD.]KEY=VALUE", help="An option of a strategy or of the head (METHOD 'head'); without METHOD, of all that know it.", show_default=False)] = None,
    features_col: o.FeaturesCol = None,
    id_col: o.IdCol = "id",
    label_col: o.LabelCol = None,
    bad_rows: o.BadRows = "error",
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    json: o.Json = False,
) -> None:
    """Compare strategies on a pool whose labels are known.

    Every strategy starts from the same random labels, then R times fits a head, is measured on test rows, and is given the labels
    of the N items it chooses. DIR gets summary.csv, curves.parquet, selections.parquet, curves.png and curves.svg. In the summary
    area is the mean height of the learning curve, difference that to random's (with a 95% interval over the seeds), and
    labels_to_80 the number of labels at which a strategy has 80% of what random gains from its first to its last round.

    \b
    Example:
      alcli simulate sample_data/digits-features.parquet -s margin,badge,typiclust -n 10 --rounds 5 --seeds 5 -o simulation
    """
    from alcli.workflows.recipe import Recipe
    from alcli.workflows.simulate import simulate as run
    from alcli.workflows.simulation_request import Simulation

    with console(quiet=quiet, verbose=verbose, as_json=json) as talk:
        names = [name.strip() for part in strategy for name in part.split(",") if name.strip()]
        prior = o.auto_or_number(prior_precision, "--prior-precision")
        recipe = Recipe(head, posterior, covariance, prior, calibrate)
        ask = Simulation(names, n, rounds, initial, seeds, test_fraction, stratified, recipe, o.key_values(param))
        ask.checked()
        o.check_choice(bad_rows, ("error", "skip"), "--bad-rows")
        from alcli.data.pool import open_pool
        from alcli.data.schema import Columns

        source = open_pool(pool, Columns(features_col, id_col, label_col), bad_rows=bad_rows)
        with talk.progress() as progress:
            done = run(source, ask, out, jobs=jobs, progress=progress)
        _tell(talk, done)


def _tell(talk: Console, done: Simulated) -> None:
    """The table, a verdict per strategy, and where the files are; with --json one object."""
    for text in done.notes:
        talk.note(text)
    if talk.as_json:
        return talk.summary(done.report | {"verdicts": done.verdicts, "out": str(done.folder)})
    metric = done.lines[0].metric.replace("_", " ")
    metric = f"{metric} %" if metric == "accuracy" else metric
    header = ("strategy", f"mean {metric}", "vs random", "95% interval", f"final {metric}", "labels to random's final", "s fit", "s select")
    talk.table(header, [_cells(line, done.lines[0]) for line in done.lines])
    for text in done.verdicts:
        talk.say(text)
    talk.say(f"{done.folder}/curves.png shows the curves; the figures are in summary.csv and curves.parquet beside it")


def _cells(line: Line, base: Line) -> list[str]:
    """One row. Where the baseline gains nothing there is no level to reach, and the column stays empty."""
    from alcli.report.verdict import number

    def shown(value: float | None, *, sign: bool = False) -> str:
        return "" if value is None else number(line.metric, value, sign=sign)

    interval = f"{shown(line.low, sign=True)} to {shown(line.high, sign=True)}" if line.low is not None else ""
    missed = "" if base.labels_to[-1] is None else "not reached"
    labels = missed if line.labels_to[-1] is None else f"{line.labels_to[-1]:,.0f}"
    seconds = (f"{line.seconds[phase]:.2f}" for phase in ("seconds_fit", "seconds_select"))
    return [line.strategy, shown(line.area), shown(line.difference, sign=True), interval, shown(line.final), labels, *seconds]
