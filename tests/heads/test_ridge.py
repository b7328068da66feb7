"""The ridge head against explicit solves; its prior, noise variance and temperature."""

from dataclasses import replace

import numpy as np
import pytest
from sklearn import linear_model

from alcli.arrays import with_bias
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model
from alcli.heads.ridge import ridge
from alcli.numerics.last_layer.ridge import GRID
from alcli.numerics.logistic import one_hot
from alcli.posteriors.laplace_shared import LaplaceShared
from tests.evidence import prior_of


def regression(n=40, D=5, noise=0.3, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D))
    return Training(
        scale * X, X @ np.arange(1, D + 1) + 2.0 + noise * rng.normal(size=n), rng.uniform(0.5, 2, size=n), None
    )


def classes(n=40, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(3, size=n)
    return Training(one_hot(y, 3) @ rng.normal(size=(3, 4)) * 2 + rng.normal(size=(n, 4)), y, np.ones(n), 3)


def solved(data, prior):
    phi, w = with_bias(data.X_LD), data.weights_L[:, None]
    Y = data.y_L[:, None] if data.n_classes is None else one_hot(data.y_L, data.n_classes)
    return np.linalg.solve(np.diag(prior_of(prior, phi.shape[1], "identity")) + (phi * w).T @ phi, (phi * w).T @ Y).T


@pytest.mark.parametrize("data", [regression(), regression(n=4), classes()], ids=["regression", "few rows", "classes"])
def test_the_weights_solve_the_normal_equations(data):
    np.testing.assert_allclose(ridge(data, prior_precision=0.3).W_CD1, solved(data, 0.3), atol=1e-11)


@pytest.mark.parametrize("data", [regression(), regression(n=4), classes()], ids=["regression", "few rows", "classes"])
@pytest.mark.parametrize("prior", [1e-4, 1.0, 1e6])
def test_it_is_the_ridge_regression_of_scikit_learn(data, prior):
    targets = data.y_L if data.n_classes is None else one_hot(data.y_L, data.n_classes)
    X, peer = data.X_LD + 100.0, linear_model.Ridge(alpha=prior, solver="svd")
    peer.fit(X, targets, sample_weight=data.weights_L)
    ours = ridge(replace(data, X_LD=X), prior_precision=prior).logits(X)
    np.testing.assert_allclose(ours, peer.predict(X).reshape(ours.shape), atol=1e-9)


@pytest.mark.parametrize(("n", "D", "noise"), [(40, 5, 4.0), (12, 30, 60.0)])
def test_the_prior_is_the_one_that_scikit_learn_takes(n, D, noise):
    data = replace(regression(n=n, D=D, noise=noise), weights_L=np.ones(n))
    found = ridge(data)
    square = ((data.X_LD - data.X_LD.mean(axis=0)) ** 2).sum(axis=1).mean()
    peer = linear_model.RidgeCV(alphas=GRID * square).fit(data.X_LD, data.y_L)
    assert found.prior_precision == pytest.approx(peer.alpha_)
    assert GRID[0] * square < peer.alpha_ < GRID[-1] * square
    assert found.diagnostics["left_out_error"] == pytest.approx(-peer.best_score_)
    np.testing.assert_allclose(found.logits(data.X_LD)[:, 0], peer.predict(data.X_LD), atol=1e-9)


def test_the_prior_is_the_best_of_the_grid_by_explicit_leave_one_out():
    data = regression(n=12, D=8, noise=2.0)
    centred = data.X_LD - np.average(data.X_LD, axis=0, weights=data.weights_L)
    square = np.average((centred**2).sum(axis=1), weights=data.weights_L)
    errors = []
    for prior in GRID * square:
        residuals = []
        for i in range(data.n):
            keep = np.arange(data.n) != i
            residuals.append(data.y_L[i] - with_bias(data.X_LD[i : i + 1])[0] @ solved(data.rows(keep), prior)[0])
        errors.append(np.average(np.square(residuals), weights=data.weights_L))
    assert ridge(data).prior_precision == pytest.approx(GRID[np.argmin(errors)] * square)


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
def test_prediction_is_good_at_every_scale(scale):
    train, test = regression(n=200, scale=scale), regression(n=200, scale=scale, seed=1)
    error = test.y_L - ridge(train).logits(test.X_LD)[:, 0]
    assert np.sqrt((error**2).mean()) < 0.36


def test_the_noise_variance_is_that_of_the_targets():
    assert ridge(regression(n=2000, noise=0.5)).noise_variance == pytest.approx(
        0.25 * 1.15, rel=0.15
    )  # weights vary, the noise does not


def test_temperature_makes_the_probabilities_calibrated():
    rows = classes(3300)
    data, test = rows.rows(np.arange(300)), rows.rows(np.arange(300, 3300))
    model = fit(data, FitSpec(ridge.head))
    assert model.temperature == model.head.temperature != 1.0
    log_probs = model.log_probs(test.X_LD)
    confidence, hit = np.exp(log_probs.max(axis=1)), log_probs.argmax(axis=1) == test.y_L
    assert abs(confidence.mean() - hit.mean()) < 0.03


@pytest.mark.parametrize("data", [regression(), classes()], ids=["regression", "classes"])
@pytest.mark.parametrize("mode", ["sequential", "batch"])
def test_absorbing_rows_equals_refitting_at_the_same_prior(data, mode):
    some, rest = data.rows(np.arange(25)), data.rows(np.arange(25, 40))
    spec = FitSpec(ridge.head, LaplaceShared, prior_precision=0.3)
    updated, refitted = fit(some, spec).update(rest, mode=mode), fit(data, spec)
    np.testing.assert_allclose(updated.head.W_CD1, refitted.head.W_CD1, atol=1e-11)
    np.testing.assert_allclose(updated.posterior.covariance, refitted.posterior.covariance, atol=1e-12)
    assert isinstance(updated, Model)


def test_the_predicted_mean_is_in_units_of_the_targets():
    data = regression(noise=0.0)
    np.testing.assert_allclose(fit(data, FitSpec(ridge.head)).mean(data.X_LD), data.y_L, atol=1e-2)
