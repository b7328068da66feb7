"""`--metric`: the same runs, compared by another metric."""

from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli.errors import UsageError
from alcli.numerics.metrics import METRICS
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate import run as module
from tests.workflows.simulate.runs import ask, run, summary, without_seconds, write_pool


def test_a_finished_simulation_is_shown_by_another_metric_without_running_again(pool, tmp_path, monkeypatch):
    run(pool, tmp_path / "fresh", metric="nll", full_data=True)
    run(pool, tmp_path / "out", full_data=True)
    before = {path: path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()}
    monkeypatch.setattr(module, "run_cells", lambda *_: pytest.fail("nothing is missing"))
    done = run(pool, tmp_path / "out", metric="nll", full_data=True)
    assert (done.report["metric"], done.report["resumed"]) == ("nll", 7)
    assert {row["metric"] for row in summary(tmp_path / "out")} == {"nll"}
    assert without_seconds(tmp_path / "out") == without_seconds(tmp_path / "fresh")
    assert b">test negative log-likelihood</text>" in (tmp_path / "out" / "curves.svg").read_bytes()
    changed = {path.name for path, data in before.items() if path.read_bytes() != data}
    assert changed == {"summary.csv", "curves.png", "curves.svg", "wins.csv", "wins.png", "wins.svg"}
    run(pool, tmp_path / "out", full_data=True)
    assert {path: path.read_bytes() for path in before} == before


@pytest.mark.parametrize("name", [name for name, one in METRICS.items() if one.task == "classification"])
def test_lines_and_verdicts_follow_the_direction_of_the_metric(name, pool, tmp_path, no_pictures):
    """Against the rows of curves.parquet: the better mean has the better rank, wins more, and is called better."""
    metric = METRICS[name]
    done = run(pool, tmp_path / "out", metric=name, n_seeds=1, strategies=["margin"], rounds=2)
    rows = pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist()
    by_strategy = {who: np.array([row[name] for row in rows if row["strategy"] == who]) for who in ("random", "margin")}
    area = {who: ((values[1:] + values[:-1]) / 2).mean() for who, values in by_strategy.items()}
    assert {line.strategy: line.area for line in done.lines} == pytest.approx(area)
    gain = (area["margin"] - area["random"]) * (1 if metric.larger_is_better else -1)
    assert gain != 0
    assert done.lines[1].mean_rank == (1.0 if gain > 0 else 2.0)
    assert f"{'higher' if area['margin'] > area['random'] else 'lower'} than random" in done.verdicts[0]
    assert metric.words in done.verdicts[0]
    ahead = (by_strategy["margin"] - by_strategy["random"])[1:] * (1 if metric.larger_is_better else -1)
    with open(tmp_path / "out" / "wins.csv") as file:
        share = float(file.read().splitlines()[2].split(",")[2])
    assert share == pytest.approx(((ahead > 0) + 0.5 * (ahead == 0)).mean(), abs=1e-4)


def test_numbers_are_compared_by_the_share_of_variance_explained(tmp_path, no_pictures):
    pool = write_pool(tmp_path / "pool.parquet", labels=lambda X, y: (X @ np.arange(4.0)).tolist())
    done = run(pool, tmp_path / "out", strategies=["coreset"], recipe=Recipe(), metric="r2", full_data=True)
    assert done.lines[0].metric is METRICS["r2"]
    first, value = done.report["full_data"]["levels"], done.report["full_data"]["r2"]
    start = np.mean(
        [row["r2"] for row in pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist() if row["round"] == 0]
    )
    assert first["80"] == pytest.approx(start + 0.8 * (value - start)), "a share of the way, since R2 can be below 0"


def test_a_metric_that_is_not_there_is_refused_before_data_is_read():
    with pytest.raises(UsageError, match="no metric is named 'acuracy'; did you mean 'accuracy'"):
        ask(metric="acuracy").checked()


@pytest.mark.parametrize(
    ("labels", "metric", "words"),
    [
        (
            None,
            "rmse",
            r"the metric 'rmse' is for labels that are numbers, the labels of .* are classes; metrics for classes: "
            r"accuracy, ",
        ),
        (
            lambda X, y: X[:, 0].tolist(),
            "ece",
            r"'ece' is for labels that are classes, the labels of .* are numbers; metrics for numbers: mae, rmse, ",
        ),
    ],
)
def test_a_metric_of_the_other_task_is_refused(tmp_path, labels, metric, words):
    pool = write_pool(tmp_path / "pool.parquet", labels=labels)
    with pytest.raises(UsageError, match=words):
        run(pool, tmp_path / "out", metric=metric, strategies=["coreset"], recipe=Recipe())
    assert not (tmp_path / "out").exists()


def test_the_metric_is_no_part_of_the_configuration(pool, tmp_path, no_pictures):
    run(pool, tmp_path / "one", metric="ece")
    run(pool, tmp_path / "two")
    one, two = ((tmp_path / name / "config.json").read_bytes() for name in ("one", "two"))
    assert one == two
    assert json.loads(one)["default_metric"] == "accuracy"
    assert "ece" not in one.decode()
