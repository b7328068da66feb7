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
from alcli.heads._contract import Training
from alcli.heads._pair import Unlabelled, fit_pair
from alcli.simulation.plan import initial_rng
from alcli.simulation.splits import initial_rows
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


def test_the_metrics_are_those_of_a_fit_to_the_labels_and_the_rest_of_the_pool(pool, tmp_path):
    """Round by round, with the labels that the strategy has got."""
    first = initial_rows(Y_N, np.arange(180), 8, initial_rng(0), classes=True, stratified=False)
    for number, options in enumerate((POOL, NAMED)):
        done = run(tmp_path / str(number), n_seeds=1, **options)
        picked = np.array([int(id[1:]) for strategy, _, _, id in done.picks if strategy == "margin"])
        assert len(np.intersect1d(first, picked)) == 0
        for point in [row for row in done.curves if row["strategy"] == "margin"]:
            rows = np.sort(np.concatenate([first, picked[: point["n_labels"] - 8]]))
            data = Training(X_ND[rows], Y_N[rows], np.ones(len(rows)), 6)
            rest = Unlabelled(
                lambda rows=rows: [np.delete(X_ND[:180], rows, axis=0)], NAMES_CD if options is NAMED else None
            )
            pair = fit_pair(data, options["recipe"].spec(regression=False), rest, tune_update=False)
            log_probs = pair.predicts.predictive(X_ND[180:])
            assert point["accuracy"] == pytest.approx((log_probs.argmax(axis=1) == Y_N[180:]).mean())
            assert point["nll"] == pytest.approx(-log_probs[np.arange(60), Y_N[180:]].mean(), rel=1e-5)
            assert pair.is_one == (options is NAMED)


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
