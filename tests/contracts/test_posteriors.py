"""What every posterior keeps, whatever it is: parametrised over the files of alcli/posteriors."""

from __future__ import annotations

import json

import numpy as np
import pytest

from alcli import plugins
from alcli.errors import DataError
from alcli.heads._contract import Training, family_of
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.posteriors._contract import posterior_of

SOFTMAX = family_of(plugins.load("heads", "softmax"))


def rows(n=30, D=5, C=3, seed=0):
    rng = np.random.default_rng(seed)
    return Training(rng.normal(size=(n, D)), rng.integers(C, size=n), rng.uniform(0.5, 2.0, size=n), C)


@pytest.fixture(params=plugins.names("posteriors"))
def name(request):
    return request.param


@pytest.fixture
def model(name):
    return fit(rows(), FitSpec(SOFTMAX, posterior_of(plugins.load("posteriors", name))))


def restored(model, name):
    settings = json.loads(json.dumps(model.settings()))
    return Model.from_arrays(model.arrays(), settings, family=SOFTMAX, posterior=posterior_of(plugins.load("posteriors", name)))


def test_it_says_its_name(model, name):
    assert model.posterior.kind == name
    assert model.posterior.settings()["kind"] == name


def test_variances_are_positive_finite_and_fit_the_logits(model):
    X = rows(seed=1).X_LD
    variance = model.posterior.variance(model.head.last_layer(X))
    assert variance.shape in ((30, 1), (30, 3))
    assert np.isfinite(variance).all()
    assert (variance > 0).all()


def test_the_predictive_is_a_distribution_and_less_sure_than_the_weights_alone(model):
    X = rows(seed=1).X_LD
    log_probs, predictive = model.log_probs(X), model.predictive(X)
    np.testing.assert_allclose(np.exp(predictive).sum(axis=1), 1.0)
    assert (predictive.max(axis=1) <= log_probs.max(axis=1) + 1e-12).all()


def test_samples_are_whole_last_layers_around_the_mean_and_counter_based(model):
    W = model.head.W_CD1
    draws = model.posterior.sample(W, 6, seed=3)
    assert draws.shape == (6, *W.shape)
    np.testing.assert_array_equal(model.posterior.sample(W, 2, seed=3, first=4), draws[4:])
    assert (model.posterior.sample(W, 6, seed=4) != draws).any()
    many = model.posterior.sample(W, 4000, seed=0)
    assert (np.abs(many.mean(axis=0) - W) < 5 * many.std(axis=0) / np.sqrt(4000)).all()


def test_sample_variances_are_the_declared_ones(model):
    phi = model.head.last_layer(rows(seed=1).X_LD[:4])
    logits = np.einsum("bd,scd->sbc", phi, model.posterior.sample(model.head.W_CD1, 4000, seed=0))
    want = np.broadcast_to(model.posterior.variance(phi), logits.shape[1:])
    np.testing.assert_allclose(logits.var(axis=0), want, rtol=6 * np.sqrt(2 / 4000))


@pytest.mark.parametrize("mode", ["sequential", "batch"])
def test_an_update_learns_the_label_shrinks_the_variance_and_leaves_the_old_model(model, mode):
    one = rows(seed=2).rows(np.array([0]))
    before = {key: value.copy() for key, value in model.arrays().items()}
    after = model.update(one, mode=mode)
    y = one.y_L[0]
    assert after.log_probs(one.X_LD)[0, y] > model.log_probs(one.X_LD)[0, y]
    phi = model.head.last_layer(one.X_LD)
    assert (after.posterior.variance(phi) < model.posterior.variance(phi)).all()
    for key, value in model.arrays().items():
        np.testing.assert_array_equal(value, before[key])


def test_rows_one_call_at_a_time_equal_one_call(model):
    new = rows(n=7, seed=2)
    whole, step = model.update(new), model
    for i in range(7):
        step = step.update(new.rows(np.array([i])))
    np.testing.assert_allclose(step.head.W_CD1, whole.head.W_CD1, atol=1e-11)
    phi = model.head.last_layer(new.X_LD)
    np.testing.assert_allclose(step.posterior.variance(phi), whole.posterior.variance(phi), atol=1e-11)


def test_batch_mode_ignores_the_order_of_rows(model):
    new = rows(n=7, seed=2)
    a, b = (model.update(new.rows(order), mode="batch") for order in (np.arange(7), np.arange(7)[::-1]))
    np.testing.assert_allclose(a.head.W_CD1, b.head.W_CD1, atol=1e-10)


def test_nothing_new_changes_nothing(model):
    for mode in ("sequential", "batch"):
        after = model.update(rows(n=0), mode=mode)
        for key, value in model.arrays().items():
            np.testing.assert_array_equal(after.arrays()[key], value)


def test_storage_keeps_predictions_updates_and_bytes(model, name):
    updated = model.update(rows(n=4, seed=2))
    again = restored(updated, name)
    X, new = rows(seed=3).X_LD, rows(n=3, seed=4)
    np.testing.assert_array_equal(again.log_probs(X), updated.log_probs(X))
    np.testing.assert_allclose(again.predictive(X), updated.predictive(X), atol=1e-12)
    np.testing.assert_allclose(again.update(new).predictive(X), updated.update(new).predictive(X), atol=1e-10)
    for key, value in updated.arrays().items():
        assert again.arrays()[key].tobytes() == value.tobytes()


def test_a_stored_tensor_that_is_missing_is_named(model, name):
    arrays = {key: value for key, value in model.arrays().items() if not key.startswith("posterior.")}
    with pytest.raises(DataError, match=r"tensor '.*' is missing"):
        Model.from_arrays(arrays, model.settings(), family=SOFTMAX, posterior=posterior_of(plugins.load("posteriors", name)))


def test_log_evidence_is_finite(model):
    assert np.isfinite(model.posterior.log_evidence(model.head.W_CD1, -10.0))
