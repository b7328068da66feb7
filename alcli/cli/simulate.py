"""`alcli simulate`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from alcli.cli.console import Console
from alcli.cli.options import choosing, drawing, engines, general, measuring, models, pools
from alcli.cli.options.declare import spread
from alcli.cli.options.values import key_values
from alcli.cli.options.values import mix as parse_mix
from alcli.cli.reading import opened
from alcli.errors import UsageError
from alcli.extensions import is_file

if TYPE_CHECKING:
    from alcli.report.pictures import Appearance
    from alcli.workflows.items import Items
    from alcli.workflows.simulate.request import Simulation
    from alcli.workflows.simulate.update_study import Study

T = TypeVar("T")

SEEDS = 10


@spread
def simulate(
    pool: pools.OptionalPool = None,
    out: choosing.SimulationFolder = None,
    labels: pools.Labels = None,
    strategy: choosing.Contenders = None,
    n: choosing.Batch = None,
    rounds: choosing.Rounds = None,
    seeds: choosing.Seeds = None,
    param: choosing.ContenderParam = None,
    preset: choosing.StrategyPreset = None,
    mix: choosing.Mixes = None,
    initial: choosing.Initial = None,
    stratified: choosing.Stratified = False,
    candidates: choosing.RoundCandidates = None,
    test_fraction: choosing.TestFraction = None,
    full_data: choosing.FullData = False,
    none_label: pools.NoneLabel = None,
    test_labels: measuring.TestLabels = None,
    metric: choosing.Metric = None,
    train_weights: choosing.TrainWeights = False,
    study: choosing.Study = None,
    jobs: choosing.Jobs = None,
    redraw: drawing.Redraw = None,
    format: drawing.PictureFormats = None,
    width: drawing.PictureWidth = None,
    ignore_unknown: pools.IgnoreUnknown = False,
    corrections: pools.Corrections = False,
    *,
    model: models.HeadOptions,
    reading: pools.LabelledPoolOptions,
    columns: pools.LabelFileOptions,
    running: engines.ClusterOptions,
    talk: general.TalkOptions,
) -> None:
    r"""Compare strategies, or ways to absorb labels, on a pool whose labels are known.

    Every strategy starts from the same random labels. In each of R rounds a head is fitted, measured on test rows, and
    given the labels of the N items that the strategy chooses. DIR gets tables and pictures.

    Example:
        alcli simulate sample_data/digits-features.parquet \
          -s margin,badge,typiclust -n 10 --rounds 5 --seeds 5 -o simulation
        alcli simulate --redraw simulation --format pdf --width 3.4

    Labels:
      The labels are those of the pool, or with -l those of files. Rows without a label are left out. Numbers in files
      are classes, unless --head ridge predicts them as numbers.

    Strategies:
      random always takes part, as the baseline. With an alias a strategy takes part again under other options:
      -s margin,wide=margin -p wide.prefilter=0.5. STRATEGY+update sees the labels within a round too, after every
      -p update-every=R items (1 unless given), and absorbs them in closed form. FILE.py or FILE.py:NAME is a strategy
      of your own. optimal-look-ahead is an oracle: it is told true labels, and shows what could be gained, most of all
      one label at a time, as optimal-look-ahead+update.

    Files:
      DIR gets summary.csv, wins.csv, curves.parquet and selections.parquet; classes.csv, the accuracy of each class
      after the last round; and confidence.csv, how often predictions are right, by their confidence. As .png and .svg
      it gets the learning curves, the confidence, and the wins: who is ahead of whom, and how often. With --study
      updates DIR gets summary.csv, study.csv, study.parquet, and updates as .png and .svg.

    More:
      A stopped simulation goes on with the same command. Run a finished one again with more strategies, seeds or
      rounds, and only these are simulated. The results are those of a simulation that had them from the beginning.
      Nothing else may change in the same DIR.

    Pictures:
      --redraw DIR makes the pictures of a finished simulation anew from its runs: by another --metric, as --format
      png,svg,pdf, and with a --width in inches. Text in an SVG file stays text. Of more than 8 strategies, random and
      the best 5 are in colour.

    Summary:
      area is the mean height of the learning curve, and difference is its distance to the area of random, with a 95%
      interval over the seeds; detectable is half its width, the smallest difference that is clear. labels_to_80 is the
      number of labels at which a strategy has 80% of what random gains from its first to its last round. Seeds rank
      the strategies by area; friedman_p and nemenyi_p (against random) test whether mean ranks differ. holm_p is a
      paired t test of the areas against random, adjusted for the number of strategies.

    Metrics:
      Every metric of the test items is recorded, and --metric says which of them compares the strategies. Without it
      that is accuracy, or balanced accuracy where classes are uneven: where the entropy of their shares is below that
      of 0.9 C equal classes. average-precision:CLASS is about one class, such as a rare one. A finished simulation can
      be shown by another metric: run the same command with another --metric, and nothing is simulated again. FILE.py
      holds a metric of your own, a function under @metric from alcli.simulation.metrics. Where runs were not measured
      by a metric of a file or of a class, their heads are fitted again, and their choices are kept.

    Weights:
      With --train-weights heads are trained with the weights that sparse-greedy, acs-fw and strategies like them give
      their items, as fit-head does with a column weight. Items to start with, and items of strategies without weights,
      count as 1.

    Full data:
      --full-data adds columns to the summary. full_data is the value that every label together gives.
      labels_to_80_of_full (and 90) says at how many labels a strategy is at that share of it, and
      labels_saved_at_80_of_full what it saves against random; a column is empty where one of the two never gets there.
      --full-data can be asked for later, since finished runs are kept.

    Budget:
      With -p cost-col=C an item costs what column C of the pool says. Every strategy, random too, spends at most N in
      a round, and scores count per unit of cost. --initial says how many items to start with. Curves, area and
      cost_to_80 are over the cost of all labels so far.

    Items of no class:
      With --none-label none, rows that the pool labels none belong to no class. They can be asked for, and cost a label
      that teaches nothing; as in query, candidates that look like them are then left out. A remark counts them, and so
      does the column none of curves.parquet.

    Groups:
      Where the pool has a column group, items are groups of rows. Groups are chosen, counted and held out whole;
      metrics are over rows.

    Remarks:
      Where remarks of a strategy differ only in numbers, the first is shown, with the rounds of the others.
    """
    with talk.console() as console:
        running.checked()
        look = _look(format, width)
        elsewhere = jobs not in (None, 1) or running.engine != "local"
        if redraw is not None:
            unused = [pool, out, labels, strategy, n, rounds, seeds, param, preset, initial, test_fraction, study]
            unused += [none_label, test_labels, columns.normalize_labels, mix, candidates, ignore_unknown, corrections]
            unused += [model != models.HeadOptions(), running.cache_dir]
            return _redraw(console, redraw, metric, look, [*unused, stratified, full_data, train_weights, elsewhere])
        pool, out = _given(pool, "POOL"), _given(out, "-o")
        param, remarks = model.with_branch(param, "head.aux-loss")
        from alcli.workflows.simulate.truth import LabelFiles

        given_labels = LabelFiles(columns.named(labels), ignore_unknown, corrections)
        ask: Simulation | Study
        if study is not None:
            given = {
                "-s": strategy,
                "--preset": preset,
                "--mix": mix,
                "-n": n,
                "--rounds": rounds,
                "--initial": initial,
                "--candidates": candidates,
            }
            flags = {"--stratified": stratified, "--full-data": full_data}
            flags |= {"--jobs": jobs not in (None, 1), "--engine": running.engine != "local"}
            others = {
                "--train-weights": train_weights,
                "--metric": metric,
                "--aux-loss": model.aux_loss,
                "--class-names": model.class_names,
                "--none-label": none_label,
                "--test-labels": test_labels,
            }
            _refuse_with_study(given | flags | others | {"--prior pool": model.prior == "pool"})
            from alcli.workflows.simulate.update_study import Study

            n_seeds, recipe = SEEDS if seeds is None else seeds, model.recipe()
            ask = Study(n_seeds, test_fraction, recipe, key_values(param), look, given_labels, columns.normalize_labels)
        else:
            from alcli.workflows.simulate.request import Simulation

            named = _named(preset, strategy, mix)
            ask = Simulation(
                _needed(named, "-s"),
                _needed(n, "-n"),
                _needed(rounds, "--rounds"),
                initial,
                SEEDS if seeds is None else seeds,
                test_fraction,
                stratified,
                model.recipe(),
                key_values(param, kebab=True),
                full_data,
                metric,
                model.class_names,
                train_weights,
                look,
                candidates,
                given_labels,
                none_label,
                columns.named(test_labels),
                columns.normalize_labels,
            )
        ask.checked()
        for text in remarks:
            console.remark(text)
        cache_dir = running.cache_dir
        with running.started(jobs, None if cache_dir is None else str(cache_dir)):
            _run(console, opened(console, pool, reading), ask, out, jobs or 1, cache_dir)


def _look(formats: list[str] | None, width: float | None) -> Appearance:
    """The look of the pictures. Raises UsageError for another format, and for a width that no picture fits."""
    from alcli.report.pictures import Appearance

    named = [name.strip() for part in formats or ["png,svg"] for name in part.split(",") if name.strip()]
    return Appearance(tuple(dict.fromkeys(named)), width)


def _redraw(console: Console, folder: Path, metric: str | None, look: Appearance, unused: list[object]) -> None:
    """Make the pictures in a folder anew. Raises UsageError where another option is given, which would do nothing."""
    from alcli.workflows.simulate.pictures import redraw

    if any(unused):
        what = "--redraw DIR makes pictures from the runs in DIR: it takes no pool, and no options of a simulation"
        raise UsageError(what, hint="leave all but --metric, --format and --width out")
    files = redraw(folder, metric, look)
    if console.as_json:
        return console.summary({"out": str(folder), "pictures": files})
    console.say(f"{folder}: {', '.join(files)}")


def _given(value: T | None, name: str) -> T:
    if value is None:
        raise UsageError(f"simulate needs {name}", hint="alcli simulate --help shows an example")
    return value


def _run(console: Console, items: Items, ask: Simulation | Study, out: Path, jobs: int, cache_dir: Path | None) -> None:
    from alcli.cli.shown.findings import tell, tell_study
    from alcli.workflows.simulate import run, update_study

    with console.progress() as progress:
        if isinstance(ask, update_study.Study):
            studied = update_study.study(items, ask, out, progress=progress, note=console.remark)
            return tell_study(console, studied)
        done = run.simulate(items, ask, out, jobs=jobs, cache_dir=cache_dir, progress=progress, note=console.remark)
    tell(console, done)


def _named(preset: str | None, strategies: list[str] | None, mixes: list[str] | None) -> list[str] | None:
    """The strategies of a preset, of -s and of --mix; None where none is named. Raises UsageError for a mix in -s."""
    from alcli.workflows.simulate.request import PRESETS

    names = [*PRESETS[preset]] if preset is not None else []
    names += [name.strip() for part in strategies or [] for name in part.split(",") if name.strip()]
    for name in names:
        if ":" in name and not is_file(name.rpartition("=")[2].partition("+")[0]):
            raise UsageError(
                f"-s names strategies, '{name}' is of a mix",
                hint="give the mix by --mix, as --mix margin:0.8,random:0.2",
            )
    return [*names, *map(parse_mix, mixes or [])] or None


def _needed(value: T | None, option: str) -> T:
    if value is None:
        raise UsageError(f"simulate needs {option}", hint="-s STRATEGY -n N --rounds R, or --study updates")
    return value


def _refuse_with_study(options: Mapping[str, object]) -> None:
    for option, value in options.items():
        if value:
            raise UsageError(
                f"{option} does not go with --study updates",
                hint="its sizes are -p initial=, new=, stages=; it runs in one process since it takes times",
            )
