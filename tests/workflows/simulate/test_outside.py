"""Strategies and metrics that are not part of alcli, in a simulation."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli.errors import CannotCreateError, DataError, UsageError
from alcli.simulation.contenders import contender, short_names
from alcli.workflows.simulate import run as module
from tests.workflows.simulate.runs import ask, run, summary, without_seconds, write_pool

SURE = """import numpy as np

from alcli.selection import Selection, batch, pointwise


@pointwise(needs=["log_probs"])
def sure(log_probs_BC):
    return np.exp(log_probs_BC.max(axis=1))


@batch(needs=["features"], random=True)
def drawn(view, k, *, rng, first: int = 0):
    places = first + rng.choice(view.n - first, k, replace=False)
    return Selection(view.rows[places], np.zeros(k, np.float32))
"""
TOP2 = """from alcli.simulation.metrics import metric


@metric(larger_is_better=True, task="classification", words="top-2 accuracy", is_share=True)
def top2(y_N, log_probs_NC):
    return (log_probs_NC.argsort(axis=1)[:, -2:] == y_N[:, None]).any(axis=1).mean()


@metric(larger_is_better=False, task="classification")
def misses(y_N, log_probs_NC):
    return (log_probs_NC.argmax(axis=1) != y_N).sum()


@metric(larger_is_better=False, task="regression")
def worst(y_N, mean_N, variance_N):
    return abs(y_N - mean_N).max()
"""


@pytest.fixture
def here(tmp_path, monkeypatch, pool):
    """The folder of the pool, with a file of strategies in it and in a folder below, and a file of metrics."""
    monkeypatch.chdir(tmp_path)
    Path("below").mkdir()
    for path in ("mine.py", "below/mine.py"):
        Path(path).write_text(SURE)
    Path("measures.py").write_text(TOP2)
    return pool


def digest(path):
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def config(out):
    return json.loads((out / "config.json").read_text())


NAMES = [
    "./mine.py:sure",
    "below/mine.py:drawn",
    "d=mine.py:drawn",
    "mine.py:sure+update",
    "mine.py:sure:0.5,random:0.5",
]


def test_a_file_takes_part_under_every_kind_of_name(here, tmp_path):
    options = {"d.first": "3", "mine.py:sure+update.update-every": "2"}
    done = run(here, tmp_path / "out", strategies=NAMES, options=options, rounds=2)
    assert [line.strategy for line in done.lines] == ["random", *NAMES]
    assert config(tmp_path / "out")["parameters"] == {
        "d=mine.py:drawn": {"first": "3"},
        "mine.py:sure+update": {"update-every": "2"},
    }
    origin = {"file": "mine.py", "sha256": digest("mine.py")}
    assert config(tmp_path / "out")["origins"] == dict.fromkeys(
        ["./mine.py:sure", "below/mine.py:drawn", "mine.py:drawn", "mine.py:sure"], origin
    )
    assert not [p.name for p in (tmp_path / "out" / "runs").iterdir() if p.name.startswith(".")]
    assert len(list((tmp_path / "out" / "runs").glob("*.json"))) == 6 * 2
    assert run(here, tmp_path / "out", strategies=NAMES, options=options, rounds=2).report["resumed"] == 12
    run(here, tmp_path / "two", strategies=NAMES, options=options, rounds=2, jobs=2)
    assert without_seconds(tmp_path / "out") == without_seconds(tmp_path / "two")


def test_a_file_chooses_what_the_same_strategy_of_alcli_would(here, tmp_path, no_pictures):
    """A copy of alcli's own entropy in a file chooses what entropy chooses."""
    Path("entropy.py").write_text((Path(module.__file__).parents[2] / "strategies" / "entropy.py").read_text())
    run(here, tmp_path / "out", strategies=["entropy", "a=entropy.py"])
    picks = pq.read_table(tmp_path / "out" / "selections.parquet").to_pylist()
    own, theirs = (
        [(p["seed"], p["id"], p["score"]) for p in picks if p["strategy"] == name]
        for name in ("entropy", "a=entropy.py")
    )
    assert own == theirs


def test_pictures_show_short_names_where_they_differ(here, tmp_path):
    run(here, tmp_path / "out", strategies=["below/mine.py:sure", "./mine.py:drawn"], rounds=1)
    svg = (tmp_path / "out" / "curves.svg").read_text()
    assert ">mine.py:sure</text>" in svg
    assert ">mine.py:drawn</text>" in svg
    assert {row["strategy"] for row in summary(tmp_path / "out")} == {"random", "below/mine.py:sure", "./mine.py:drawn"}
    both = ["a/b/mine.py", "c/mine.py", "x=a/mine.py:f+update", "a/one.py:0.5,feature/kcenter:0.5"]
    assert list(short_names(both).values()) == [
        "a/b/mine.py",
        "c/mine.py",
        "x=mine.py:f+update",
        "one.py:0.5,feature/kcenter:0.5",
    ]


def test_a_simulation_without_such_a_file_says_nothing_of_it(here, tmp_path, no_pictures):
    run(here, tmp_path / "out", strategies=["margin", "m=margin:0.5,badge:0.5"], rounds=1)
    assert set(config(tmp_path / "out")) == {
        "format",
        "version",
        "pool",
        "strategies",
        "parameters",
        "head",
        "batch",
        "rounds",
        "initial",
        "stratified",
        "candidates",
        "seeds",
        "test",
        "train_weights",
        "default_metric",
    }


def test_a_file_that_has_changed_is_another_configuration(here, tmp_path, no_pictures):
    run(here, tmp_path / "out", strategies=["mine.py:sure"], rounds=1)
    before = digest("mine.py")
    Path("mine.py").write_text(SURE + "\n# changed\n")
    with pytest.raises(
        CannotCreateError,
        match=rf"the code of mine.py:sure has changed \(SHA-256 {before[:12]}, now {digest('mine.py')[:12]}\); "
        rf"choose another -o",
    ):
        run(here, tmp_path / "out", strategies=["mine.py:sure"], rounds=1)


@pytest.mark.parametrize("jobs", [1, 2])
@pytest.mark.parametrize(("path", "changes"), [("mine.py", {}), ("measures.py", {"metric": "measures.py:top2"})])
def test_a_file_that_changes_while_the_simulation_runs_ends_it(
    here, tmp_path, no_pictures, monkeypatch, jobs, path, changes
):
    original = module.run_cells

    def changing(shared, cells, jobs):
        yield next(original(shared, cells[:1], jobs))
        Path(path).write_text(Path(path).read_text() + "\n# changed\n")
        yield from original(shared, cells[1:], jobs)

    monkeypatch.setattr(module, "run_cells", changing)
    with pytest.raises(DataError, match=rf"{path}\S* has changed since the simulation began; undo the change"):
        run(here, tmp_path / "out", strategies=["mine.py:sure"], rounds=1, jobs=jobs, **changes)
    assert len(list((tmp_path / "out" / "runs").glob("*.json"))) in (1, 2)


def test_an_error_in_a_file_says_where_it_happened(here, tmp_path, no_pictures):
    Path("broken.py").write_text(SURE.replace("return np.exp", "return 1 / 0 + np.exp"))
    with pytest.raises(
        DataError,
        match=r"strategy broken.py:sure, seed 0, round 1: strategy 'broken.py:sure': line 8 of broken.py: "
        r"ZeroDivisionError",
    ):
        run(here, tmp_path / "out", strategies=["broken.py:sure"])


def test_names_that_are_not_there_are_refused_before_data_is_read(here):
    with pytest.raises(UsageError, match=r"no strategy 'shure'.*did you mean 'sure'"):
        ask(strategies=["mine.py:shure"]).checked()
    with pytest.raises(UsageError, match=r"'mine\.py:drawn' has no parameter 'frst'; did you mean 'first'"):
        ask(strategies=["mine.py:drawn"], options={"mine.py:drawn.frst": "1"}).checked()
    assert contender("mine.py:drawn").origins["mine.py:drawn"]["file"] == "mine.py"


def test_a_metric_of_a_file_is_recorded_and_compares(here, tmp_path):
    done = run(here, tmp_path / "out", metric="measures.py:top2", full_data=True)
    rows = pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist()
    assert all(row["accuracy"] <= row["top2"] <= 1 for row in rows)
    assert (done.report["metric"], done.lines[0].metric.name) == ("top2", "top2")
    assert config(tmp_path / "out")["metrics"] == {"top2": {"file": "measures.py", "sha256": digest("measures.py")}}
    assert b">test top-2 accuracy (%)</text>" in (tmp_path / "out" / "curves.svg").read_bytes()
    run(here, tmp_path / "two", metric="measures.py:top2", full_data=True, jobs=2)
    assert without_seconds(tmp_path / "out") == without_seconds(tmp_path / "two")


def test_runs_that_lack_the_metric_run_again_and_end_as_the_others(here, tmp_path, no_pictures, monkeypatch):
    run(here, tmp_path / "fresh", metric="measures.py:top2")
    plain = run(here, tmp_path / "out")
    done = run(here, tmp_path / "out", metric="measures.py:top2")
    assert "6 runs had not been measured by 'top2', so their heads were fitted again" in done.notes
    assert done.report["resumed"] == 0
    assert without_seconds(tmp_path / "out") == without_seconds(tmp_path / "fresh")
    monkeypatch.setattr(module, "run_cells", lambda *_: pytest.fail("nothing is missing"))
    assert run(here, tmp_path / "out", metric="measures.py:top2").report["resumed"] == 6
    back = run(here, tmp_path / "out")
    assert [line.area for line in back.lines] == [line.area for line in plain.lines]
    assert config(tmp_path / "out")["metrics"]["top2"]["file"] == "measures.py"


def test_runs_of_which_some_lack_the_metric_are_null_there(here, tmp_path, no_pictures, monkeypatch):
    run(here, tmp_path / "out")
    original = module.run_cells

    def stopping(shared, cells, jobs):
        yield next(original(shared, cells, jobs))
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_cells", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(here, tmp_path / "out", metric="measures.py:top2")
    run(here, tmp_path / "out")
    curves = pq.read_table(tmp_path / "out" / "curves.parquet")
    assert curves["top2"].null_count == len(curves) - 4
    monkeypatch.setattr(module, "run_cells", original)
    assert (
        "5 runs had not been measured by 'top2', so their heads were fitted again"
        in run(here, tmp_path / "out", metric="measures.py:top2").notes
    )
    assert pq.read_table(tmp_path / "out" / "curves.parquet")["top2"].null_count == 0


def test_another_metric_can_be_added_and_a_changed_one_is_refused(here, tmp_path, no_pictures):
    run(here, tmp_path / "out", metric="measures.py:top2", rounds=1)
    Path("more.py").write_text(TOP2)
    run(here, tmp_path / "out", metric="more.py:misses", rounds=1)
    recorded = config(tmp_path / "out")["metrics"]
    assert {name: one["file"] for name, one in recorded.items()} == {"top2": "measures.py", "misses": "more.py"}
    Path("measures.py").write_text(TOP2 + "\n# changed\n")
    run(here, tmp_path / "out", metric="more.py:misses", rounds=1)
    run(here, tmp_path / "out", metric="nll", rounds=1)
    with pytest.raises(CannotCreateError, match=r"the code of top2 has changed \(SHA-256 "):
        run(here, tmp_path / "out", metric="measures.py:top2", rounds=1)


def test_a_metric_of_numbers_from_a_file(here, tmp_path, no_pictures):
    numbers = write_pool(tmp_path / "numbers.parquet", labels=lambda X, y: (X @ np.arange(4.0)).tolist())
    done = run(numbers, tmp_path / "out", strategies=["coreset"], metric="measures.py:worst", recipe=ask().recipe)
    rows = pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist()
    assert all(row["worst"] >= row["rmse"] >= row["mae"] for row in rows)
    assert done.lines[0].metric.words == "worst"
    with pytest.raises(UsageError, match="'top2' is for labels that are classes"):
        run(numbers, tmp_path / "out", strategies=["coreset"], metric="measures.py:top2")


def test_an_installed_package_offers_a_metric(here, tmp_path, no_pictures, monkeypatch):
    about = tmp_path / "site" / "alcli_mine-1.2.dist-info"
    about.mkdir(parents=True)
    (about.parent / "measures_of_mine.py").write_text(TOP2)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: alcli-mine\nVersion: 1.2\n")
    (about / "entry_points.txt").write_text("[alcli.metrics]\ntop-two = measures_of_mine:top2\n")
    monkeypatch.syspath_prepend(str(about.parent))
    done = run(here, tmp_path / "out", metric="top-two", rounds=1, jobs=2)
    assert done.report["metric"] == "top2"
    assert config(tmp_path / "out")["metrics"] == {"top2": {"package": "alcli-mine", "version": "1.2"}}
    with pytest.raises(UsageError, match="no metric is named 'top-too'; did you mean 'top-two'"):
        ask(metric="top-too").checked()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: alcli-mine\nVersion: 1.3\n")
    with pytest.raises(CannotCreateError, match=r"metrics\.top2\.version 1\.2, now 1\.3"):
        run(here, tmp_path / "out", metric="top-two", rounds=1)


@pytest.mark.parametrize(
    ("text", "error", "words"),
    [
        (
            "def mine(y, p):\n    return 1\n",
            DataError,
            "declares no metric; decorate a function with @metric from alcli.simulation.metrics",
        ),
        (
            "@metric(larger_is_better=True, task='classification')\ndef accuracy(y, p):\n    return 1\n",
            UsageError,
            "cannot be called 'accuracy': the results have a column of that name",
        ),
        (
            "@metric(larger_is_better=True, task='classification')\ndef cost(y, p):\n    return 1\n",
            UsageError,
            "cannot be called 'cost'",
        ),
        (
            "@metric(larger_is_better=True, task='classes')\ndef mine(y, p):\n    return 1\n",
            DataError,
            "line 2 of mine.py: ValueError: task must be one of classification, regression, got 'classes'",
        ),
        (
            "@metric(larger_is_better=True, task='regression')\ndef mine(y, p):\n    return 1\n",
            DataError,
            r"TypeError: 'mine' must take the arguments \(y_N, mean_N, variance_N\)",
        ),
    ],
)
def test_a_file_that_declares_no_good_metric_is_refused_before_data_is_read(here, text, error, words):
    Path("mine.py").write_text(f"from alcli.simulation.metrics import metric\n{text}")
    with pytest.raises(error, match=words):
        ask(metric="mine.py").checked()


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("1 / 0", "strategy random, seed 0, round 0: the metric 'mine.py': line 4 of mine.py: ZeroDivisionError"),
        ("float('nan')", r"the metric 'mine.py' returned nan, expected a finite number"),
        ("'good'", r"the metric 'mine.py' returned 'good', expected a finite number"),
        ("y.sort()", r"line 4 of mine.py: ValueError: .* read-only"),
    ],
)
def test_a_metric_that_fails_says_where(here, tmp_path, no_pictures, body, words):
    Path("mine.py").write_text(
        f"from alcli.simulation.metrics import metric\n@metric(larger_is_better=True, task='classification')\ndef "
        f"mine(y, p):\n    return {body}\n"
    )
    with pytest.raises(DataError, match=words):
        run(here, tmp_path / "out", metric="mine.py")
