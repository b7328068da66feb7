"""Heads without a posterior: the forms of a strategy that need none work with them, in a query and in a simulation."""

from __future__ import annotations

import json

import numpy as np
import pytest

from alcli import plugins
from alcli.selection.select import select
from tests.dense_sparse import dense_greedy, dense_of, pool
from tests.helpers import random_head, view_of
from tests.pools import CLASSES, tiny_features, write_labels, write_pool

FORMS = ("temp", "pseudo", "mix")


@pytest.fixture
def point(tiny, alcli):
    """point.safetensors: a calibrated head without a posterior."""
    alcli(
        "fit-head", "pool.parquet", "-l", "labels.csv", "-o", "point.safetensors", "--posterior", "none",
        "--calibrate", "temperature", "--prior-precision", "1",
    ).done()  # fmt: skip
    return tiny


@pytest.mark.parametrize("strategy", ["sparse-greedy", "sparse-iht"])
def test_the_gradient_form_serves_a_head_without_a_posterior(point, alcli, strategy):
    ask = ("query", "pool.parquet", "-H", "point.safetensors", "-s", strategy, "-n", 5, "-p")
    batches = [tuple(alcli(*ask, f"label-dist={form}").done().lines) for form in FORMS]
    assert all(len(set(batch)) == 5 for batch in batches)
    for value in ("label-dist=laplace", "form=bayesian"):
        alcli(*ask, value).refused(
            2,
            f"strategy '{strategy}' with {value} looks at the posterior, the head point.safetensors has none",
            f"fit it with --posterior laplace, or leave out {value}",
        )
    alcli("query", "pool.parquet", "-H", "point.safetensors", "-s", "bald", "-n", 5).refused(
        2, "strategy 'bald' looks at the posterior", "has none; fit it with --posterior laplace"
    )


def test_a_simulation_needs_no_posterior_either(tiny, alcli):
    X_ND, y_N = tiny_features(90)
    write_pool("all.parquet", X_ND, label=[CLASSES[c] for c in y_N])
    ask = ("simulate", "all.parquet", "-n", 5, "--rounds", 2, "--initial", 9, "--seeds", 1, "--posterior", "none")
    alcli(*ask, "-s", "a=sparse-greedy,b=sparse-iht", "-p", "b.label-dist=pseudo", "-o", "sim").done()
    alcli(*ask, "-s", "sparse-greedy", "-p", "form=bayesian", "-o", "other").refused(
        2, "'sparse-greedy' with form=bayesian looks at the posterior, which --posterior none rules out",
        "use --posterior laplace, or leave out form=bayesian",
    )  # fmt: skip
    alcli(*ask, "--mix", "sparse-iht:0.5,random:0.5", "-p", "label-dist=laplace", "-o", "other").refused(
        2, "with label-dist=laplace looks at the posterior"
    )
    alcli(*ask, "-s", "bald", "-o", "other").refused(2, "'bald' looks at the posterior", "use --posterior laplace")


def test_a_pool_of_many_features_is_served_by_a_head_without_a_posterior(folder, alcli):
    X_ND = np.random.default_rng(0).standard_normal((40, 8200)).astype(np.float32)
    write_pool("wide.parquet", X_ND)
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[i % 2] for i in range(12)})
    ask = ("query", "wide.parquet", "-l", "labels.csv", "-s", "sparse-greedy", "-n", 3)
    done = alcli(*ask).done()
    assert (len(done.lines), "D=8200 is too large for a covariance" in done.err) == (3, True)


@pytest.mark.parametrize("label_dist", FORMS)
def test_the_batch_does_not_depend_on_the_posterior(label_dist):
    X, strategy = pool(), plugins.strategy("sparse-greedy")
    with_one, without = (random_head(3, 4, 2, temperature=1.6, spread=spread) for spread in (0.5, None))
    options = {"label_dist": label_dist, "alpha": 0.5, "beta": 1e-4}
    chosen = [select(strategy, view_of(X, head=head), 9, seed=0, options=options) for head in (with_one, without)]
    assert chosen[0].rows_K.tolist() == chosen[1].rows_K.tolist()
    assert chosen[1].rows_K.tolist() == dense_greedy(dense_of(X, with_one, 9, label_dist, 0.5, 1e-4), 9)[0]


def test_without_calibration_and_posterior_the_labels_are_mixed_and_that_is_said():
    X, strategy = pool(), plugins.strategy("sparse-greedy")
    view = view_of(X, head=random_head(3, 4, 2, spread=None))
    fallen, mixed = (
        select(strategy, view, 9, seed=0, options={"label_dist": form, "eps": 0.3}) for form in ("temp", "mix")
    )
    assert fallen.rows_K.tolist() == mixed.rows_K.tolist()
    assert ["took mix" in note for note in fallen.notes] == [True]
    assert mixed.notes == ()


def test_options_that_do_nothing_are_said_once(tiny, alcli):
    said = "-p samples=1 does nothing in noise-stability: the option counts only with estimator=sampled"
    ask = ("pool.parquet", "-s", "noise-stability", "-n", 3, "-p", "samples=1")
    assert alcli("query", *ask, "-l", "labels.csv").done().err.count(said) == 1
    assert alcli("query", *ask, "-l", "labels.csv", "--stream", stdin=b"").done().err.count(said) == 1
    assert alcli("query", *ask, "-l", "labels.csv", "-p", "impute=argmax").done().err.count(said) == 1
    X_ND, y_N = tiny_features(90)
    write_pool("pool.parquet", X_ND, label=[CLASSES[c] for c in y_N])
    more = ("--rounds", 3, "--initial", 9, "--seeds", 2, "-o", "sim")
    assert alcli("simulate", *ask, *more).done().err.count(said) == 1
    report = alcli("query", *ask, "-l", "labels.csv", "--json").done()
    assert json.loads(report.out)["selected"] == 3
