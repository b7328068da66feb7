"""`--redraw`: the pictures of a finished simulation, made anew from its runs."""

from __future__ import annotations

import pytest

from alcli.errors import AlcliError, DataError, InputError, UsageError
from alcli.report.pictures import Appearance
from alcli.workflows.inspect.simulation import about_simulation
from alcli.workflows.simulate.pictures import redraw
from tests.shell import untouched
from tests.workflows.simulate.runs import run, write_pool
from tests.workflows.simulate.test_run import PRICED, change_config, priced

SMALL = {"strategies": ["margin"], "rounds": 2, "n_seeds": 2}
NAMES = ("curves", "wins", "confidence")


def pictures(out):
    return {file.name: file.read_bytes() for file in out.iterdir() if file.suffix in {".png", ".svg", ".pdf"}}


@pytest.mark.parametrize("metric", [None, "nll"])
@pytest.mark.parametrize("full_data", [False, True])
def test_pictures_are_those_that_the_simulation_made(metric, full_data, pool, tmp_path):
    out = tmp_path / "out"
    run(pool, out, metric=metric, full_data=full_data, **SMALL)
    before = pictures(out)
    for name in before:
        (out / name).unlink()
    pool.unlink()
    assert redraw(out, metric, Appearance()) == [f"{name}.{format}" for name in NAMES for format in ("png", "svg")]
    assert pictures(out) == before
    assert redraw(out, None, Appearance()), "without a metric it is that of the summary"
    assert pictures(out) == before


def test_with_costs_and_without_classes(tmp_path):
    path = tmp_path / "pool.parquet"
    run(priced(path, labels=lambda X, y: X[:, 0].tolist()), tmp_path / "out", **PRICED | {"strategies": ["coreset"]})
    before = pictures(tmp_path / "out")
    assert redraw(tmp_path / "out", None, Appearance()) == ["curves.png", "curves.svg", "wins.png", "wins.svg"]
    assert pictures(tmp_path / "out") == before


def test_another_metric_format_and_width_change_pictures_and_nothing_else(pool, tmp_path):
    out = tmp_path / "out"
    run(pool, out, **SMALL)
    others = {p: p.read_bytes() for p in out.rglob("*") if p.is_file() and p.suffix not in {".png", ".svg", ".pdf"}}
    before = pictures(out)
    assert redraw(out, "nll", Appearance(("pdf",), 3.4)) == [f"{name}.pdf" for name in NAMES]
    assert {name: data for name, data in pictures(out).items() if not name.endswith("pdf")} == before
    redraw(out, "nll", Appearance(("svg",), 3.4))
    changed = (out / "curves.svg").read_bytes()
    assert b"negative" in changed
    assert b'width="244.8pt"' in changed, "3.4 inches of 72 points"
    assert {path: path.read_bytes() for path in others} == others


def test_a_folder_that_holds_no_simulation(tmp_path):
    with pytest.raises(InputError, match="holds no simulation, expected a folder that alcli simulate -o wrote"):
        redraw(tmp_path / "none", None, Appearance())
    assert not (tmp_path / "none").exists()


def test_a_missing_run_is_counted(pool, tmp_path, no_pictures):
    run(pool, tmp_path / "out", **SMALL)
    (tmp_path / "out" / "runs" / "margin-1.json").unlink()
    with untouched(tmp_path), pytest.raises(DataError, match=r"out: 1 run of 4 is not finished; run the command"):
        redraw(tmp_path / "out", None, Appearance())


def test_a_metric_that_was_not_measured(pool, tmp_path, no_pictures):
    run(pool, tmp_path / "out", **SMALL)
    with pytest.raises(
        UsageError, match=r"not every run was measured by 'average_precision:a'; run the simulation with"
    ):
        redraw(tmp_path / "out", "average-precision:a", Appearance())
    with pytest.raises(UsageError, match="no metric is named 'acuracy'"):
        redraw(tmp_path / "out", "acuracy", Appearance())


def test_a_damaged_configuration_is_named(pool, tmp_path, no_pictures):
    run(pool, tmp_path / "out", **SMALL)
    for change in (lambda c: c.pop("rounds"), lambda c: c.update(rounds="3"), lambda c: c.update(default_metric="x")):
        config = tmp_path / "out" / "config.json"
        whole = config.read_bytes()
        change_config(tmp_path / "out", change)
        with pytest.raises(DataError, match=r"config\.json: is damaged"):
            redraw(tmp_path / "out", None, Appearance())
        with pytest.raises(AlcliError, match=r"config\.json: is damaged"):
            run(pool, tmp_path / "out", **SMALL)
        config.write_bytes(whole)


def test_a_metric_of_a_file_is_asked_for(tmp_path, no_pictures, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.py").write_text(
        "from alcli.simulation.metrics import metric\n\n"
        '@metric(larger_is_better=True, task="classification")\n'
        "def top(y_N, log_probs_NC):\n    return float((log_probs_NC.argmax(axis=1) == y_N).mean())\n"
    )
    run(write_pool(tmp_path / "pool.parquet"), tmp_path / "out", metric="mine.py", **SMALL)
    with pytest.raises(UsageError, match=r"compared by 'top', a metric of a file; name the file, as --metric FILE\.py"):
        redraw(tmp_path / "out", None, Appearance())
    assert redraw(tmp_path / "out", "mine.py", Appearance())


def test_a_file_that_a_summary_names_is_not_run(pool, tmp_path, no_pictures):
    out = tmp_path / "out"
    run(pool, out, **SMALL)
    (out / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    summary = (out / "summary.csv").read_text()
    assert summary.count(",accuracy,") == 2
    (out / "summary.csv").write_text(summary.replace(",accuracy,", f",{out / 'evil.py'},"))
    with pytest.raises(UsageError, match="a metric of a file"):
        redraw(out, None, Appearance())
    assert about_simulation(out)["metric"] == "accuracy"
    assert not (tmp_path / "ran").exists()


def test_a_study_is_judged_by_its_metric(pool, tmp_path, no_pictures):
    run(pool, tmp_path / "out", metric="average-precision:class 0", **SMALL)
    by_class = about_simulation(tmp_path / "out")
    run(pool, tmp_path / "out", metric="accuracy", **SMALL)
    by_accuracy = about_simulation(tmp_path / "out")
    assert (by_class["metric"], by_accuracy["metric"]) == ("average_precision:class 0", "accuracy")
    assert by_class["verdicts"] != by_accuracy["verdicts"]
