"""Everything that a simulation says beside the curves: the metric it takes, classes, the first items, weights."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli.data.pool import open_pool
from alcli.errors import UsageError
from alcli.simulation import cell as cell_module
from alcli.workflows.recipe import Recipe
from alcli.workflows.simulate.truth import truth_of
from tests import pools
from tests.workflows.simulate.runs import run, summary, write_pool
from tests.workflows.simulate.test_run import change_config

EVEN = (
    "strategies are compared by accuracy, since the 3 classes are fairly even, with 30% to 35% of the rows; "
    "--metric names another metric"
)


def table(file):
    with open(file, newline="") as text:
        return list(csv.DictReader(text))


def uneven(path, rare=4, **rest):
    """A pool with `rare` of 90 rows in each of two classes; the features tell the classes apart."""
    labels = lambda X, y: np.where(np.arange(90) < rare, "b", np.where(np.arange(90) < 2 * rare, "c", "a")).tolist()  # noqa: E731
    return write_pool(path, labels=labels, **rest)


# -- the metric -------------------------------------------------------------------------------------------------------


def test_even_classes_are_compared_by_accuracy_and_it_is_said(pool, tmp_path, no_pictures):
    done = run(pool, tmp_path / "out", rounds=1)
    assert done.report["metric_taken"] == EVEN
    assert {row["metric"] for row in summary(tmp_path / "out")} == {"accuracy"}
    assert "metric_taken" not in run(pool, tmp_path / "out", rounds=1, metric="nll").report


def test_uneven_classes_are_compared_by_balanced_accuracy(tmp_path, no_pictures):
    pool = uneven(tmp_path / "pool.parquet", rare=8)
    done = run(pool, tmp_path / "out", rounds=1, stratified=True)
    said = done.report["metric_taken"]
    assert said.startswith("strategies are compared by balanced accuracy, since the 3 classes are uneven, with 9% to ")
    assert done.report["metric"] == "balanced_accuracy"
    assert {row["metric"] for row in summary(tmp_path / "out")} == {"balanced_accuracy"}
    named = run(pool, tmp_path / "out", rounds=1, stratified=True, metric="accuracy")
    assert named.report["metric"] == "accuracy"
    assert named.report["resumed"] == 6


def test_a_simulation_that_began_before_keeps_accuracy(tmp_path, no_pictures):
    pool = uneven(tmp_path / "pool.parquet", rare=8)
    run(pool, tmp_path / "out", rounds=1, stratified=True)
    change_config(tmp_path / "out", lambda config: config.pop("default_metric"))
    done = run(pool, tmp_path / "out", rounds=2, stratified=True)
    assert done.report["metric"] == "accuracy"
    assert "compared by accuracy, as when this simulation began" in done.report["metric_taken"]
    assert json.loads((tmp_path / "out" / "config.json").read_text())["default_metric"] == "accuracy"


def test_a_rare_class_is_asked_for_later_and_no_choice_is_made_again(tmp_path, monkeypatch, no_pictures):
    pool = uneven(tmp_path / "pool.parquet", rare=8)
    run(pool, tmp_path / "once", stratified=True, metric="average-precision:b", full_data=True)
    run(pool, tmp_path / "out", stratified=True, full_data=True)
    monkeypatch.setattr(cell_module, "_select", lambda *_: pytest.fail("nothing is to be chosen"))
    done = run(pool, tmp_path / "out", stratified=True, metric="average-precision:b", full_data=True)
    assert "7 runs had not been measured by 'average_precision:b', so their heads were fitted again" in done.notes
    assert done.lines[0].metric.words == "average precision of b"
    once, out = (pq.read_table(tmp_path / name / "curves.parquet") for name in ("once", "out"))
    assert once["average_precision:b"].to_pylist() == out["average_precision:b"].to_pylist()
    assert once["accuracy"].to_pylist() == out["accuracy"].to_pylist()
    with pytest.raises(UsageError, match=r"have no class 'd', which average_precision:d is about; known: a, b, c"):
        run(pool, tmp_path / "out", metric="average-precision:d")


def test_accuracy_below_the_share_of_the_largest_class_is_said(tmp_path, no_pictures):
    """Features that tell nothing: a head of 8 labels answers no better than at random."""
    pool = write_pool(
        tmp_path / "pool.parquet", labels=lambda X, y: np.where(y[::-1] * X[:, 3] > 1.2, "b", "a").tolist()
    )
    done = run(pool, tmp_path / "out", rounds=1, stratified=True, recipe=Recipe(prior_precision=1e-3))
    (said,) = [note for note in done.notes if note.startswith("always answering")]
    details = json.loads((tmp_path / "out" / "runs" / "random-0.json").read_text())["details"]
    assert f"{100 * max(details['rows']) / sum(details['rows']):.1f}% of the test rows" in said


# -- classes and confidence -------------------------------------------------------------------------------------------


def test_classes_add_up_to_the_accuracy_of_the_last_round(pool, tmp_path, no_pictures):
    done = run(pool, tmp_path / "out")
    last = [row for row in pq.read_table(tmp_path / "out" / "curves.parquet").to_pylist() if row["round"] == 3]
    classes, bins = (table(tmp_path / "out" / f"{name}.csv") for name in ("classes", "confidence"))
    for strategy in ("random", "margin", "coreset"):
        accuracy = np.mean([row["accuracy"] for row in last if row["strategy"] == strategy])
        for rows in (classes, bins):
            mine = [row for row in rows if row["strategy"] == strategy]
            n, correct = (sum(int(row[key]) for row in mine) for key in ("test_rows", "correct_rows"))
            assert n == 2 * 23
            assert correct / n == pytest.approx(accuracy)
        balanced = np.mean([row["balanced_accuracy"] for row in last if row["strategy"] == strategy])
        mine = [row for row in classes if row["strategy"] == strategy]
        assert [row["class"] for row in mine] == ["class 0", "class 1", "class 2"]
        assert np.mean([float(row["accuracy"]) for row in mine]) == pytest.approx(balanced, abs=1e-3)
        worst = done.report["worst_classes"][strategy]
        assert [row["accuracy"] for row in worst] == sorted(float(row["accuracy"]) for row in mine)


def test_numbers_have_no_classes(tmp_path):
    pool = write_pool(tmp_path / "pool.parquet", labels=lambda X, y: X[:, 0].tolist())
    done = run(pool, tmp_path / "out", strategies=["coreset"], recipe=Recipe(), rounds=1)
    assert "worst_classes" not in done.report
    assert not list((tmp_path / "out").glob("class*")) + list((tmp_path / "out").glob("confidence*"))


# -- the first items --------------------------------------------------------------------------------------------------


def test_a_class_that_was_added_by_force_is_said_once_for_all_strategies(tmp_path, no_pictures):
    pool = uneven(tmp_path / "pool.parquet", rare=2, split=False)
    done = run(pool, tmp_path / "out", initial=2, rounds=1, n_seeds=3, strategies=["margin", "coreset"])
    said = [note for note in done.notes if "of one class" in note]
    forced = said[0].partition(" (in ")[2]
    assert len(said) == 1
    assert said[0].startswith(
        "the items to start with were all of one class: the last one made room for one of another"
    )
    assert forced in {f"{n} of 3 seeds)" for n in (1, 2, 3)}
    calm = run(pool, tmp_path / "calm", initial=6, rounds=1, n_seeds=3, strategies=["margin"], stratified=True)
    assert not any("of one class" in note for note in calm.notes)


# -- weights ----------------------------------------------------------------------------------------------------------

WEIGHTED = {"strategies": ["sparse-greedy", "margin"], "rounds": 2, "n_seeds": 1}


def test_heads_are_trained_with_the_weights_of_the_selection(pool, tmp_path, monkeypatch, no_pictures):
    seen = []
    original = cell_module._labelled

    def spy(bench, oracle):
        data = original(bench, oracle)
        seen.append((len(data.weights_L), data.weights_L.sum(), data.weights_L.std()))
        return data

    monkeypatch.setattr(cell_module, "_labelled", spy)
    run(pool, tmp_path / "plain", **WEIGHTED)
    assert all(spread == 0 for *_, spread in seen), "without the option every label counts as 1"
    seen.clear()
    run(pool, tmp_path / "out", train_weights=True, **WEIGHTED)
    picks = pq.read_table(tmp_path / "out" / "selections.parquet").to_pylist()
    weights = {
        strategy: [row["weight"] for row in picks if row["strategy"] == strategy]
        for strategy in ("random", "sparse-greedy", "margin")
    }
    assert weights["random"] == weights["margin"] == [None] * 10
    first = weights["sparse-greedy"][:5]
    assert np.std(first) > 0
    assert any(n == 11 and total == pytest.approx(6 + sum(first)) and spread > 0 for n, total, spread in seen)
    before, after = (pq.read_table(tmp_path / name / "curves.parquet").to_pylist() for name in ("plain", "out"))
    assert [a["nll"] == b["nll"] for a, b in zip(before, after) if a["strategy"] != "sparse-greedy"] == [True] * 6
    assert [a["nll"] == b["nll"] for a, b in zip(before, after) if a["strategy"] == "sparse-greedy"] == [
        True,
        False,
        False,
    ]


def test_weights_are_kept_when_a_simulation_grows(pool, tmp_path, no_pictures):
    run(pool, tmp_path / "once", train_weights=True, **WEIGHTED | {"rounds": 3})
    run(pool, tmp_path / "out", train_weights=True, **WEIGHTED)
    run(pool, tmp_path / "out", train_weights=True, **WEIGHTED | {"rounds": 3})
    once, out = ((tmp_path / name / "selections.parquet").read_bytes() for name in ("once", "out"))
    assert once == out


def test_weights_that_no_strategy_gives_are_remarked_on(pool, tmp_path, no_pictures):
    done = run(pool, tmp_path / "out", train_weights=True, strategies=["margin"], rounds=1)
    assert "--train-weights changes nothing: none of these strategies gives weights" in done.notes
    assert "weight" not in pq.read_table(tmp_path / "out" / "selections.parquet").column_names


def test_test_rows_of_classes_that_no_other_row_has_are_said(tmp_path):
    X_ND = np.random.default_rng(0).normal(size=(40, 3)).astype(np.float32)
    split = ["test" if i >= 30 else "train" for i in range(40)]
    labels = [("c" if i >= 36 else "ab"[i % 2]) for i in range(40)]
    path = str(tmp_path / "pool.parquet")
    pools.write_pool(path, X_ND, label=labels, split=split)
    said = truth_of(open_pool(path), None).unlearnable()
    assert said is not None
    assert said.startswith("4 test rows of 10 (40%) of classes that only test rows have, such as 'c': every head")
    pools.write_pool(path, X_ND, label=["ab"[i % 2] for i in range(40)], split=split)
    assert truth_of(open_pool(path), None).unlearnable() is None
    pools.write_pool(path, X_ND, label=labels)
    assert truth_of(open_pool(path), None).unlearnable() is None
