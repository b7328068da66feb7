"""A simulation in its folder: continued, refused, repeated, and the same whatever the number of processes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli import __version__
from alcli.errors import BusyError, CannotCreateError, DataError, NewerFormatError, UsageError
from alcli.numerics.metrics import of_task
from alcli.simulation import contenders
from alcli.simulation.plan import Cell
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate import run as module
from alcli.workflows.simulate.request import CORE
from tests.workflows.simulate.runs import ask, run, summary, without_seconds, write_pool


def test_the_folder_holds_what_is_promised(pool, tmp_path):
    done = run(pool, tmp_path / "out")
    assert {p.name for p in (tmp_path / "out").iterdir() if not p.name.startswith(".")} == {
        "classes.csv",
        "confidence.csv",
        "confidence.png",
        "confidence.svg",
        "config.json",
        "curves.parquet",
        "curves.png",
        "curves.svg",
        "runs",
        "selections.parquet",
        "summary.csv",
        "wins.csv",
        "wins.png",
        "wins.svg",
    }
    curves = pq.read_table(tmp_path / "out" / "curves.parquet")
    assert curves.column_names == [
        "strategy",
        "seed",
        "round",
        "n_labels",
        *(one.name for one in of_task("classification")),
        "seconds_fit",
        "seconds_select",
        "seconds_evaluate",
    ]
    assert len(curves) == 3 * 2 * 4
    picks = pq.read_table(tmp_path / "out" / "selections.parquet")
    assert picks.column_names == ["strategy", "seed", "round", "rank", "id", "score"]
    assert len(picks) == 3 * 2 * 3 * 5
    assert [line.strategy for line in done.lines] == ["random", "margin", "coreset"]
    told = [said.partition(":")[0] for said in done.verdicts]
    assert told[:3] == ["margin", "coreset", "all strategies together"]
    assert told[3].startswith("with 2 seeds the smallest difference to random that is clear is ")
    assert not (tmp_path / "out" / ".features").exists()


def test_test_rows_are_never_selected(pool, tmp_path):
    run(pool, tmp_path / "out")
    picked = set(pq.read_table(tmp_path / "out" / "selections.parquet")["id"].to_pylist())
    assert not {int(id.removeprefix("item-")) % 4 for id in picked} & {0}


def test_a_stopped_simulation_goes_on_to_the_same_results(pool, tmp_path, monkeypatch):
    """Stopped after three runs of six, then continued: everything but the clock as if undisturbed, and nothing
    computed twice.
    """
    run(pool, tmp_path / "undisturbed")
    original = module.run_cells

    def stopping(shared, cells, jobs):
        for number, result in enumerate(original(shared, cells, jobs)):
            if number == 3:
                raise KeyboardInterrupt
            yield result

    monkeypatch.setattr(module, "run_cells", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(pool, tmp_path / "out")
    assert len(list((tmp_path / "out" / "runs").glob("*.json"))) == 3
    assert not (tmp_path / "out" / "curves.parquet").exists()
    assert not (tmp_path / "out" / ".features").exists()
    kept = {p.name: p.read_bytes() for p in (tmp_path / "out" / "runs").glob("*.json")}
    monkeypatch.setattr(module, "run_cells", original)
    done = run(pool, tmp_path / "out")
    assert done.report["resumed"] == 3
    assert "3 of 6 runs were there already" in done.notes
    assert without_seconds(tmp_path / "out") == without_seconds(tmp_path / "undisturbed")
    assert all((tmp_path / "out" / "runs" / name).read_bytes() == data for name, data in kept.items())


def test_a_finished_simulation_run_again_writes_the_same_bytes(pool, tmp_path):
    run(pool, tmp_path / "out")
    before = {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.is_file()}
    run(pool, tmp_path / "out")
    assert {p.name: p.read_bytes() for p in (tmp_path / "out").iterdir() if p.is_file()} == before


def test_processes_do_not_change_results(pool, tmp_path):
    run(pool, tmp_path / "one", jobs=1)
    run(pool, tmp_path / "two", jobs=2)
    assert without_seconds(tmp_path / "one") == without_seconds(tmp_path / "two")


def test_the_order_of_the_rows_does_not_change_results(pool, tmp_path):
    moved = tmp_path / "moved" / "pool.parquet"
    moved.parent.mkdir()
    write_pool(moved, order=np.random.default_rng(0).permutation(90))
    run(pool, tmp_path / "one")
    run(moved, tmp_path / "two")
    assert without_seconds(tmp_path / "one") == without_seconds(tmp_path / "two")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rounds": 2}, "rounds 3, now 2"),
        ({"n_seeds": 1}, "seeds 2, now 1"),
        ({"strategies": ["margin"]}, "strategies random, margin, coreset, now random, margin"),
        ({"recipe": Recipe(prior_precision=2.0)}, "head.prior_precision 1.0, now 2.0"),
        ({"batch": 4, "initial": 7}, "batch 5, now 4; initial 6, now 7"),
    ],
)
def test_another_configuration_is_refused_with_what_differs(pool, tmp_path, changes, words):
    run(pool, tmp_path / "out")
    before = without_seconds(tmp_path / "out")
    with pytest.raises(CannotCreateError) as caught:
        run(pool, tmp_path / "out", **changes)
    assert caught.value.exit_code == 73
    assert caught.value.message.endswith(f"another configuration: {words}")
    assert without_seconds(tmp_path / "out") == before


def test_other_labels_or_features_are_another_configuration(pool, tmp_path):
    run(pool, tmp_path / "out")
    write_pool(pool, labels=lambda X, y: [f"class {v}" for v in (y + (np.arange(90) == 7)) % 3])
    with pytest.raises(CannotCreateError, match=r"another configuration: pool\.labels"):
        run(pool, tmp_path / "out")


def test_a_folder_with_something_else_in_it_is_left_alone(pool, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "thesis.tex").write_text("precious")
    with pytest.raises(CannotCreateError, match=r"holds no simulation \('thesis.tex' is there\)"):
        run(pool, out)
    assert [p.name for p in out.iterdir()] == ["thesis.tex"]


def test_a_file_in_the_place_of_the_folder_is_refused(pool, tmp_path):
    (tmp_path / "out").write_text("precious")
    with pytest.raises(CannotCreateError):
        run(pool, tmp_path / "out")
    assert (tmp_path / "out").read_text() == "precious"


def test_two_at_once_in_one_folder_are_kept_apart(pool, tmp_path):
    from alcli.data.writing.locks import lock

    run(pool, tmp_path / "out")
    with lock(tmp_path / "out" / "runs"), pytest.raises(BusyError):
        run(pool, tmp_path / "out")


def test_a_damaged_run_is_named(pool, tmp_path):
    run(pool, tmp_path / "out")
    (tmp_path / "out" / "runs" / "margin-1.json").write_text('{"curve": [')
    with pytest.raises(DataError, match=r"margin-1\.json: is damaged.*remove it and run again"):
        run(pool, tmp_path / "out")


def test_a_simulation_that_ended_before_its_first_run_did_leaves_its_folder_to_another(tmp_path, no_pictures):
    pool = priced(tmp_path / "pool.parquet", prices=np.full(90, 5.0))
    poor = {"options": {"cost-col": "minutes"}, "strategies": ["margin"]}
    with pytest.raises(DataError, match="-n 4 buys nothing: the cheapest item costs 5; raise -n"):
        run(pool, tmp_path / "out", batch=4, **poor)
    done = run(pool, tmp_path / "out", batch=20, **poor)
    assert json.loads((tmp_path / "out" / "config.json").read_text())["batch"] == 20
    assert done.lines[0].strategy == "random"
    with pytest.raises(CannotCreateError, match="another configuration: batch 20, now 25"):
        run(pool, tmp_path / "out", batch=25, **poor)


def test_a_folder_of_a_newer_version_is_refused(pool, tmp_path):
    run(pool, tmp_path / "out")
    config = tmp_path / "out" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"format": 2}))
    with pytest.raises(NewerFormatError, match="format 2"):
        run(pool, tmp_path / "out")


def test_numbers_are_simulated_with_a_ridge_head(tmp_path):
    pool = write_pool(tmp_path / "pool.parquet", labels=lambda X, y: (X @ np.arange(4.0)).tolist())
    done = run(pool, tmp_path / "out", strategies=["coreset"], recipe=Recipe())
    curves = pq.read_table(tmp_path / "out" / "curves.parquet")
    assert {"mae", "rmse", "r2"} < set(curves.column_names)
    assert done.lines[0].metric.name == "rmse"
    last = [row for row in curves.to_pylist() if row["round"] == 3]
    assert all(row["r2"] > 0.9 for row in last), "four weights are found from 21 rows"


def test_a_strategy_for_classes_is_refused_for_numbers(tmp_path):
    pool = write_pool(tmp_path / "pool.parquet", labels=lambda X, y: X[:, 0].tolist())
    with pytest.raises(UsageError, match=r"'margin' needs class probabilities.*strategies for numbers: .*coreset"):
        run(pool, tmp_path / "out", recipe=Recipe())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("option", ["prefilter=0.5", "balance=predicted"])
def test_options_that_look_at_classes_are_refused_for_numbers(option, tmp_path):
    pool = write_pool(tmp_path / "pool.parquet", labels=lambda X, y: X[:, 0].tolist())
    key, _, value = option.partition("=")
    with pytest.raises(
        UsageError,
        match=rf"'coreset' with -p {key} needs class probabilities, the labels of .* are numbers; leave it out",
    ):
        run(pool, tmp_path / "out", strategies=["coreset"], options={key: value}, recipe=Recipe())
    assert not (tmp_path / "out").exists()
    run(
        pool, tmp_path / "out", strategies=["coreset"], options={"prefilter": "1.0", "balance": "none"}, recipe=Recipe()
    )


def test_a_name_longer_than_a_file_can_have_is_shortened_and_found_again(pool, tmp_path, no_pictures):
    mixes = [
        ",".join([f"{part}:0.05" for part in ["margin", "entropy", "coreset", "badge"] * 5][:-1] + [f"{last}:0.05"])
        for last in ("bald", "egl")
    ]
    one = run(pool, tmp_path / "out", strategies=mixes)
    names = sorted(p.name for p in (tmp_path / "out" / "runs").glob("*.json"))
    assert len(names) == 3 * 2
    assert max(map(len, names)) < 230, "a temporary name beside it is longer"
    again = run(pool, tmp_path / "out", strategies=mixes)
    assert "6 of 6 runs were there already" in again.notes
    assert [line.strategy for line in again.lines] == ["random", *mixes]
    assert [line.area for line in again.lines] == [line.area for line in one.lines]


def test_rows_without_a_label_are_left_out_and_counted(tmp_path):
    pool = write_pool(
        tmp_path / "pool.parquet", labels=lambda X, y: [None if i < 9 else f"class {v}" for i, v in enumerate(y)]
    )
    done = run(pool, tmp_path / "out")
    assert "9 rows without a label or a usable vector were left out" in done.notes
    picked = pq.read_table(tmp_path / "out" / "selections.parquet")["id"].to_pylist()
    assert min(picked) >= "item-009"


def test_without_a_test_split_a_share_is_held_out(tmp_path):
    pool = write_pool(tmp_path / "pool.parquet", split=False)
    done = run(pool, tmp_path / "out", test_fraction=0.3)
    assert done.report["test_rows"] == 27
    assert json.loads((tmp_path / "out" / "config.json").read_text())["test"] == 0.3


def test_a_share_to_hold_out_contradicts_a_test_split(pool, tmp_path):
    with pytest.raises(UsageError, match="has 23 test rows; leave --test-fraction out"):
        run(pool, tmp_path / "out", test_fraction=0.3)


def test_a_pool_that_is_used_up_is_announced(pool, tmp_path):
    done = run(pool, tmp_path / "out", strategies=["margin"], rounds=20, batch=20)
    assert "the 67 rows to choose from are used up after round 4 of 20" in done.notes
    curves = pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist()
    assert max(row["n_labels"] for row in curves) == 67


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (lambda X, y: [None] * len(y), "no labels in column 'label'"),
        (lambda X, y: ["a"] * len(y), "every label is 'a', expected 2 classes"),
    ],
)
def test_a_pool_that_teaches_nothing_is_refused(tmp_path, labels, words):
    pool = write_pool(tmp_path / "pool.parquet", labels=labels)
    with pytest.raises(DataError, match=words):
        run(pool, tmp_path / "out")


def test_more_initial_labels_than_rows_are_refused(pool, tmp_path):
    with pytest.raises(DataError, match="67 labelled rows beside the test rows, --initial asks for 68"):
        run(pool, tmp_path / "out", initial=68)


def test_names_with_odd_characters_have_a_file_each(tmp_path):
    from alcli.workflows.simulate.folder import SimulationFolder

    folder = SimulationFolder(tmp_path / "out")
    folder.create()
    cells = [Cell(name, 0) for name in ("a/b", "a+update", "a b", "..")]
    for i, cell in enumerate(cells):
        folder.save_rows(cell, [{"i": i}])
    assert [row["i"] for row in folder.load(cells)[0]] == [0, 1, 2, 3]
    assert len(list((tmp_path / "out" / "runs").iterdir())) == 4


def test_options_of_the_posterior_reach_its_fit():
    checked = ask(recipe=Recipe(covariance="full"), options={"posterior.max-parameters": "10"}).checked()
    assert checked.plan(False).spec.posterior_options == {"max_parameters": 10}
    with pytest.raises(
        UsageError, match=r"no parameter 'posterior.max-parametres'; did you mean 'posterior.max-parameters'"
    ):
        ask(recipe=Recipe(covariance="full"), options={"posterior.max-parametres": "10"}).checked()


def test_a_strategy_takes_part_again_under_an_alias_with_other_options(pool, tmp_path):
    few = ask(strategies=["kmeans", "seeded=coreset+update", "again=margin"], options={"seeded.update-every": "2"})
    checked = few.checked()
    assert checked.texts == {"seeded=coreset+update": {"update-every": "2"}}
    done = run(pool, tmp_path / "out", strategies=["margin", "again=margin"])
    one, two = done.lines[1:]
    assert (one.strategy, two.strategy) == ("margin", "again=margin")
    assert (one.area, one.final) == (two.area, two.final)


@pytest.mark.parametrize(
    ("strategies", "words"),
    [
        (["a=margin", "a=badge"], "two strategies have the same alias"),
        (["margin=badge"], "an alias is a word"),
        (["=badge"], "an alias is a word"),
        (["a b=badge"], "an alias is a word"),
        (["head=badge"], "-p head.KEY=VALUE is an option of the head; choose another alias"),
        (["posterior=badge"], "-p posterior.KEY=VALUE is an option of the posterior; choose another alias"),
    ],
)
def test_a_poor_alias_is_refused(strategies, words):
    with pytest.raises(UsageError, match=words):
        ask(strategies=strategies).checked()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (
            {"margin.cost-col": "price"},
            "-p margin.cost-col: what items cost is the same for every strategy; -p cost-col=COLUMN",
        ),
    ],
)
def test_an_option_that_no_strategy_has_for_itself_is_refused(options, words):
    with pytest.raises(UsageError, match=words):
        ask(strategies=["margin"], options=options).checked()


def test_every_strategy_of_a_preset_is_there():
    assert set(CORE) <= set(contenders.names())
    assert ask(strategies=CORE).checked().plan(False).strategies == ("random", *CORE)


def test_every_label_is_fitted_once_where_all_seeds_share_the_test_rows(pool, tmp_path, no_pictures):
    done = run(pool, tmp_path / "out", full_data=True)
    assert [p.name for p in (tmp_path / "out" / "runs").glob("full-data*")] == ["full-data-0.json"]
    point = json.loads((tmp_path / "out" / "runs" / "full-data-0.json").read_text())["curve"][0]
    assert point["n_labels"] == 67
    said, accuracy = done.report["full_data"], point["accuracy"]
    assert (said["accuracy"], said["labels"], said["fits"]) == (accuracy, 67, 1)
    assert said["levels"] == {"80": 0.8 * accuracy, "90": 0.9 * accuracy}
    assert said["saved_at_least"] == {
        line.strategy: {"90": line.reaches[1].at_least} for line in done.lines if line.reaches[1].at_least is not None
    }
    assert (done.report["runs"], done.report["resumed"]) == (7, 0)
    rows = summary(tmp_path / "out")
    assert [float(row["full_data"]) for row in rows] == [point["accuracy"]] * 3
    for row in rows:
        for level in ("80", "90"):
            needed, saved = (row[f"labels_{what}_{level}_of_full"] for what in ("to", "saved_at"))
            theirs = rows[0][f"labels_to_{level}_of_full"]
            assert saved == (
                ""
                if "" in (needed, theirs) or row["strategy"] == "random"
                else str(round(float(theirs) - float(needed), 1))
            )
    assert set(pq.read_table(tmp_path / "out" / "curves.parquet")["strategy"].to_pylist()) == {
        "random",
        "margin",
        "coreset",
    }


def test_every_label_is_fitted_for_each_seed_where_rows_are_held_out(tmp_path, no_pictures):
    pool = write_pool(tmp_path / "pool.parquet", split=False)
    done = run(pool, tmp_path / "out", full_data=True)
    found = [
        json.loads((tmp_path / "out" / "runs" / f"full-data-{seed}.json").read_text())["curve"][0]["accuracy"]
        for seed in (0, 1)
    ]
    assert [done.report["full_data"][key] for key in ("accuracy", "labels", "fits")] == [np.mean(found), 72, 2]


def test_the_fit_to_every_label_is_kept_and_the_same_in_processes(pool, tmp_path, monkeypatch):
    run(pool, tmp_path / "one", full_data=True)
    run(pool, tmp_path / "two", full_data=True, jobs=2)
    assert without_seconds(tmp_path / "one") == without_seconds(tmp_path / "two")
    before = {p.name: p.read_bytes() for p in (tmp_path / "one").iterdir() if p.is_file()}
    monkeypatch.setattr(module, "run_cells", lambda *_: pytest.fail("nothing is missing"))
    assert run(pool, tmp_path / "one", full_data=True).report["resumed"] == 7
    assert {p.name: p.read_bytes() for p in (tmp_path / "one").iterdir() if p.is_file()} == before


def test_every_label_can_be_asked_for_later_and_left_out_again(pool, tmp_path, no_pictures):
    run(pool, tmp_path / "without")
    run(pool, tmp_path / "out")
    done = run(pool, tmp_path / "out", full_data=True)
    assert "6 of 7 runs were there already" in done.notes
    run(pool, tmp_path / "with", full_data=True)
    assert without_seconds(tmp_path / "out") == without_seconds(tmp_path / "with")
    run(pool, tmp_path / "out")
    assert without_seconds(tmp_path / "out") == without_seconds(tmp_path / "without")
    assert "full_data" not in summary(tmp_path / "out")[0]


def test_a_simulation_stopped_within_the_fits_to_every_label_goes_on(tmp_path, monkeypatch):
    pool = write_pool(tmp_path / "pool.parquet", split=False)
    run(pool, tmp_path / "undisturbed", full_data=True)
    original = module.run_cells

    def stopping(shared, cells, jobs):
        yield next(original(shared, cells, jobs))
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "run_cells", stopping)
    with pytest.raises(KeyboardInterrupt):
        run(pool, tmp_path / "out", full_data=True)
    kept = {p.name: p.read_bytes() for p in (tmp_path / "out" / "runs").glob("*.json")}
    assert list(kept) == ["full-data-0.json"]
    monkeypatch.setattr(module, "run_cells", original)
    run(pool, tmp_path / "out", full_data=True)
    assert without_seconds(tmp_path / "out") == without_seconds(tmp_path / "undisturbed")
    assert all((tmp_path / "out" / "runs" / name).read_bytes() == data for name, data in kept.items())


def test_what_strategies_say_is_the_same_however_the_runs_came_about(pool, tmp_path, no_pictures):
    alone = run(pool, tmp_path / "one", strategies=["tcm", "auto"])
    assert [note for note in alone.notes if note.startswith("tcm")] == [
        "tcm: picked by typiclust: 6 labelled rows are fewer than 3 batches of 5 (round 1; likewise in round 2)",
        "tcm: picked by margin: 16 labelled rows are no fewer than 3 batches of 5 (round 3)",
    ]
    assert [note for note in alone.notes if note.startswith("auto")] == [
        "auto: auto takes uherding: 6 labels of 3 classes are at most 10 a class (round 1; likewise in rounds 2 to 3)"
    ]
    assert run(pool, tmp_path / "two", strategies=["tcm", "auto"], jobs=2).notes == alone.notes
    assert run(pool, tmp_path / "one", strategies=["tcm", "auto"]).notes == [
        *alone.notes,
        "6 of 6 runs were there already",
    ]
    (tmp_path / "one" / "runs" / "tcm-1.json").unlink()
    assert run(pool, tmp_path / "one", strategies=["tcm", "auto"]).notes == [
        *alone.notes,
        "5 of 6 runs were there already",
    ]


def change_config(out: Path, change) -> None:
    config = out / "config.json"
    values = json.loads(config.read_text())
    change(values)
    config.write_text(json.dumps(values, indent=2, sort_keys=True) + "\n")


def test_a_folder_of_another_version_is_refused_with_both_versions(pool, tmp_path, no_pictures):
    run(pool, tmp_path / "out")
    change_config(tmp_path / "out", lambda config: config.update(version="0.0.9", rounds=7))
    with pytest.raises(CannotCreateError) as caught:
        run(pool, tmp_path / "out")
    assert caught.value.exit_code == 73
    said = (
        "out: holds a simulation of another version of alcli, whose results may differ: "
        f"version 0.0.9, now {__version__}; choose another -o, or remove the folder"
    )
    assert str(caught.value).endswith(said)


def test_a_key_that_came_later_has_its_default_in_older_folders(pool, tmp_path, no_pictures):
    run(pool, tmp_path / "out")
    before = without_seconds(tmp_path / "out")

    def older(config):
        for key in ("preset", "calibrate", "covariance", "seed"):
            del config["head"][key]
        del config["stratified"]

    change_config(tmp_path / "out", older)
    assert run(pool, tmp_path / "out").report["resumed"] == 6
    assert without_seconds(tmp_path / "out") | {"config": None} == before | {"config": None}
    with pytest.raises(
        CannotCreateError,
        match=r"another configuration: head\.covariance shared, now full; stratified False, now True;",
    ):
        run(pool, tmp_path / "out", stratified=True, recipe=Recipe(prior_precision=1.0, covariance="full"))


PRICES = np.round(np.random.default_rng(5).uniform(1.0, 4.0, 90), 2)
PRICED = {"batch": 12, "initial": 6, "options": {"cost-col": "minutes"}}


def priced(path: Path, order=None, prices=PRICES, **rest) -> Path:
    write_pool(path, **rest)
    table = pq.read_table(path).append_column("minutes", pa.array(prices))
    pq.write_table(table if order is None else table.take(order), path, row_group_size=32)
    return path


def test_with_costs_curves_say_what_labels_cost(tmp_path):
    pool = priced(tmp_path / "pool.parquet")
    done = run(pool, tmp_path / "out", full_data=True, **PRICED)
    curves = pq.read_table(tmp_path / "out" / "curves.parquet")
    assert curves.column_names[:5] == ["strategy", "seed", "round", "n_labels", "cost"]
    picks = pq.read_table(tmp_path / "out" / "selections.parquet").to_pylist()
    first = {row["seed"]: row["cost"] for row in curves.to_pylist() if row["round"] == 0}
    for row in curves.to_pylist():
        rounds = [
            [
                PRICES[int(p["id"][-3:])]
                for p in picks
                if (p["strategy"], p["seed"], p["round"]) == (row["strategy"], row["seed"], r)
            ]
            for r in range(1, row["round"] + 1)
        ]
        assert all(0 < sum(prices) <= 12 for prices in rounds)
        assert row["cost"] == pytest.approx(first[row["seed"]] + sum(map(sum, rounds)))
        assert row["n_labels"] == 6 + sum(map(len, rounds))
    assert {"cost_to_80", "cost_to_80_of_full", "cost_saved_at_90_of_full"} < set(summary(tmp_path / "out")[0])
    assert [line.axis for line in done.lines] == ["cost"] * 3
    assert b">cost of the labels (minutes)</text>" in (tmp_path / "out" / "curves.svg").read_bytes()


def test_with_costs_neither_processes_nor_the_order_of_the_rows_change_results(tmp_path):
    pool = priced(tmp_path / "pool.parquet")
    (tmp_path / "moved").mkdir()
    moved = priced(tmp_path / "moved" / "pool.parquet", order=np.random.default_rng(0).permutation(90))
    run(pool, tmp_path / "one", **PRICED)
    run(moved, tmp_path / "two", jobs=2, **PRICED)
    assert without_seconds(tmp_path / "one") == without_seconds(tmp_path / "two")
    (tmp_path / "one" / "runs" / "margin-0.json").unlink()
    assert run(moved, tmp_path / "one", **PRICED).report["resumed"] == 5
    assert without_seconds(tmp_path / "one") == without_seconds(tmp_path / "two")


def test_other_costs_are_another_configuration(tmp_path, no_pictures):
    pool = priced(tmp_path / "pool.parquet")
    run(pool, tmp_path / "out", **PRICED)
    with pytest.raises(CannotCreateError, match=r"cost\.column minutes, now none"):
        run(pool, tmp_path / "out", batch=12, initial=6)
    priced(pool, prices=PRICES + 1)
    with pytest.raises(CannotCreateError, match=r"another configuration: cost\.digest [0-9a-f]{64}, now [0-9a-f]{64};"):
        run(pool, tmp_path / "out", **PRICED)


def test_a_budget_that_finds_nothing_more_is_remarked_on(tmp_path, no_pictures):
    pool = priced(tmp_path / "pool.parquet", prices=np.full(90, 3.0))
    done = run(pool, tmp_path / "out", strategies=["margin"], **PRICED | {"batch": 100})
    assert "from round 3 of 3 on, no item was left that -n 100 can pay for" in done.notes
    assert not any("used up" in note for note in done.notes)


def test_a_budget_is_not_a_number_of_items_to_start_with():
    with pytest.raises(UsageError, match="with -p cost-col -n is a budget, not a number of items; say with --initial"):
        ask(initial=None, options={"cost-col": "minutes"}).checked()
    with pytest.raises(UsageError, match=r"'\+update' asks for a few labels at a time"):
        ask(strategies=["margin+update"], options={"cost-col": "minutes"}).checked()
    with pytest.raises(UsageError, match=r"-p margin\.cost-col: what items cost is the same for every strategy"):
        ask(options={"margin.cost-col": "minutes"}).checked()


def test_a_group_costs_what_its_rows_cost(tmp_path, no_pictures):
    pool = priced(tmp_path / "pool.parquet", prices=np.ones(90), split=False)
    table = pq.read_table(pool).append_column("group", pa.array([i // 3 for i in range(90)]))
    pq.write_table(table, pool)
    done = run(pool, tmp_path / "out", strategies=["coreset"], full_data=True, **PRICED | {"batch": 7})
    assert done.report["full_data"]["labels"] == 30 - done.report["test_groups"]
    curves = pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist()
    assert [(row["n_labels"], row["cost"]) for row in curves[:4]] == [(6, 18.0), (8, 24.0), (10, 30.0), (12, 36.0)]
