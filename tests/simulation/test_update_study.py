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
from alcli.simulation.update_methods import METHODS, RADAM, Prior, radam
from alcli.simulation.update_study import UpdateStudy, run_seed, sizes
from alcli.workflows.recipe import Recipe

C, D, N = 3, 5, 140
SPEC = Recipe().spec(regression=False)
STUDY = UpdateStudy(SPEC, 1, 0.25, 20, (5, 10), (15, 30), 5, 20, 0.1)


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
    for n in (15, 30):
        assert set(by(rows, "stages", n_labelled=n)) == {*METHODS, RADAM}
    assert sum(r["experiment"] == "gamma" for r in rows) == 2 * len(study_updates.GAMMAS)
    assert all(r["seconds"] >= 0 and 0 <= r["accuracy"] <= 1 and r["nll"] > 0 for r in rows)


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
        stages=(15,),
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
    assert RADAM not in by(found(replace(STUDY, new=(5,), stages=(15,))), "stages")


@pytest.mark.parametrize(
    ("text", "expected"),
    [("10..100", tuple(range(10, 101, 10))), ("5", (5,)), ("5,7,20", (5, 7, 20)), ("10..35", (10, 20, 30))],
)
def test_sizes(text, expected):
    assert sizes(text, "new") == expected


@pytest.mark.parametrize("text", ["", "a", "0..10", "10,5", "5,5", "-3", "20..10", "1.5"])
def test_sizes_that_are_none(text):
    with pytest.raises(UsageError, match="-p new takes ascending sizes"):
        sizes(text, "new")
