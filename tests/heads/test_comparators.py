"""First-order updates and reweighted hypotheses: by hand, and the laws that reweighting keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from alcli.errors import DataError
from alcli.heads import _model
from alcli.heads._comparators import first_order, hypothesis_weights, reweight
from alcli.heads._contract import LinearHead, Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads.softmax import softmax
from alcli.posteriors.laplace_shared import LaplaceShared


def rows(n=30, seed=0):
    rng = np.random.default_rng(seed)
    return Training(rng.normal(size=(n, 4)), rng.integers(3, size=n), rng.uniform(0.5, 2, size=n), 3)


@pytest.fixture
def model():
    return fit(rows(), FitSpec(softmax.head, LaplaceShared))


def test_a_first_order_step_by_hand_and_the_next_from_where_it_led():
    model = Model(LinearHead("softmax", np.zeros((2, 2)), 1.0))
    data = Training(np.array([[3.0], [3.0]]), np.array([0, 0]), np.array([1.0, 2.0]), 2)
    once = first_order(model, data.rows(np.array([0])), gamma=0.1)
    np.testing.assert_allclose(once.head.W_CD1, [[0.15, 0.05], [-0.15, -0.05]])
    p = 1 / (1 + np.exp(-2 * 0.5))
    np.testing.assert_allclose(
        first_order(model, data, gamma=0.1).head.W_CD1[0], [0.15 + 0.6 * (1 - p), 0.05 + 0.2 * (1 - p)]
    )


def test_a_first_order_update_leaves_the_posterior(model):
    assert first_order(model, rows(3, seed=1), gamma=0.1).posterior is model.posterior


def test_gamma_zero_leaves_the_prior_predictive(model):
    X = rows(seed=2).X_LD
    unmoved = reweight(model, rows(5, seed=1), gamma=0.0, n_samples=200, seed=3)
    np.testing.assert_allclose(unmoved.predictive(X), model.predictive_samples(X, 200, seed=3), atol=1e-12)
    assert unmoved.effective_samples == pytest.approx(200)


def test_neither_the_order_of_hypotheses_nor_a_constant_matters():
    log_likelihood = -1000 + 3 * np.random.default_rng(0).normal(size=50)
    weights = hypothesis_weights(log_likelihood, 0.7)
    order = np.random.default_rng(1).permutation(50)
    np.testing.assert_allclose(hypothesis_weights(log_likelihood[order], 0.7), weights[order], rtol=1e-12)
    np.testing.assert_allclose(hypothesis_weights(log_likelihood + 500, 0.7), weights, rtol=1e-10)
    assert weights.sum() == pytest.approx(1)


def test_weights_and_their_predictive_equal_the_definition(model):
    model, data, X = replace(model, temperature=1.3), rows(5, seed=1), rows(6, seed=2).X_LD
    draws = model.posterior.sample(model.head.W_CD1, 40, seed=3)
    each = [replace(model, head=model.head.with_last_layer(W), posterior=None) for W in draws]
    likelihood = np.array([data.weights_L @ m.log_probs(data.X_LD)[np.arange(5), data.y_L] for m in each])
    weights = np.exp(2 * likelihood) / np.exp(2 * likelihood).sum()
    got = reweight(model, data, gamma=2.0, n_samples=40, seed=3)
    np.testing.assert_allclose(got.weights_S, weights, atol=1e-12)
    want = sum(w * np.exp(m.log_probs(X)) for w, m in zip(weights, each))
    np.testing.assert_allclose(np.exp(got.predictive(X)), want, atol=1e-12)
    assert got.effective_samples == pytest.approx(1 / (weights**2).sum())


def test_more_labels_leave_fewer_hypotheses(model):
    sizes = [reweight(model, rows(n, seed=1), gamma=1.0, n_samples=500).effective_samples for n in (1, 10, 60)]
    assert sizes[0] > sizes[1] > sizes[2] >= 1


def test_draws_do_not_depend_on_how_many_are_held_at_a_time(model, monkeypatch):
    X = rows(5, seed=2).X_LD
    whole = model.predictive_samples(X, 20, seed=1)
    monkeypatch.setattr(_model, "_DRAWN_FLOATS", 3 * model.head.W_CD1.size)
    np.testing.assert_array_equal(model.predictive_samples(X, 20, seed=1), whole)


def test_without_a_posterior_there_are_no_hypotheses(model):
    with pytest.raises(DataError, match="no posterior"):
        reweight(replace(model, posterior=None), rows(2), gamma=1.0, n_samples=5)
