"""The study of updates in its folder: what is written, continued, refused."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.pool import open_pool
from alcli.errors import CannotCreateError, DataError, UsageError
from alcli.report.pictures import Appearance
from alcli.report.update_study import recovered
from alcli.simulation.update_methods import AUTO, BASE, POLISHED, TARGET
from alcli.workflows.items import Items
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate import update_study as module
from alcli.workflows.simulate.pictures import redraw
from alcli.workflows.simulate.update_study import Study, _verdict, study

SMALL = {"initial": "20", "new": "5,10", "stages": "15", "mc-samples": "10"}


@pytest.fixture
def pool(tmp_path) -> Path:
    rng = np.random.default_rng(3)
    y = np.arange(120) % 3
    X = (rng.standard_normal((120, 4)) + np.eye(3, 4)[y]).astype(np.float32)
    columns = {
        "id": np.arange(120),
        "label": y.astype(str),
        "features": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 4),
    }
    pq.write_table(pa.table(columns), tmp_path / "pool.parquet")
    return tmp_path / "pool.parquet"


def run(pool, out, *, n_seeds=2, options=SMALL, **changes):
    """The outcome of a study, with its remarks as `notes`."""
    notes = []
    done = study(Items(open_pool(str(pool))), Study(n_seeds, options=options, **changes), out, note=notes.append)
    return SimpleNamespace(notes=notes, **vars(done))


def test_the_folder_holds_what_is_promised_and_a_stopped_study_goes_on(pool, tmp_path, monkeypatch):
    original = module.run_seed

    def stopping(*arguments):
        if arguments[-1] == 1:
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(module, "run_seed", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(pool, tmp_path / "out")
    monkeypatch.setattr(module, "run_seed", original)
    done = run(pool, tmp_path / "out")
    assert done.report["resumed"] == 1
    assert "1 of 2 seeds were there already" in done.notes
    assert {p.name for p in (tmp_path / "out").iterdir() if not p.name.startswith(".")} == {
        "config.json",
        "runs",
        "study.csv",
        "study.parquet",
        "summary.csv",
        "updates.png",
        "updates.svg",
    }
    table = pq.read_table(tmp_path / "out" / "study.parquet")
    assert table.column_names == [
        "experiment",
        "seed",
        "n_labelled",
        "n_new",
        "method",
        "gamma",
        "accuracy",
        "nll",
        "ece",
        "flips",
        "seconds",
        "ess",
    ]
    with open(tmp_path / "out" / "study.csv", newline="") as file:
        assert len(list(csv.DictReader(file))) == len(table)
    assert done.verdict.startswith("second-order auto recovers ")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.is_file()}
    monkeypatch.setattr(module, "run_seed", None)
    run(pool, tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.is_file()} == before


def test_another_configuration_is_refused_with_what_differs(pool, tmp_path):
    run(pool, tmp_path / "out", n_seeds=1)
    with pytest.raises(CannotCreateError, match=r"another configuration: initial 20, now 21"):
        run(pool, tmp_path / "out", n_seeds=1, options=SMALL | {"initial": "21"})


def test_seeds_are_added_and_pictures_made_anew(pool, tmp_path):
    run(pool, tmp_path / "out", n_seeds=1)
    assert "1 of 2 seeds were there already" in run(pool, tmp_path / "out", n_seeds=2).notes
    before = {name: (tmp_path / "out" / name).read_bytes() for name in ("updates.png", "updates.svg")}
    for name in before:
        (tmp_path / "out" / name).unlink()
    assert redraw(tmp_path / "out", None, Appearance()) == list(before)
    assert {name: (tmp_path / "out" / name).read_bytes() for name in before} == before
    assert redraw(tmp_path / "out", None, Appearance(("png",), 3.4)) == ["updates.png"]
    with pytest.raises(UsageError, match="--metric does not go with a study of updates"):
        redraw(tmp_path / "out", "nll", Appearance())
    with pytest.raises(CannotCreateError, match="another configuration: seeds 2, now 1"):
        run(pool, tmp_path / "out", n_seeds=1)


def test_a_pool_too_small_is_refused_before_anything_is_written(pool, tmp_path):
    with pytest.raises(DataError, match=r"96 labelled rows beside the test rows, the study takes 410; make it smaller"):
        run(pool, tmp_path / "out", options={})
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"n_seeds": 0}, "--seeds must be at least 1"),
        (
            {"recipe": Recipe(posterior="none")},
            "needs a posterior that absorbs labels in closed form, which --posterior none is not",
        ),
        ({"recipe": Recipe(posterior="variational")}, "which --posterior variational is not"),
        ({"options": {"inital": "5"}}, "has no parameter 'inital'; did you mean 'initial'"),
        ({"options": {"initial": "1"}}, "-p initial is too small: 1"),
        ({"options": {"new": "9,3"}}, "-p new takes ascending sizes"),
        ({"options": {"stages": "100,50"}}, "-p stages takes ascending sizes such as 50,100,1000"),
        ({"options": {"head.size": "3"}}, "'head' has no parameter 'size'; there are none"),
        ({"options": {"radam-rate": "0"}}, "-p radam-rate must be a positive number"),
        ({"test_fraction": 2.0}, "--test-fraction must be between 0 and 1"),
    ],
)
def test_a_wrong_request_is_refused(changes, words):
    with pytest.raises(UsageError, match=words):
        Study(**changes).checked()


def test_numbers_are_refused(tmp_path):
    X = np.random.default_rng(0).standard_normal((40, 3)).astype(np.float32)
    columns = {
        "id": np.arange(40),
        "label": X[:, 0],
        "features": pa.FixedSizeListArray.from_arrays(pa.array(X.ravel()), 3),
    }
    pq.write_table(pa.table(columns), tmp_path / "numbers.parquet")
    with pytest.raises(UsageError, match="is for classes"):
        run(tmp_path / "numbers.parquet", tmp_path / "out")


def test_where_retraining_gains_nothing_there_is_no_share_to_recover():
    rows = [{"method": method, "n_new": 10, "accuracy": 0.5} for method in (BASE, TARGET, AUTO, POLISHED)]
    said = _verdict(rows, recovered(rows))
    assert said.startswith("exact retraining gains nothing here; second-order auto is never below the head before")
    assert "nan" not in said
