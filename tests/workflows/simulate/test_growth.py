"""A simulation takes more strategies, seeds and rounds, and is then as if it had them from the beginning."""

from __future__ import annotations

import json

import pyarrow.parquet as pq
import pytest

from alcli.errors import CannotCreateError, DataError
from alcli.simulation import cell as cell_module
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate import run as module
from tests.workflows.simulate.runs import run, without_seconds, write_pool
from tests.workflows.simulate.test_run import PRICED, priced

SECONDS = ("seconds_fit", "seconds_select", "seconds_evaluate")


def everything(out):
    """The whole folder without what comes from a clock."""
    found = without_seconds(out)
    for file in sorted(out.iterdir()):
        if file.suffix in {".csv", ".png", ".svg"} and file.name != "summary.csv":
            found[file.name] = file.read_bytes()
    for file in sorted((out / "runs").glob("*.json")):
        cell = json.loads(file.read_text())
        del cell["sha256"]  # times are part of it
        cell["curve"] = [{key: row[key] for key in row if key not in SECONDS} for row in cell["curve"]]
        found[file.name] = cell
    return found


def counting(monkeypatch):
    """Count the selections and the fits of heads from now on."""
    counts = {"select": 0, "fit": 0}
    for key, name in (("select", "_select"), ("fit", "_fit")):

        def spy(*args, key=key, original=getattr(cell_module, name)):
            counts[key] += 1
            return original(*args)

        monkeypatch.setattr(cell_module, name, spy)
    return counts


SMALL = {"strategies": ["margin"], "rounds": 2, "n_seeds": 2}
GROWN = {
    "seeds": {"n_seeds": 3},
    "strategies": {"strategies": ["coreset", "margin"]},
    "rounds": {"rounds": 4},
    "all three": {"n_seeds": 3, "strategies": ["badge", "margin"], "rounds": 3},
}


@pytest.mark.parametrize("more", GROWN.values(), ids=GROWN)
def test_a_grown_simulation_is_that_of_one_that_was_so_from_the_beginning(more, pool, tmp_path):
    run(pool, tmp_path / "once", **SMALL | more)
    run(pool, tmp_path / "out", **SMALL)
    run(pool, tmp_path / "out", **SMALL | more)
    assert everything(tmp_path / "out") == everything(tmp_path / "once")


GROUNDS = {
    "a mixed head": {"recipe": Recipe(), "strategies": ["margin+update", "entropy"]},
    "stratified in processes": {"stratified": True, "jobs": 2},
    "calibrated": {"recipe": Recipe(prior_precision=1.0, calibrate="temperature"), "strategies": ["bald"]},
}


@pytest.mark.parametrize("how", GROUNDS.values(), ids=GROUNDS)
def test_more_rounds_under_other_settings(how, pool, tmp_path, no_pictures):
    """Updates within a round, several processes, and heads whose fit begins at the one before."""
    how = {"strategies": ["margin"], "n_seeds": 2, **how}
    run(pool, tmp_path / "once", rounds=3, **how)
    run(pool, tmp_path / "out", rounds=1, **how)
    run(pool, tmp_path / "out", rounds=3, **how)
    assert everything(tmp_path / "out") == everything(tmp_path / "once")


def test_more_rounds_where_items_have_costs_and_are_used_up(tmp_path, no_pictures):
    pool = priced(tmp_path / "pool.parquet")
    how = {**PRICED, "batch": 60, "strategies": ["margin"], "n_seeds": 2}
    run(pool, tmp_path / "once", rounds=5, **how)
    run(pool, tmp_path / "out", rounds=1, **how)
    run(pool, tmp_path / "out", rounds=5, **how)
    assert everything(tmp_path / "out") == everything(tmp_path / "once")
    assert json.loads((tmp_path / "out" / "runs" / "margin-0.json").read_text())["used_up"]


def test_rounds_that_are_there_are_not_chosen_again(pool, tmp_path, monkeypatch, no_pictures):
    run(pool, tmp_path / "out", **SMALL)
    before = {row["seconds_select"] for row in pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist()[:2]}
    counts = counting(monkeypatch)
    done = run(pool, tmp_path / "out", **SMALL | {"rounds": 3})
    assert counts["select"] == 2 * 2 * 1, "one round of two strategies and two seeds"
    assert "4 runs kept their choices and went on from there" in done.notes
    assert done.report["resumed"] == 0
    after = pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist()
    assert {row["seconds_select"] for row in after[:2]} == before, "the seconds of earlier rounds stay"
    counts.update(select=0, fit=0)
    run(pool, tmp_path / "out", **SMALL | {"rounds": 3})
    assert counts == {"select": 0, "fit": 0}


def test_a_pool_that_is_used_up_does_not_run_again(tmp_path, monkeypatch, no_pictures):
    pool = write_pool(tmp_path / "pool.parquet", n=24)
    how = {"strategies": ["margin"], "batch": 10, "n_seeds": 1}
    run(pool, tmp_path / "out", rounds=2, **how)
    monkeypatch.setattr(module, "run_cells", lambda *_: pytest.fail("nothing is missing"))
    assert run(pool, tmp_path / "out", rounds=9, **how).report["resumed"] == 2


def test_a_stopped_growth_goes_on(pool, tmp_path, monkeypatch, no_pictures):
    more = SMALL | {"rounds": 3, "n_seeds": 3}
    run(pool, tmp_path / "once", **more)
    run(pool, tmp_path / "out", **SMALL)
    original = module.run_cells

    def stopping(*args):
        for number, result in enumerate(original(*args)):
            if number == 3:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(module, "run_cells", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(pool, tmp_path / "out", **more)
    monkeypatch.setattr(module, "run_cells", original)
    assert run(pool, tmp_path / "out", **more).report["resumed"] == 3
    assert everything(tmp_path / "out") == everything(tmp_path / "once")


def test_growth_that_fails_at_once_leaves_the_simulation_as_it_was(pool, tmp_path, monkeypatch, no_pictures):
    run(pool, tmp_path / "out", **SMALL)
    before = everything(tmp_path / "out")

    def failing(*_):
        raise DataError("no")
        yield

    with monkeypatch.context() as patch:
        patch.setattr(module, "run_cells", failing)
        with pytest.raises(DataError):
            run(pool, tmp_path / "out", **SMALL | {"n_seeds": 4})
    assert everything(tmp_path / "out") == before
    assert run(pool, tmp_path / "out", **SMALL).report["resumed"] == 4


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n_seeds": 1}, "seeds 2, now 1"),
        ({"rounds": 1}, "rounds 2, now 1"),
        ({"strategies": ["badge"]}, "strategies random, margin, now random, badge"),
        ({"initial": 7, "n_seeds": 5}, "initial 6, now 7"),
        ({"batch": 4, "rounds": 3}, "batch 5, now 4"),
        ({"recipe": Recipe(prior_precision=2.0), "rounds": 3}, "head.prior_precision 1.0, now 2.0"),
        ({"options": {"margin.prefilter": "0.5"}, "rounds": 3}, "parameters.margin.prefilter none, now 0.5"),
        ({"train_weights": True}, "train_weights False, now True"),
    ],
)
def test_what_cannot_grow_is_refused_by_name(change, words, pool, tmp_path, no_pictures):
    run(pool, tmp_path / "out", **SMALL)
    before = everything(tmp_path / "out")
    with pytest.raises(CannotCreateError) as caught:
        run(pool, tmp_path / "out", **SMALL | change)
    assert caught.value.message.endswith(f"another configuration: {words}")
    assert caught.value.hint.endswith("only strategies, seeds and rounds can be added")
    assert everything(tmp_path / "out") == before


def test_an_added_strategy_may_have_options(pool, tmp_path, no_pictures):
    more = {"strategies": ["margin", "wide=margin"], "options": {"wide.prefilter": "0.5"}}
    run(pool, tmp_path / "once", **SMALL | more)
    run(pool, tmp_path / "out", **SMALL)
    run(pool, tmp_path / "out", **SMALL | more)
    assert everything(tmp_path / "out") == everything(tmp_path / "once")


def test_a_strategy_without_a_finished_run_may_be_left_out(pool, tmp_path, no_pictures):
    """So that a strategy which fails does not keep a folder from the others."""
    run(pool, tmp_path / "out", **SMALL | {"strategies": ["margin", "coreset"]})
    for file in (tmp_path / "out" / "runs").glob("coreset-*.json"):
        file.unlink()
    run(pool, tmp_path / "once", **SMALL)
    run(pool, tmp_path / "out", **SMALL)
    assert everything(tmp_path / "out") == everything(tmp_path / "once")


def test_a_pool_without_an_item_that_was_chosen_is_a_damaged_run(pool, tmp_path, no_pictures):
    run(pool, tmp_path / "out", **SMALL)
    file = tmp_path / "out" / "runs" / "margin-0.json"
    cell = json.loads(file.read_text())
    cell["picks"][0]["id"] = "item-999"
    del cell["sha256"]  # earlier versions wrote none
    file.write_text(json.dumps(cell))
    with pytest.raises(DataError, match=r"margin-0\.json: is damaged"):
        run(pool, tmp_path / "out", **SMALL | {"rounds": 3})


def test_a_run_that_says_something_else_is_damaged(pool, tmp_path, no_pictures):
    """Whatever the layout of its file."""
    run(pool, tmp_path / "out", **SMALL)
    file = tmp_path / "out" / "runs" / "margin-0.json"
    cell = json.loads(file.read_text())
    file.write_text(json.dumps(cell, indent=3))
    before = everything(tmp_path / "out")
    run(pool, tmp_path / "out", **SMALL)
    assert everything(tmp_path / "out") == before
    cell["curve"][0]["accuracy"] /= 2
    file.write_text(json.dumps(cell))
    with pytest.raises(DataError, match=r"margin-0\.json: is damaged"):
        run(pool, tmp_path / "out", **SMALL)


def test_groups_keep_their_choices(tmp_path, no_pictures):
    path = write_pool(tmp_path / "pool.parquet", split=False)
    table = pq.read_table(path)
    table = table.append_column("group", [[f"g{i // 3:02d}" for i in range(len(table))]])
    pq.write_table(table, path)
    how = {"strategies": ["margin"], "batch": 3, "initial": 4, "n_seeds": 2}
    run(path, tmp_path / "once", rounds=3, **how)
    run(path, tmp_path / "out", rounds=1, **how)
    run(path, tmp_path / "out", rounds=3, **how)
    assert everything(tmp_path / "out") == everything(tmp_path / "once")
