"""The study of updates on a tiny problem: every method, its identities, and what a seed fixes."""

from __future__ import annotations

import builtins
from dataclasses import replace

import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.heads._contract import Training
from alcli.heads.ridge import ridge
from alcli.selection.source import ArraySource
from alcli.simulation import update_study as study_updates
from alcli.simulation.radam import RADAM, radam
from alcli.simulation.update_methods import METHODS, SWEEPS, Prior
from alcli.simulation.update_study import Stage, UpdateStudy, run_seed, sizes, stages_of
from alcli.workflows.recipe import Recipe

C, D, N = 3, 5, 140
SPEC = Recipe().spec(regression=False)
STUDY = UpdateStudy(SPEC, 1, 0.25, 20, (5, 10), (Stage(15, 5), Stage(30, 8)), 20, 0.1)


def rows_of():
    rng = np.random.default_rng(4)
    y = np.arange(N) % C
    return rng.standard_normal((N, D)) + np.eye(C, D)[y], y


def found(study=STUDY, seed=0):
    X, y = rows_of()
    return run_seed(study, ArraySource(X, np.arange(N)), y, np.arange(N), None, seed)


@pytest.fixture(scope="module")
def rows():
    return found()


def by(rows, experiment, n_new=None, n_labelled=None):
    return {
        r["method"]: r
        for r in rows
        if r["experiment"] == experiment and n_new in (None, r["n_new"]) and n_labelled in (None, r["n_labelled"])
    }


def test_every_method_is_measured_at_every_size(rows):
    for m in (5, 10):
        assert set(by(rows, "growing", n_new=m)) == set(METHODS)
    for n, m in STUDY.stages:
        assert set(by(rows, "stages", n_new=m, n_labelled=n)) == {*METHODS, RADAM}
    steps = [(r["n_new"], r["method"], r["gamma"]) for r in rows if r["experiment"] == "gamma"]
    assert steps == [(m, name, gamma) for m in (5, 10) for name, sweep in SWEEPS.items() for gamma in sweep.gammas]
    assert all(r["seconds"] >= 0 and 0 <= r["accuracy"] <= 1 and r["nll"] > 0 and 0 <= r["ece"] <= 1 for r in rows)


def test_a_sweep_has_the_step_that_is_the_default(rows):
    for name, gamma in (("first-order", 1.0), ("mc", 1.0)):
        for m in (5, 10):
            step = next(r for r in rows if (r["n_new"], r["method"], r["gamma"]) == (m, name, gamma))
            default = by(rows, "growing", m)[name]
            assert all(step[key] == default[key] for key in ("accuracy", "nll", "ece", "flips", "ess"))


def test_flips_are_predictions_that_differ_from_those_of_retraining(rows):
    for r in rows:
        exact = by(rows, "stages" if r["experiment"] == "stages" else "growing", r["n_new"], r["n_labelled"])["retrain"]
        assert abs(r["accuracy"] - exact["accuracy"]) <= r["flips"] + 1e-12
        assert r["flips"] == 0 or r["method"] not in ("retrain", "warm refit")
    assert any(r["flips"] > 0 for r in rows if r["method"] == "base")


def test_the_head_before_does_not_depend_on_new_labels_and_a_warm_refit_ends_where_a_cold_one_does(rows):
    assert by(rows, "growing", 5)["base"]["accuracy"] == by(rows, "growing", 10)["base"]["accuracy"]
    for m in (5, 10):
        one, two = (by(rows, "growing", m)[name]["nll"] for name in ("retrain", "warm refit"))
        assert one == pytest.approx(two, abs=1e-6)
        assert one != by(rows, "growing", m)["base"]["nll"]


def test_hypotheses_lose_weight_as_labels_come(rows):
    few, many = (by(rows, "growing", m)["mc"]["ess"] for m in (5, 10))
    assert 1 <= many < few <= 20
    assert all(r["ess"] is None for r in rows if r["method"] != "mc")


def test_a_seed_fixes_everything_but_the_seconds(rows):
    again = found()
    assert [{**r, "seconds": 0} for r in again] == [{**r, "seconds": 0} for r in rows]
    assert [r["accuracy"] for r in found(seed=1)] != [r["accuracy"] for r in rows]


def prior(head=None):
    X, y = rows_of()
    spec = SPEC if head is None else replace(SPEC, head=head)
    return (
        Prior(Training(X[:30], y[:30], np.ones(30), C), spec, 0, 20, 0.1),
        Training(X[30:42], y[30:42], np.ones(12), C),
        X[42:],
    )


def test_a_first_order_step_is_in_units_of_one_over_the_mean_square_of_phi():
    p, new, _ = prior()
    phi = np.hstack([new.X_LD, np.ones((new.n, 1))])
    W, step = p.base.head.W_CD1.copy(), 0.5 / (phi**2).sum(axis=1).mean()
    for x, y in zip(phi, new.y_L):
        z = np.exp(W @ x - (W @ x).max())
        W += step * np.outer(np.eye(C)[y] - z / z.sum(), x)
    assert np.abs(SWEEPS["first-order"].method(0.5).absorb(p, new).head.W_CD1 - W).max() < 1e-10


def test_the_order_of_classes_matters_to_single_updates_and_not_to_a_batch():
    p, new, _ = prior()
    shuffled = new.rows(np.random.default_rng(1).permutation(new.n))
    one, two = (METHODS["second-order auto, batch"].absorb(p, n).head.W_CD1 for n in (new, shuffled))
    assert np.abs(one - two).max() < 1e-9
    by_class, arrived = (
        METHODS[name].absorb(p, shuffled).head.W_CD1
        for name in ("second-order auto, class by class", "second-order auto")
    )
    in_turn = p.base
    for c in range(C):
        in_turn = in_turn.update(shuffled.rows(shuffled.y_L == c))
    assert np.abs(by_class - in_turn.head.W_CD1).max() < 1e-9
    assert np.abs(by_class - arrived).max() > 1e-6


def test_with_a_ridge_head_the_update_is_the_refit():
    """Recursive least squares: the one case in which a second-order update is exact."""
    p, new, _ = prior(ridge.head)
    updated, refit = (METHODS[name].absorb(p, new) for name in ("second-order auto", "retrain"))
    assert np.abs(updated.head.W_CD1 - refit.head.W_CD1).max() < 1e-10


def test_every_method_works_on_a_head_with_hidden_layers():
    study = replace(
        STUDY,
        spec=Recipe(head="mlp", options={"widths": "6", "epochs": "5"}).spec(regression=False),
        new=(5,),
        stages=(Stage(15, 5),),
    )
    assert set(by(found(study), "stages")) == {*METHODS, RADAM}


def test_radam_learns_and_repeats_itself():
    p, new, X = prior()
    one, two = radam(p, new), radam(p, new)
    assert np.array_equal(one.head.W_CD1, two.head.W_CD1)
    exact = METHODS["retrain"].absorb(p, new)
    assert (one.logits(X).argmax(1) == exact.logits(X).argmax(1)).mean() > 0.85


def test_without_torch_radam_is_left_out(monkeypatch):
    monkeypatch.setattr(study_updates, "has_torch", lambda: False)
    original = builtins.__import__
    monkeypatch.setattr(
        builtins,
        "__import__",
        lambda name, *a, **k: (_ for _ in ()).throw(ImportError(name)) if name == "torch" else original(name, *a, **k),
    )
    assert RADAM not in by(found(replace(STUDY, new=(5,), stages=(Stage(15, 5),))), "stages")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10..100", tuple(range(10, 101, 10))), ("5", (5,)), ("5,7,20", (5, 7, 20)), ("10..35", (10, 20, 30))],
)
def test_sizes(text, expected):
    assert sizes(text, "new") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("50", [(50, 10)]),
        ("50,1000+50", [(50, 10), (1000, 50)]),
        ("20+5,50", [(20, 5), (50, 10)]),
        ("50..150", [(50, 10), (100, 10), (150, 10)]),
    ],
)
def test_stages(text, expected):
    assert stages_of(text, 10) == tuple(expected)


@pytest.mark.parametrize("text", ["", "50,20", "50+0", "50+", "+5", "50+5,50+10", "0", "1+2+3", "50..1000+50"])
def test_stages_that_are_none(text):
    with pytest.raises(UsageError, match="-p stages takes ascending sizes"):
        stages_of(text, 10)


@pytest.mark.parametrize("text", ["", "a", "0..10", "10,5", "5,5", "-3", "20..10", "1.5"])
def test_sizes_that_are_none(text):
    with pytest.raises(UsageError, match="-p new takes ascending sizes"):
        sizes(text, "new")
