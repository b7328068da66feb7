"""The model: predictions from head, posterior and temperature; updates."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.special import expit

from alcli.errors import DataError
from alcli.heads._contract import LinearHead, Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads.softmax import softmax
from alcli.numerics.last_layer import mean_field
from alcli.numerics.logistic import log_softmax
from alcli.posteriors.laplace_block import LaplaceBlock
from alcli.posteriors.laplace_shared import LaplaceShared


def rows(n=40, seed=0):
    rng = np.random.default_rng(seed)
    return Training(rng.normal(size=(n, 5)), rng.integers(3, size=n), np.ones(n), 3)


@pytest.fixture
def model():
    return fit(rows(), FitSpec(softmax.head, LaplaceShared))


def test_the_predictive_is_mean_field_on_logits_over_temperature(model):
    model, X = replace(model, temperature=1.7), rows(seed=1).X_LD
    z, s = model.head.logits(X) / 1.7, model.posterior.variance(model.head.W_CD1, model.head.last_layer(X)) / 1.7**2
    # A logit minus the mean of two others has the variance s + (s + s) / 4.
    np.testing.assert_allclose(model.predictive(X), log_softmax(z / np.sqrt(1 + np.pi / 8 * 1.5 * s)), atol=1e-12)
    np.testing.assert_allclose(model.log_probs(X), log_softmax(z), atol=1e-12)
    assert (model.predictive(X).argmax(axis=1) == model.log_probs(X).argmax(axis=1)).all()


def test_a_mean_field_factor_of_zero_gives_the_plain_softmax(model, monkeypatch):
    X = rows(seed=1).X_LD
    assert np.abs(model.predictive(X) - model.log_probs(X)).max() > 1e-4
    monkeypatch.setattr(mean_field, "MEAN_FIELD", 0.0)
    np.testing.assert_array_equal(model.predictive(X), model.log_probs(X))


def test_of_two_classes_it_is_the_probit_by_the_variance_of_the_difference_of_the_logits():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(300, 5)), rng.integers(2, size=300)
    model = fit(Training(X + y[:, None], y, np.ones(300), 2), FitSpec(softmax.head, LaplaceShared))
    scale = model.posterior.noise_variance / model.logit_variance(X).max()
    model = replace(model, posterior=replace(model.posterior, noise_variance=scale))
    a, of_difference = np.diff(model.logits(X))[:, 0], 2.0 * model.logit_variance(X)[:, 0]
    assert of_difference.max() == pytest.approx(2.0)  # the two logits are independent
    got = np.exp(model.predictive(X))[:, 1]
    np.testing.assert_allclose(got, expit(a / np.sqrt(1.0 + np.pi / 8 * of_difference)), atol=1e-12)
    nodes, weights = np.polynomial.hermite_e.hermegauss(80)
    exact = expit(a[:, None] + np.sqrt(of_difference)[:, None] * nodes) @ weights / weights.sum()
    assert np.abs(got - exact).max() < 0.01
    assert np.abs(np.exp(model.log_probs(X))[:, 1] - exact).max() > 0.05


def test_only_the_predictive_has_a_temperature_of_its_own(model):
    X, own = rows(seed=1).X_LD, replace(model, temperature=1.7, predictive_temperature=0.6)
    np.testing.assert_array_equal(own.predictive(X), replace(model, temperature=0.6).predictive(X))
    for function in ("log_probs", "logits", "logit_variance"):
        want = getattr(replace(model, temperature=1.7), function)(X)
        np.testing.assert_array_equal(getattr(own, function)(X), want)
    stored = own.settings()
    restore = partial(Model.from_arrays, own.arrays(), family=softmax.head, posterior=LaplaceShared)
    assert restore(settings=stored).predictive_temperature == 0.6
    del stored["predictive_temperature"]  # as in files that were written before there was one
    assert restore(settings=stored).predictive_temperature is None
    with pytest.raises(DataError, match="'predictive_temperature'"):
        restore(settings=stored | {"predictive_temperature": -1.0})


def test_without_a_posterior_the_predictive_is_that_of_the_weights_and_updates_are_refused(model):
    bare, X = replace(model, posterior=None), rows(seed=1).X_LD
    np.testing.assert_array_equal(bare.predictive(X), bare.log_probs(X))
    with pytest.raises(DataError, match=r"no posterior.*--method refit"):
        bare.update(rows())
    again = Model.from_arrays(bare.arrays(), bare.settings(), family=softmax.head, posterior=None)
    np.testing.assert_array_equal(again.log_probs(X), bare.log_probs(X))


def test_predictions_do_not_depend_on_the_block_they_are_made_in(model):
    X = rows(2500, seed=1).X_LD
    whole = model.predictive(X)
    parts = np.concatenate([model.predictive(X[i : i + 7]) for i in range(0, 2500, 7)])
    np.testing.assert_array_equal(whole.astype(np.float32), parts.astype(np.float32))


def test_gamma_none_is_that_of_the_model(model):
    new, linearised = rows(3, seed=2), replace(model, gamma=2.0)
    np.testing.assert_array_equal(linearised.update(new).head.W_CD1, model.update(new, gamma=2.0).head.W_CD1)
    assert model.gamma is None
    assert (model.update(new).head.W_CD1 != linearised.update(new).head.W_CD1).any()
    for kept in (model, linearised):
        again = Model.from_arrays(kept.arrays(), kept.settings(), family=softmax.head, posterior=LaplaceShared)
        assert again.gamma == kept.gamma


def test_variances_by_class_lower_confidence_and_keep_the_predicted_class():
    model, X = fit(rows(), FitSpec(softmax.head, LaplaceBlock)), rows(seed=1).X_LD
    plain, predictive = model.log_probs(X), model.predictive(X)
    assert model.posterior.variance(model.head.W_CD1, model.head.last_layer(X)).shape == (40, 3)
    assert (predictive.argmax(axis=1) == plain.argmax(axis=1)).all()
    assert (predictive.max(axis=1) < plain.max(axis=1)).all()


@pytest.mark.parametrize("form", [LaplaceShared, LaplaceBlock])
def test_the_monte_carlo_predictive_averages_probabilities_of_draws(form):
    model, X = fit(rows(), FitSpec(softmax.head, form)), rows(4, seed=1).X_LD
    draws = model.posterior.sample(model.head.W_CD1, 50, seed=3)
    want = np.mean([np.exp(replace(model, head=model.head.with_last_layer(W)).log_probs(X)) for W in draws], axis=0)
    np.testing.assert_allclose(np.exp(model.predictive_samples(X, 50, seed=3)), want, atol=1e-12)


def test_removing_a_row_undoes_its_update(model):
    new = rows(1, seed=2)
    back = model.update(new).remove(new)
    np.testing.assert_allclose(back.head.W_CD1, model.head.W_CD1, atol=1e-11)
    np.testing.assert_allclose(back.predictive(new.X_LD), model.predictive(new.X_LD), atol=1e-10)
    with pytest.raises(DataError, match="no posterior"):
        replace(model, posterior=None).remove(new)


def test_a_new_class_starts_at_zero_and_a_regression_has_none(model):
    wider = model.with_new_classes(2)
    assert wider.n_classes == 5
    assert wider.posterior is model.posterior
    assert not wider.head.W_CD1[3:].any()
    with pytest.raises(DataError, match="no classes to add"):
        replace(model, head=replace(model.head, regression=True)).with_new_classes(1)


def test_a_linear_head_adds_its_bias():
    head = LinearHead("softmax", np.array([[1.0, 2.0, 3.0]]), 1.0)
    np.testing.assert_array_equal(head.logits(np.array([[10.0, 100.0]], np.float32)), [[213.0]])
