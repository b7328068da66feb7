"""Simulations of heads that learn from the pool: metrics of the model that predicts, picks of the one that selects."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import alcli as package
from alcli.data.pool import open_pool
from alcli.errors import CannotCreateError, DataError, UsageError
from alcli.workflows.items import Items
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate.request import Simulation
from alcli.workflows.simulate.run import simulate
from tests.pools import GATHERED, gathered, group_names, write_pool
from tests.workflows.simulate.runs import without_seconds

X_ND, Y_N, NAMES_CD = gathered()
SPLIT = ["test" if i >= 180 else None for i in range(240)]
NAMED = {"class_names": "names.parquet", "recipe": Recipe(prior="pool")}
POOL = {"recipe": Recipe(prior="pool")}
PLAIN = {"recipe": Recipe()}

pytestmark = pytest.mark.usefixtures("no_pictures")


@pytest.fixture
def pool(named):
    """The pool of `named` with the label of every row."""
    write_pool("pool.parquet", X_ND, label=[GATHERED[c] for c in Y_N], split=SPLIT)
    return named


def run(out, *, jobs=1, **changes):
    """The curves and the selections of a simulation, as lists of rows, and its remarks."""
    values = {"strategies": ["margin"], "batch": 6, "rounds": 3, "initial": 8, "n_seeds": 2}
    notes: list[str] = []
    items = Items(open_pool("pool.parquet", note=notes.append))
    done = simulate(items, Simulation(**(values | changes)), out, jobs=jobs, note=notes.append)
    curves, selections = (pq.read_table(out / f"{name}.parquet").to_pylist() for name in ("curves", "selections"))
    picks = [(row["strategy"], row["seed"], row["round"], row["id"]) for row in selections]
    return SimpleNamespace(curves=curves, picks=picks, notes=notes, report=done.report)


def accuracy(done, strategy="margin"):
    return np.mean([row["accuracy"] for row in done.curves if row["strategy"] == strategy])


def test_without_names_the_picks_are_plain_and_the_metrics_are_not(pool, tmp_path):
    plain, pooled = run(tmp_path / "a", **PLAIN), run(tmp_path / "b", **POOL)
    assert pooled.picks == plain.picks
    assert accuracy(pooled) > accuracy(plain) + 0.02
    assert accuracy(pooled, "random") > accuracy(plain, "random") + 0.02


def test_the_metrics_are_those_of_a_head_that_is_fitted_to_the_labels(pool, tmp_path):
    """Round by round, `fit-head` with the labels that the strategy has got reports the same."""
    for number, options in enumerate((POOL, NAMED)):
        done = run(tmp_path / str(number), n_seeds=1, **options)
        label = [GATHERED[c] if split else None for c, split in zip(Y_N, SPLIT)]
        write_pool("unlabelled.parquet", X_ND, split=SPLIT, label=label)
        picked = [id for strategy, _, _, id in done.picks if strategy == "margin"]
        points = [row for row in done.curves if row["strategy"] == "margin"]
        first = initial_ids(done, points, picked)
        for point in points:
            ids = first + picked[: point["n_labels"] - 8]
            labels = {id: GATHERED[Y_N[int(id[1:])]] for id in ids}
            call = {"class_names": "names.parquet"} if options is NAMED else {"prior": "pool"}
            head = package.fit_head("unlabelled.parquet", labels, note=lambda _: None, **call)
            assert point["accuracy"] == pytest.approx(head.report["test_accuracy"])
            if len(set(labels.values())) == 6:  # else the two count rows of unknown classes each in its own way
                assert point["nll"] == pytest.approx(head.report["test_nll"], rel=1e-3)


def initial_ids(done, points, picked):
    """The ids that a seed begins with: those that another budget of the same seed labels from the start."""
    from alcli.simulation.plan import initial_rng
    from alcli.simulation.splits import initial_rows

    assert points[0]["n_labels"] == 8
    rows = initial_rows(Y_N, np.arange(180), 8, initial_rng(0), classes=True, stratified=False)
    assert not {f"r{row:03d}" for row in rows} & set(picked)
    return [f"r{row:03d}" for row in rows]


def test_names_gain_most_where_labels_are_few(pool, tmp_path):
    plain, named = (
        run(tmp_path / name, rounds=1, initial=6, **options) for name, options in (("a", PLAIN), ("b", NAMED))
    )
    assert accuracy(named) > accuracy(plain) + 0.1


@pytest.mark.parametrize("options", [POOL, NAMED], ids=["pool", "names"])
def test_two_processes_give_what_one_gives(pool, tmp_path, options):
    run(tmp_path / "one", **options)
    run(tmp_path / "two", jobs=2, **options)
    assert without_seconds(tmp_path / "one") == without_seconds(tmp_path / "two")


def test_the_order_of_rows_has_no_effect(pool, tmp_path):
    before = run(tmp_path / "a", **NAMED)
    table = pq.read_table("pool.parquet")
    pq.write_table(table.take(np.random.default_rng(0).permutation(240)), "pool.parquet", row_group_size=19)
    pq.write_table(pq.read_table("names.parquet").take([5, 0, 3, 1, 4, 2]), "names.parquet")
    after = run(tmp_path / "b", **NAMED)
    assert before.picks == after.picks
    for one, other in zip(before.curves, after.curves, strict=True):
        assert [v for k, v in one.items() if "seconds" not in k] == [v for k, v in other.items() if "seconds" not in k]


def test_no_test_row_teaches_the_head(pool, tmp_path):
    """With other features of all test rows but one class the metrics change, and no pick does."""
    for name, options in (("pool", POOL), ("names", NAMED)):
        write_pool("pool.parquet", X_ND, label=[GATHERED[c] for c in Y_N], split=SPLIT)
        before = run(tmp_path / f"{name}-before", **options)
        changed = np.where(np.arange(240)[:, None] < 180, X_ND, 50 - X_ND)
        write_pool("pool.parquet", changed, label=[GATHERED[c] for c in Y_N], split=SPLIT)
        after = run(tmp_path / f"{name}-after", **options)
        assert before.picks == after.picks
        assert accuracy(after) < accuracy(before) - 0.3


def test_the_folder_knows_its_prior_and_its_names(pool, tmp_path):
    out = tmp_path / "out"
    run(out, **NAMED)
    config = json.loads((out / "config.json").read_text())
    assert config["head"]["prior"] == "pool"
    assert config["class_names"]["named"] == 6
    again = run(out, **NAMED)
    assert again.report["resumed"] == again.report["runs"]
    run(out, rounds=3, n_seeds=2, **NAMED)
    changed = NAMES_CD.copy()
    changed[2, 0] += 1
    write_pool("names.parquet", changed, GATHERED)
    with pytest.raises(CannotCreateError, match=r"class_names\.digest"):
        run(out, **NAMED)
    with pytest.raises(CannotCreateError, match="class_names"):
        run(out, **POOL)
    with pytest.raises(CannotCreateError, match="prior pool, now plain"):
        run(out, **PLAIN)
    write_pool("names.parquet", NAMES_CD, GATHERED)
    assert run(out, **NAMED).report["resumed"] == again.report["runs"]


@pytest.mark.parametrize("options", [POOL, NAMED], ids=["pool", "names"])
def test_updates_modifiers_and_all_labels(pool, tmp_path, options):
    how = {"strategies": ["margin+update", "badge", "near=margin", "optimal-look-ahead"], "rounds": 2, "n_seeds": 1}
    more = {"near.prefilter": "0.5", "badge.balance": "predicted"}
    done = run(tmp_path / "out", options=more, full_data=True, **how, **options)
    names = {row["strategy"] for row in done.curves}
    assert {"random", "margin+update", "badge"} <= names
    assert len({row for row in done.picks}) == len(done.picks) == 12 * 5
    assert done.report["summary"][0]["full_data"] > 0.9


def test_groups(pool, tmp_path):
    groups = group_names(np.arange(240) // 12 * 6 + Y_N)
    write_pool("pool.parquet", X_ND, label=[GATHERED[c] for c in Y_N], split=SPLIT, group=groups)
    plain, pooled = (run(tmp_path / n, batch=3, rounds=2, **options) for n, options in (("a", PLAIN), ("b", POOL)))
    assert pooled.picks == plain.picks
    assert accuracy(pooled) > accuracy(plain)


def test_classes_without_a_name_are_told(pool, tmp_path):
    write_pool("names.parquet", np.vstack([NAMES_CD[:4], NAMES_CD[:1]]), [*GATHERED[:4], "yak"])
    done = run(tmp_path / "a", **NAMED)
    assert "2 labelled classes have no name: 'eel', 'fox'" in done.notes
    assert accuracy(done) > 0.6
    assert json.loads((tmp_path / "a" / "config.json").read_text())["class_names"]["named"] == 4


def test_integers_are_named_by_integers_or_by_their_text(pool, tmp_path):
    write_pool("pool.parquet", X_ND, label=pa.array([int(c) for c in Y_N]), split=SPLIT)
    found = []
    for name, ids in (("numbers", pa.array(range(6))), ("text", list("012345"))):
        write_pool("names.parquet", NAMES_CD, ids)
        found.append(run(tmp_path / name, **NAMED).picks)
    assert found[0] == found[1]


def test_numbers_have_no_classes_to_find(pool, tmp_path):
    write_pool("pool.parquet", X_ND, label=X_ND[:, 0].astype(np.float64), split=SPLIT)
    how = {"strategies": ["coreset"], "rounds": 1, "n_seeds": 1}
    for name, options in (("pool", POOL), ("names", NAMED)):
        done = run(tmp_path / name, **how, **options)
        assert any("there are no classes to find in the pool" in note for note in done.notes)
    plain = run(tmp_path / "plain", **how, **PLAIN)
    assert [row["rmse"] for row in plain.curves] == [row["rmse"] for row in done.curves]


def test_refusals(pool, tmp_path, alcli):
    with pytest.raises(UsageError, match="--class-names is for --prior pool"):
        run(tmp_path / "out", class_names="names.parquet")
    with pytest.raises(UsageError, match="softmax head, not for ridge"):
        run(tmp_path / "out", recipe=Recipe(head="ridge", prior="pool"))
    write_pool("names.parquet", NAMES_CD[:, :5], GATHERED)
    with pytest.raises(DataError, match=r"names\.parquet: the names of classes have D=5"):
        run(tmp_path / "out", **NAMED)
    for option in (("--class-names", "names.parquet"), ("--prior", "pool")):
        alcli("simulate", "pool.parquet", "--study", "updates", "-o", "study", *option).refused(2, option[0], "--study")
    assert not (tmp_path / "out").exists()


def test_the_command_and_python_agree(pool, tmp_path, alcli):
    how = ("-s", "margin", "-n", 6, "--rounds", 2, "--initial", 8, "--seeds", 1, "-o", "out")
    alcli("simulate", "pool.parquet", *how, "--class-names", "names.parquet").done()
    call = {"rounds": 2, "initial": 8, "seeds": 1, "class_names": "names.parquet"}
    result = package.simulate("pool.parquet", ["margin"], n=6, note=lambda _: None, **call)
    assert result.curves["accuracy"] == pq.read_table("out/curves.parquet")["accuracy"].to_pylist()
    assert json.loads((pool / "out" / "config.json").read_text())["head"]["prior"] == "pool"
