"""`alcli.simulate`: find out beforehand which strategy pays off, on a pool whose labels are known."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from alcli.api.inputs import LabelsLike, Options, PathLike, label_rows, path, real, texts, whole
from alcli.api.pool import PoolLike, items_of
from alcli.api.session import session
from alcli.errors import UsageError, printable
from alcli.remarks import Note
from alcli.workflows.recipe import Recipe, prior_of
from alcli.workflows.simulate.request import Simulation
from alcli.workflows.simulate.run import simulate as simulate_workflow
from alcli.workflows.simulate.truth import LabelFiles


@dataclass(frozen=True, eq=False)
class Comparison:
    """The outcome of a simulation. Columns are lists of equal length, which pandas and Polars take as they are.

    summary: a mapping for each strategy, the rows of summary.csv.
    verdicts: a sentence for each strategy.
    curves: the columns of curves.parquet, a row for each strategy, seed and round.
    selections: the columns of selections.parquet, a row for each chosen item.
    report: figures of the run.
    folder: the folder of the files; None where none was given.
    """

    summary: list[dict[str, Any]]
    verdicts: list[str]
    curves: dict[str, list[Any]]
    selections: dict[str, list[Any]]
    report: Mapping[str, Any]
    folder: Path | None


def simulate(
    pool: PoolLike,
    strategies: str | Sequence[str],
    n: int,
    rounds: int,
    *,
    labels: LabelsLike | None = None,
    ignore_unknown: bool = False,
    initial: int | None = None,
    stratified: bool = False,
    candidates: int | None = None,
    normalize_labels: bool = False,
    seeds: int = 10,
    full_data: bool = False,
    metric: str | None = None,
    train_weights: bool = False,
    test_fraction: float | None = None,
    test_labels: LabelsLike | None = None,
    none_label: str | None = None,
    head: str | None = None,
    posterior: str = "laplace",
    covariance: str = "shared",
    prior: str = "auto",
    class_names: PathLike | None = None,
    prior_precision: float | None = None,
    calibrate: str = "none",
    options: Options | None = None,
    jobs: int = 1,
    out: PathLike | None = None,
    note: Note | None = None,
) -> Comparison:
    """Compare strategies with `random` on a pool whose labels are known, as `alcli simulate` does.

    Every strategy starts from the same random labels, then `rounds` times fits a head, is measured on test
    rows, and gets the labels of the n items that it chooses.

    pool: a path, an array, a table or the result of `alcli.pool`.
    strategies: names as on the command line, with aliases, modifiers and mixes.
    n: items to label per round; with the option cost-col the budget of a round.
    labels: a file, several files, a mapping from id to label, or a table; None takes those of the pool.
    ignore_unknown: leave out labels whose ids are not in the pool.
    initial: random items to start with; None takes n. stratified: take the classes in turn for them.
    candidates: random items that each round chooses among, drawn anew; None takes all.
    normalize_labels: classes whose names look alike are one.
    seeds: repetitions, each with its own split and initial labels.
    full_data: also fit the head to every label, and measure the labels that strategies save against random.
    metric: the metric that compares the strategies, a name or FILE.py; None takes accuracy, balanced accuracy where
        classes are uneven, or rmse for numbers.
    train_weights: train heads with the weights that strategies give their items.
    test_fraction: share of items to measure on; None takes the test rows of the pool, or 0.2 where it has none.
    test_labels: labels of rows that become test rows, as for `fit_head`.
    none_label: the label of items that belong to no class, which cost a label and teach nothing.
    head, posterior, covariance, calibrate: the options of the command line.
    prior, class_names: as for `fit_head`.
    prior_precision: a number; None chooses it from the data.
    options: of strategies and of the head, as `NAME`, `STRATEGY.NAME`, `head.NAME` or `posterior.NAME`.
    jobs: processes. A script that asks for several must call `simulate` below `if __name__ == "__main__":`.
    out: a folder for the tables, the pictures and the finished runs, from which a stopped simulation goes on;
        None keeps no file.
    note: is told each remark; None makes warnings.

    Raises any of `alcli.errors`.

    >>> import alcli
    >>> result = alcli.simulate("sample_data/digits-features.parquet", ["margin"], n=10, rounds=2, seeds=2)
    >>> [row["strategy"] for row in result.summary]
    ['random', 'margin']
    >>> result.curves["n_labels"][:3]
    [10, 20, 30]
    """
    names = None if class_names is None else os.fspath(class_names)
    precision = real(prior_precision, "prior_precision")
    recipe = Recipe(head, posterior, covariance, precision, calibrate, prior=prior_of(prior, names))
    if metric is not None and not isinstance(metric, str):
        raise UsageError(f"metric must be a name, FILE.py or None, got {printable(repr(metric))}")
    ask = Simulation(
        _names(strategies),
        whole(n, "n", 1),
        whole(rounds, "rounds", 1),
        None if initial is None else whole(initial, "initial"),
        whole(seeds, "seeds", 1),
        real(test_fraction, "test_fraction"),
        stratified,
        recipe,
        texts(options),
        full_data,
        metric=metric,
        class_names=names,
        train_weights=train_weights,
        candidates=None if candidates is None else whole(candidates, "candidates", 1),
        labels=LabelFiles(label_rows(labels), ignore_unknown),
        none_label=none_label,
        test_labels=label_rows(test_labels),
        normalize=normalize_labels,
    )
    ask.checked()
    folder = path(out)
    with session(note) as remark, tempfile.TemporaryDirectory(prefix="alcli-") as scratch:
        target = Path(scratch) / "simulation" if folder is None else folder
        done = simulate_workflow(items_of(pool, remark), ask, target, jobs=whole(jobs, "jobs", 1), note=remark)
        curves, selections = (
            pq.read_table(target / f"{name}.parquet").to_pydict() for name in ("curves", "selections")
        )
    report = {key: value for key, value in done.report.items() if key != "summary"}
    return Comparison(done.report["summary"], done.verdicts, curves, selections, report, folder)


def _names(strategies: object) -> list[str]:
    """Names of strategies. Raises UsageError for anything else."""
    names = [strategies] if isinstance(strategies, str) else strategies
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        hint = "a strategy of your own is named FILE.py"
        raise UsageError(f"strategies must be names, got {printable(repr(strategies))}", hint=hint)
    return list(names)
