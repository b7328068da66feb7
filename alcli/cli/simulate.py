"""`alcli simulate`."""

from __future__ import annotations

from math import floor
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Optional, TypeVar

import typer

from alcli.cli import options as o
from alcli.cli.console import Console, console
from alcli.cli.reading import opened
from alcli.errors import UsageError

if TYPE_CHECKING:
    from alcli.report.summary import Line
    from alcli.workflows.items import Items
    from alcli.workflows.recipe import Recipe
    from alcli.workflows.simulate.request import Simulation
    from alcli.workflows.simulate.run import Simulated
    from alcli.workflows.simulate.update_study import Studied, Study

T = TypeVar("T")
ORACLES = ("optimal-look-ahead",)  # said here too, so that completion need not load numpy


def _complete(incomplete: str) -> list[str]:
    """Strategies and oracles; behind a plus, the modifier."""
    done, comma, name = incomplete.rpartition(",")
    base, plus, _ = name.partition("+")
    names = [f"{base}+update"] if plus else [*o.complete_strategy(name), *(n for n in ORACLES if n.startswith(name))]
    return [f"{done}{comma}{n}" for n in names]


def _complete_metric(incomplete: str) -> list[str]:
    from alcli.extensions import installed
    from alcli.numerics.metrics import METRICS

    return [name for name in [*METRICS, *installed("metrics")] if name.startswith(incomplete)]


def simulate(
    pool: o.PoolArgument,
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for curves, selections, summary and pictures; a stopped simulation goes on there.", show_default=False)],
    strategy: Annotated[Optional[list[str]], typer.Option("-s", "--strategy", metavar="[ALIAS=]STRATEGY[+update]", help="What to compare with random; repeatable, or separated by commas. With an alias a strategy can take part again, under other options: -p ALIAS.KEY=VALUE. +update uses each label at once; optimal-look-ahead is an oracle, to know what could be had.", autocompletion=_complete, show_default=False)] = None,
    preset: Annotated[Optional[str], typer.Option("--preset", metavar="core", help="core: the strategies that everyone should compare, beside those of -s.", show_default=False)] = None,
    mix: Annotated[Optional[list[str]], typer.Option("--mix", metavar="[ALIAS=]NAME:SHARE,...", help="A batch of which several strategies choose a share each, as margin:0.8,random:0.2; repeatable.", show_default=False)] = None,
    n: Annotated[Optional[int], typer.Option("-n", metavar="N", help="Items to label per round; with -p cost-col=C what a round may cost.", show_default=False)] = None,
    rounds: Annotated[Optional[int], typer.Option("--rounds", metavar="R", help="Rounds of choosing N items.", show_default=False)] = None,
    study: Annotated[Optional[str], typer.Option("--study", metavar="updates", help="Instead of strategies, compare ways to absorb new labels with retraining.", show_default=False)] = None,
    initial: Annotated[Optional[int], typer.Option("--initial", metavar="M", help="Random items to start with.  [default: N; to be given with -p cost-col=C]", show_default=False)] = None,
    stratified: Annotated[bool, typer.Option("--stratified", help="Take the classes in turn for the labels to start with.")] = False,
    seeds: Annotated[Optional[int], typer.Option("--seeds", metavar="S", help="Repetitions; each has its own split and labels to start with, the same for all strategies.  [default: 3; 10 for a study]", show_default=False)] = None,
    full_data: Annotated[bool, typer.Option("--full-data", help="Also fit the head to every label of the pool, and say with how many labels each strategy is at 80% and 90% of that, and what it saves against random.")] = False,
    metric: Annotated[Optional[str], typer.Option("--metric", metavar="NAME|FILE.py[:NAME]", help="Compare by this metric of the test rows; a finished simulation can be shown by another metric without running again. A Python file adds a metric of your own.  [default: accuracy; rmse for numbers]", autocompletion=_complete_metric, show_default=False)] = None,
    jobs: Annotated[int, typer.Option("--jobs", metavar="J", help="Processes; the results do not depend on it.")] = 1,
    test_fraction: Annotated[Optional[float], typer.Option("--test-fraction", metavar="F", help="Share of items to measure on.  [default: those whose split is test, else 0.2]", show_default=False)] = None,
    head: o.HeadKind = None,
    posterior: o.PosteriorKind = "laplace",
    covariance: o.Covariance = "shared",
    prior_precision: o.PriorPrecision = "auto",
    calibrate: o.Calibrate = "none",
    aux_loss: o.AuxLoss = False,
    param: Annotated[Optional[list[str]], typer.Option("-p", "--param", metavar="[METHOD.]KEY=VALUE", help="An option of a strategy or of the head (METHOD 'head'); without METHOD, of all that know it.", show_default=False)] = None,
    features_col: o.FeaturesCol = None,
    id_col: o.IdCol = "id",
    group_col: o.GroupCol = None,
    label_col: o.LabelCol = None,
    bad_rows: o.BadRows = "error",
    max_memory: o.MaxMemory = None,
    hive: o.Hive = False,
    isolate: o.Isolate = False,
    quiet: o.Quiet = False,
    verbose: o.Verbose = False,
    json: o.Json = False,
) -> None:
    """Compare strategies, or ways to absorb labels, on a pool whose labels are known.

    Every strategy starts from the same random labels, then R times fits a head, is measured on test rows, and is given the labels
    of the N items it chooses. DIR gets summary.csv, curves.parquet, selections.parquet, and curves and wins (who is ahead of whom how often)
    as .png and .svg. In the summary
    area is the mean height of the learning curve, difference that to random's (with a 95% interval over the seeds), and
    labels_to_80 the number of labels at which a strategy has 80% of what random gains from its first to its last round. Seeds rank the
    strategies by area; friedman_p and nemenyi_p (against random) test whether mean ranks differ.
    --full-data adds columns: full_data, the value that every label together gives, labels_to_80_of_full (and 90), and labels_saved_at_80_of_full
    against random, empty where one of the two is never there. It can be asked for later: what was run before is kept.
    With -p cost-col=C items cost what column C of the pool says: every round of every strategy, random too, spends at most N, scores count per
    cost, --initial says how many items to start with, and curves, area and cost_to_80 are over the cost of all labels so far.
    What strategies say of their batches is told once: the first of what is alike, and in which rounds.
    Where the pool has a column group, items are groups of rows: they are chosen, counted and held out whole; metrics are over rows.
    STRATEGY+update sees the labels within a round too, -p update-every=R (default 1) at a time, and absorbs them in closed form.

    \b
    Example:
      alcli simulate sample_data/digits-features.parquet -s margin,badge,typiclust -n 10 --rounds 5 --seeds 5 -o simulation
    """
    from alcli.workflows.recipe import Recipe

    with console(quiet=quiet, verbose=verbose, as_json=json) as talk:
        recipe = Recipe(head, posterior, covariance, o.auto_or_number(prior_precision, "--prior-precision"), calibrate)
        param, notes = o.with_aux_loss(param, aux_loss, head, "head.aux-loss")
        ask: Simulation | Study
        if study is not None:
            o.check_choice(study, ("updates",), "--study")
            _refuse_with_study({"-s": strategy, "--preset": preset, "--mix": mix, "-n": n, "--rounds": rounds, "--initial": initial, "--stratified": stratified, "--full-data": full_data, "--metric": metric, "--jobs": jobs > 1, "--aux-loss": aux_loss})
            ask = _study(seeds, test_fraction, recipe, param)
        else:
            named = [*_preset(preset), *(strategy or [])]
            ask = _simulation(named if mix else _given(named or None, "-s"), mix or [], _given(n, "-n"), _given(rounds, "--rounds"), initial, seeds, test_fraction, stratified, recipe, param, full_data, metric)
        ask.checked()
        for text in notes:
            talk.remark(text)
        source = opened(talk, pool, features=features_col, id=id_col, label=label_col, group=group_col, bad_rows=bad_rows, max_memory=max_memory, hive=hive, isolate=isolate)
        _run(talk, source, ask, out, jobs)


def _run(talk: Console, items: Items, ask: Simulation | Study, out: Path, jobs: int) -> None:
    from alcli.workflows.simulate import run, update_study

    with talk.progress() as progress:
        if isinstance(ask, update_study.Study):
            return _tell_study(talk, update_study.study(items, ask, out, progress=progress, note=talk.remark))
        done = run.simulate(items, ask, out, jobs=jobs, progress=progress, note=talk.remark)
    _tell(talk, done)


def _simulation(
    strategies: list[str], mixes: list[str], n: int, rounds: int, initial: int | None, seeds: int | None, test_fraction: float | None, stratified: bool,
    recipe: Recipe, param: list[str] | None, full_data: bool, metric: str | None,
) -> Simulation:
    from alcli.extensions import is_file
    from alcli.workflows.simulate.request import Simulation

    names = [name.strip() for part in strategies for name in part.split(",") if name.strip()]
    for name in names:
        if ":" in name and not is_file(name.rpartition("=")[2].partition("+")[0]):
            raise UsageError(f"-s names strategies, '{name}' is of a mix", hint="give the mix by --mix, as --mix margin:0.8,random:0.2")
    names += map(o.mix, mixes)
    return Simulation(names, n, rounds, initial, 3 if seeds is None else seeds, test_fraction, stratified, recipe, o.key_values(param, kebab=True), full_data, metric)


def _preset(name: str | None) -> list[str]:
    """The strategies of a preset; none without one."""
    if name is None:
        return []
    from alcli.workflows.simulate.request import PRESETS

    o.check_choice(name, tuple(PRESETS), "--preset")
    return list(PRESETS[name])


def _study(seeds: int | None, test_fraction: float | None, recipe: Recipe, param: list[str] | None) -> Study:
    from alcli.workflows.simulate.update_study import Study

    return Study(10 if seeds is None else seeds, test_fraction, recipe, o.key_values(param))


def _given(value: T | None, option: str) -> T:
    if value is None:
        raise UsageError(f"simulate needs {option}", hint="-s STRATEGY -n N --rounds R, or --study updates")
    return value


def _refuse_with_study(options: dict[str, object]) -> None:
    for option, value in options.items():
        if value:
            raise UsageError(f"{option} does not go with --study updates", hint="its sizes are -p initial=, new=, stages=; it runs in one process since it takes times")


def _tell_study(talk: Console, done: Studied) -> None:
    """The tables, the verdict, and where the files are; with --json one object."""
    if talk.as_json:
        return talk.summary(done.report | {"verdict": done.verdict, "out": str(done.folder)})
    for table in done.tables:
        talk.say(table.title)
        talk.table(table.header, table.rows)
        talk.say("")
    talk.say(done.verdict)
    talk.say(f"{done.folder}/updates.png shows the figures; all measurements are in study.csv and study.parquet beside it")


def _tell(talk: Console, done: Simulated) -> None:
    """The table, a verdict per strategy, and where the files are; with --json one object."""
    if talk.as_json:
        return talk.summary(done.report | {"verdicts": done.verdicts, "out": str(done.folder)})
    metric = f"{done.lines[0].metric.words}{' %' if done.lines[0].metric.is_share else ''}"
    header = ("strategy", f"mean {metric}", "vs random", "95% interval", f"final {metric}", f"{done.lines[0].axis} to random's final", "mean rank", "s fit", "s select")
    talk.table(header, [_cells(line, done.lines[0]) for line in done.lines])
    _tell_full_data(talk, done)
    for text in done.verdicts:
        talk.say(text)
    talk.say(f"{done.folder}/curves.png shows the curves; the figures are in summary.csv and curves.parquet beside it")


def _tell_full_data(talk: Console, done: Simulated) -> None:
    """With --full-data a table: when each strategy is at shares of what every label gives, and what that saves against random."""
    from alcli.report.summary import counts_from_zero
    from alcli.report.verdict import number

    base = done.lines[0]
    if base.full_data is None:
        return
    value = f"{number(base.metric, base.full_data)}{' %' if base.metric.is_share else ''}"
    of_it = "of it" if counts_from_zero(base.metric) else "of the way to it from random's first"
    talk.say(f"every label ({done.report['full_data']['labels']:,}) gives {base.metric.words} {value}; {base.axis} to shares {of_it}, and what that saves against random:")
    levels = [(f"{base.axis} to {one.share:.0%} ({number(base.metric, one.level)})", "saved") for one in base.reaches]
    talk.table(["strategy", *(title for pair in levels for title in pair)], [_reached(line) for line in done.lines])


def _reached(line: Line) -> list[str]:
    """One row of the table of shares: of what is saved at least, where random is never there, a lower bound."""
    from alcli.report.verdict import how_many

    cells = [line.strategy]
    for one in line.reaches:
        saved = "" if one.saved is None else how_many(line.axis, one.saved)
        if one.at_least is not None:
            saved = f"> {how_many(line.axis, floor(one.at_least) if line.axis == 'labels' else one.at_least)}"
        cells += ["not reached" if one.needed is None else how_many(line.axis, one.needed), saved]
    return cells


def _cells(line: Line, base: Line) -> list[str]:
    """One row. Where the baseline gains nothing there is no level to reach, and the column stays empty."""
    from alcli.report.verdict import how_many, number

    def shown(value: float | None, *, sign: bool = False) -> str:
        return "" if value is None else number(line.metric, value, sign=sign)

    interval = f"{shown(line.low, sign=True)} to {shown(line.high, sign=True)}" if line.low is not None else ""
    missed = "" if base.labels_to[-1] is None else "not reached"
    labels = missed if line.labels_to[-1] is None else how_many(line.axis, line.labels_to[-1])
    seconds = (f"{line.seconds[phase]:.2f}" for phase in ("seconds_fit", "seconds_select"))
    return [line.strategy, shown(line.area), shown(line.difference, sign=True), interval, shown(line.final), labels, f"{line.mean_rank:.1f}", *seconds]
