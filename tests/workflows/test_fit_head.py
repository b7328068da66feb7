"""What `fit-head` reports is what the model does, and what it writes is what it reports."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from alcli.data.head_file import load_head
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads.softmax import softmax
from alcli.workflows.recipe import Recipe
from tests.pools import CLASSES, names, tiny_features, write_labels, write_pool

X_ND, Y_N = tiny_features()


def report(outcome) -> dict[str, object]:
    return json.loads(outcome.done().out)


def test_figures_on_training_and_test_rows(tiny, alcli):
    write_pool(
        "pool.parquet",
        X_ND,
        split=["test" if i >= 40 else None for i in range(60)],
        label=[CLASSES[c] if i < 20 or i >= 40 else None for i, c in enumerate(Y_N)],
    )
    found = report(alcli("fit-head", "pool.parquet", "-o", "head.safetensors", "--json"))
    model = load_head(Path("head.safetensors")).model
    assert (found["n"], found["n_test"], found["classes"], found["dim"]) == (20, 20, 3, 5)
    for part, rows in (("train", slice(0, 20)), ("test", slice(40, 60))):
        log_probs = model.predictive(X_ND[rows])
        assert found[f"{part}_accuracy"] == pytest.approx((log_probs.argmax(axis=1) == Y_N[rows]).mean())
        assert found[f"{part}_nll"] == pytest.approx(-log_probs[np.arange(20), Y_N[rows]].mean())
    assert found["prior_precision"] == model.head.prior_precision


def test_test_rows_of_other_classes_are_noted(tiny, alcli):
    write_pool(
        "pool.parquet",
        X_ND,
        split=["test" if i >= 40 else None for i in range(60)],
        label=["fox" if i >= 55 else CLASSES[c] for i, c in enumerate(Y_N)],
    )
    done = alcli("fit-head", "pool.parquet", "-o", "head.safetensors", "--json").done()
    found = json.loads(done.out)
    right = load_head(Path("head.safetensors")).model.predictive(X_ND[40:55]).argmax(axis=1) == Y_N[40:55]
    assert found["n_test"] == 20
    assert found["test_accuracy"] == pytest.approx(right.sum() / 20)
    assert "5 test rows are of classes that the head does not know; the test accuracy counts them as wrong" in done.err
    assert "and they are left out of the other test figures" in done.err


def test_regression(tiny, alcli):
    y_N = X_ND.astype(np.float64) @ np.array([1.0, -2, 0.5, 0, 3]) + 4
    write_pool("pool.parquet", X_ND, label=y_N, split=["test" if i >= 40 else None for i in range(60)])
    found = report(alcli("fit-head", "pool.parquet", "-o", "head.safetensors", "--json"))
    assert found["kind"] == "ridge"
    assert found["test_r2"] > 0.99
    assert found["test_mae"] < 0.1
    assert found["test_nlpd"] < 0.0
    assert "classes" not in found


def test_the_order_of_rows_and_labels_does_not_matter(head, alcli):
    before = load_head(head)
    order = np.random.default_rng(0).permutation(60)
    write_pool("pool.parquet", X_ND[order], [names(60)[i] for i in order], row_group_size=9)
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[Y_N[i]] for i in reversed(range(20))})
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "b.safetensors", "--prior-precision", "1").done()
    assert head.read_bytes() == Path("b.safetensors").read_bytes()
    assert before.model.head.prior_precision == 1


def test_bad_rows(tiny, alcli):
    X_bad = X_ND.copy()
    X_bad[[3, 50], 1] = np.nan
    write_pool("pool.parquet", X_bad)
    done = alcli(
        "fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors", "--bad-rows", "skip", "--json"
    ).done()
    assert json.loads(done.out)["n"] == 19
    assert "1 labelled row has no usable vector" in done.err


def test_a_report_for_people(tiny, alcli):
    done = alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    lines = dict(line.split("  ", 1) for line in done.err.splitlines() if "  " in line)
    assert lines["n"].strip() == "20"
    assert "prior precision" in lines
    assert done.out == b""


def test_importance_weights_of_a_labelled_selection_count(tiny, alcli):
    """A selection as `query` writes it, with a column `label` added: `weight` is what each row counts for."""
    weight = np.random.default_rng(3).uniform(0.1, 8.0, size=20).round(3)
    rows = "".join(f"{i + 1},r{i:03d},{0.5 - i / 100},{weight[i]},{CLASSES[Y_N[i]]}\n" for i in range(20))
    Path("selected.csv").write_text("rank,id,score,weight,label\n" + rows)
    found = report(
        alcli(
            "fit-head",
            "pool.parquet",
            "-l",
            "selected.csv",
            "-o",
            "head.safetensors",
            "--prior-precision",
            "0.7",
            "--json",
        )
    )
    head = load_head(Path("head.safetensors"))
    want = softmax(Training(X_ND[:20], Y_N[:20], weight, 3), 0.7)
    assert found["n"] == 20
    np.testing.assert_allclose(head.model.head.W_CD1, want.W_CD1, atol=1e-9)
    assert np.abs(want.W_CD1 - softmax(Training(X_ND[:20], Y_N[:20], np.ones(20), 3), 0.7).W_CD1).max() > 0.01
    assert sorted(head.absorbed.weight_L) == sorted(weight)
    Path("selected.csv").write_text("id,label,weight\nr000,cat,0\n")
    alcli("fit-head", "pool.parquet", "-l", "selected.csv", "-o", "other.safetensors").refused(
        65, "selected.csv: line 2", "weight"
    )


@pytest.mark.parametrize(
    ("kind", "options", "figure"),
    [
        ("ensemble", ["posterior.members=4", "posterior.resample=seeds"], "members"),
        ("dropout", ["posterior.rate=0.4"], None),
        ("variational", [], "elbo"),
    ],
)
def test_posteriors_that_are_drawn_from(tiny, alcli, kind, options, figure):
    """What is fitted is what is stored; query and update take it, and what it cannot do is said."""
    ask = [text for option in options for text in ("-p", option)]
    found = report(
        alcli(
            "fit-head",
            "pool.parquet",
            "-l",
            "labels.csv",
            "-o",
            "head.safetensors",
            "--posterior",
            kind,
            *ask,
            "--seed",
            3,
            "--json",
        )
    )
    assert figure is None or found[figure] == (4 if kind == "ensemble" else pytest.approx(found["elbo"]))
    head = load_head(Path("head.safetensors"))
    assert head.model.posterior.kind == head.recipe["posterior"] == kind
    spec = Recipe(posterior=kind, seed=3, options=dict(option.split("=") for option in options)).spec(regression=False)
    again = fit(Training(X_ND[:20], Y_N[:20], np.ones(20), 3), spec)
    np.testing.assert_allclose(head.model.predictive(X_ND), again.predictive(X_ND), atol=1e-9)
    alcli("query", "pool.parquet", "-H", "head.safetensors", "-s", "margin", "-n", 3).done()
    before = Path("head.safetensors").read_bytes()
    alcli("update", "head.safetensors", "-P", "pool.parquet", "-l", "more.csv").refused(
        65, f"'{kind}' cannot absorb labels", "--method refit"
    )
    assert Path("head.safetensors").read_bytes() == before
    told = json.loads(
        alcli(
            "update",
            "head.safetensors",
            "-P",
            "pool.parquet",
            "-l",
            "more.csv",
            "-o",
            "mc.safetensors",
            "--method",
            "mc",
            "--json",
        )
        .done()
        .out
    )
    assert told["hypotheses"] == (4 if kind == "ensemble" else 1000)
    Path("fox.csv").write_text("id,label\nr040,fox\nr041,fox\n")
    alcli(
        "update",
        "head.safetensors",
        "-P",
        "pool.parquet",
        "-l",
        "more.csv",
        "-l",
        "fox.csv",
        "--allow-new-classes",
        "--method",
        "refit",
    ).done()
    refitted = load_head(Path("head.safetensors"))
    assert refitted.model.posterior.kind == kind
    assert len(refitted.classes) == refitted.model.posterior.sample(refitted.model.head.W_CD1, 1, seed=0).shape[1] == 4


def test_options_of_a_posterior_are_refused_before_data_is_read(folder, alcli):
    for kind, option, words in (
        ("ensemble", "posterior.member=3", "did you mean 'posterior.members'"),
        ("dropout", "posterior.rate=2", "between 0 and 1"),
        ("variational", "posterior.rate=0.5", "no parameter 'posterior.rate'"),
        ("none", "posterior.rate=0.5", "no parameter 'posterior.rate'"),
    ):
        alcli("fit-head", "missing.parquet", "-o", "h.safetensors", "--posterior", kind, "-p", option).refused(2, words)
    alcli("fit-head", "missing.parquet", "-o", "h.safetensors", "--posterior", "ensembel").refused(
        2, "did you mean 'ensemble'"
    )
