"""What the zero and the unit of labels, and the unit of features, must not change: heads, posteriors, picks, rounds."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli import plugins
from alcli.heads._contract import Training, family_of
from alcli.heads._fitting import FitSpec, fit
from alcli.posteriors._contract import posterior_of
from alcli.selection.select import select
from alcli.selection.source import ArraySource
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.simulation.bench import Bench
from alcli.simulation.cell import run_cell
from alcli.simulation.plan import Cell, Plan
from alcli.workflows.recipe import Recipe
from tests.helpers import names_for_linear_heads

N, D, L = 80, 5, 25
OPTIONS = {"mlp": {"widths": "8", "epochs": 10}}
HEADS = {
    task: [n for n in plugins.names("heads") if task in family_of(plugins.load("heads", n)).tasks]
    for task in ("regression", "classification")
}
POSTERIORS = plugins.names("posteriors")
# feature-margin serves classes alone, as it says itself.
NUMBERS = [
    n
    for n in names_for_linear_heads()
    if not strategy_of(plugins.load("strategies", n)).needs_classes and n != "feature-margin"
]
# A unit that is no power of 2, and a zero that is far.
UNIT, ZERO = 1000.0 / 3.0, -2e4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, D)) + 2.0
NUMBER = X @ RNG.normal(size=D) + 0.3 * RNG.normal(size=N)
CLASS = np.argmax((X - 2.0) @ RNG.normal(size=(D, 3)) + RNG.gumbel(size=(N, 3)), axis=1)
WEIGHTS = RNG.uniform(0.5, 2.0, size=N)


def numbers(rows=slice(None), unit=1.0, zero=0.0):
    return Training(X[rows], unit * NUMBER[rows] + zero, WEIGHTS[rows], None)


def classes(rows=slice(None), unit=1.0):
    return Training(unit * X[rows], CLASS[rows], WEIGHTS[rows], 3)


def spec(head="ridge", posterior="laplace-shared", **rest):
    form = posterior_of(plugins.load("posteriors", posterior))
    return FitSpec(family_of(plugins.load("heads", head)), form, options=OPTIONS.get(head, {}), **rest)


def same_in_other_units(one, other, unit=UNIT, zero=ZERO, tolerance=1e-8):
    """`other` learned the labels of `one` in another unit and from another zero."""
    size = unit * np.abs(NUMBER).max()
    np.testing.assert_allclose(other.mean(X), unit * one.mean(X) + zero, atol=tolerance * (size + abs(zero)))
    np.testing.assert_allclose(other.label_variance(X), unit**2 * one.label_variance(X), rtol=100 * tolerance)
    np.testing.assert_allclose(other.logit_variance(X), unit**2 * one.logit_variance(X), rtol=100 * tolerance)


@pytest.mark.parametrize("head", HEADS["regression"])
def test_labels_in_another_unit_give_the_same_head(head):
    one, other = (fit(numbers(**units), spec(head)) for units in ({}, {"unit": UNIT, "zero": ZERO}))
    same_in_other_units(one, other, tolerance=1e-8 if head == "ridge" else 1e-6)
    assert other.head.prior_precision == pytest.approx(one.head.prior_precision, rel=1e-6)
    assert other.head.noise_variance == pytest.approx(UNIT**2 * one.head.noise_variance, rel=1e-5)


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.floats(-1e5, 1e5), st.floats(-3.0, 3.0), st.integers(1, 30))
def test_any_unit_and_zero_of_few_labels(zero, magnitude, n):
    rows, unit = slice(n), 10.0**magnitude
    one, other = (
        fit(numbers(rows, **units), spec(prior_precision=0.3)) for units in ({}, {"unit": unit, "zero": zero})
    )
    size = unit * np.abs(NUMBER).max() + abs(zero)
    np.testing.assert_allclose(other.mean(X), unit * one.mean(X) + zero, atol=1e-8 * size)


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_labels_in_another_unit_give_the_same_posterior(posterior):
    one, other = (
        fit(numbers(slice(L), **units), spec(posterior=posterior, seed=3))
        for units in ({}, {"unit": UNIT, "zero": ZERO})
    )
    same_in_other_units(one, other)
    draws = [m.posterior.sample(m.head.W_CD1, 5, seed=1) - m.head.W_CD1 for m in (one, other)]
    np.testing.assert_allclose(draws[1], UNIT * draws[0], rtol=1e-5, atol=1e-6 * UNIT * np.abs(draws[0]).max())


@pytest.mark.parametrize("posterior", [p for p in POSTERIORS if posterior_of(plugins.load("posteriors", p)).absorbs])
@pytest.mark.parametrize("mode", ["sequential", "batch"])
def test_labels_in_another_unit_move_a_head_alike(posterior, mode):
    one, other = (
        fit(numbers(slice(L), **units), spec(posterior=posterior)).update(numbers(slice(L, L + 9), **units), mode=mode)
        for units in ({}, {"unit": UNIT, "zero": ZERO})
    )
    same_in_other_units(one, other)


def test_labels_in_another_unit_are_given_back_alike():
    one, other = (
        fit(numbers(slice(L), **units), spec()).remove(numbers(slice(6), **units))
        for units in ({}, {"unit": UNIT, "zero": ZERO})
    )
    same_in_other_units(one, other)


def test_a_head_fitted_updated_or_given_labels_back_is_the_same_head():
    given = spec(prior_precision=0.3, curvature=1.0)
    whole = fit(numbers(slice(L), UNIT, ZERO), given)
    grown = fit(numbers(slice(6, L), UNIT, ZERO), given).update(numbers(slice(6), UNIT, ZERO))
    shrunk = fit(numbers(slice(L + 9), UNIT, ZERO), given).remove(numbers(slice(L, L + 9), UNIT, ZERO))
    for model in (grown, shrunk):
        np.testing.assert_allclose(model.mean(X), whole.mean(X), atol=1e-9 * abs(ZERO))
        np.testing.assert_allclose(model.posterior.covariance, whole.posterior.covariance, rtol=1e-8, atol=1e-12)


@pytest.mark.parametrize("name", NUMBERS)
def test_labels_in_another_unit_give_the_same_picks(name):
    chosen = strategy_of(plugins.load("strategies", name)).suited(True)
    picks = []
    for units in ({}, {"unit": UNIT, "zero": ZERO}):
        model = fit(numbers(slice(L), **units), spec())
        view = View(
            ArraySource(X, np.arange(N)), np.arange(L, N), np.arange(L), model, labels=numbers(slice(L), **units).y_L
        )
        picks.append(select(chosen, view, 6, seed=4, options={}).rows_K.tolist())
    assert picks[0] == picks[1]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"acquisition": "emoc"},
        {"batch": "impute"},
        {"kernel": "gp"},
        {"anchor": "zero"},
        {"look_ahead": "refit"},
        {"ridge": "0.5"},
    ],
    ids=str,
)
def test_the_look_ahead_of_ntk_is_in_the_unit_of_the_labels(options):
    scores, strategy = [], strategy_of(plugins.load("strategies", "ntk")).suited(True)
    for units in ({}, {"unit": UNIT, "zero": ZERO}):
        model = fit(numbers(slice(L), **units), spec())
        view = View(
            ArraySource(X, np.arange(N)), np.arange(L, N), np.arange(L), model, labels=numbers(slice(L), **units).y_L
        )
        found = select(strategy, view, 6, seed=4, options=options)
        scores.append(dict(zip(found.rows_K.tolist(), found.scores_K.tolist(), strict=True)))
    assert list(scores[0]) == list(scores[1])
    assert list(scores[1].values()) == pytest.approx([UNIT * score for score in scores[0].values()], rel=1e-4)


@pytest.mark.parametrize("strategy", ["random", "predictive-variance", "badge", "badge+update"])
def test_a_simulation_of_labels_in_another_unit_is_the_same_simulation(strategy):
    order, mask = np.arange(N), np.arange(N) % 4 == 0
    plan = Plan(("random", strategy), 1, 6, 3, 8, Recipe().spec(regression=True))
    one, other = (
        run_cell(Bench(ArraySource(X, order), unit * NUMBER + zero, order, order[mask], None, plan), Cell(strategy, 0))
        for unit, zero in ((1.0, 0.0), (UNIT, ZERO))
    )
    assert [pick.row for pick in one.picks] == [pick.row for pick in other.picks]
    for a, b in zip(one.points, other.points, strict=True):
        assert b.metrics["rmse"] == pytest.approx(UNIT * a.metrics["rmse"], rel=1e-6)
        assert b.metrics["mae"] == pytest.approx(UNIT * a.metrics["mae"], rel=1e-6)
        assert b.metrics["r2"] == pytest.approx(a.metrics["r2"], abs=1e-6)
        assert b.metrics["nlpd"] == pytest.approx(a.metrics["nlpd"] + np.log(UNIT), abs=1e-6)


@pytest.mark.parametrize("scale", [1e-4, 30.0])
@pytest.mark.parametrize("posterior", POSTERIORS)
@pytest.mark.parametrize("head", ["ridge", "softmax"])
def test_features_in_another_unit_and_a_prior_of_its_square_predict_the_same(head, posterior, scale):
    given = spec(head, posterior, seed=3, prior_precision=0.2)
    one = fit(classes(slice(L)), given)
    other = fit(classes(slice(L), scale), replace(given, prior_precision=0.2 * scale**2))
    np.testing.assert_allclose(other.log_probs(scale * X), one.log_probs(X), atol=1e-5)
    # Members of an ensemble are fitted to a thousandth of the way that their rows move them.
    tolerance = 3e-3 if posterior == "ensemble" else 1e-4
    np.testing.assert_allclose(other.predictive(scale * X), one.predictive(X), atol=tolerance)
    if one.posterior.absorbs:
        new = slice(L, L + 5)
        updated, moved = one.update(classes(new)), other.update(classes(new, scale))
        np.testing.assert_allclose(moved.predictive(scale * X), updated.predictive(X), atol=1e-4)


@pytest.mark.parametrize("head", ["ridge", "softmax"])
def test_the_automatic_prior_follows_the_unit_of_the_features(head):
    one, other = (fit(classes(unit=unit), spec(head)) for unit in (1.0, 30.0))
    assert other.head.prior_precision == pytest.approx(900 * one.head.prior_precision, rel=1e-6)
    np.testing.assert_allclose(other.predictive(30.0 * X), one.predictive(X), atol=1e-5)


@pytest.mark.parametrize("posterior", [p for p in POSTERIORS if p not in ("dropout", "laplace-diag", "variational")])
def test_features_from_another_zero_give_a_ridge_head_the_same_predictions(posterior):
    """Not where weights are independent or dropped: the bias then stands for other features."""
    given, away = spec(posterior=posterior, seed=3), 100.0 * np.arange(D)
    near = numbers(slice(L))
    one, other = (fit(replace(near, X_LD=near.X_LD + shift), given) for shift in (0.0, away))
    np.testing.assert_allclose(other.mean(X + away), one.mean(X), atol=1e-9)
    np.testing.assert_allclose(other.logit_variance(X + away), one.logit_variance(X), rtol=1e-6)
