"""What a softmax head says of a class by the share of its labels: the bias, for rare classes and without features."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from alcli.arrays import with_bias
from alcli.heads._contract import Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.numerics.logistic import cross_entropy, log_softmax, one_hot
from alcli.numerics.logistic import softmax as probabilities
from alcli.numerics.metrics import nll
from tests.evidence import SOFTMAX_BIAS, prior_of


def rare(seed, n=500, labelled=20):
    """(labelled rows, test rows): 4% of a class that some of 20 binary features tell a little about."""
    rng = np.random.default_rng(seed)
    y = (rng.random(n) < 0.04).astype(np.int64)
    y[:labelled] = np.arange(labelled) < 1 + seed % 2
    X = rng.integers(0, 2, size=(n, 20)) + 0.6 * y[:, None] * (np.arange(20) < 6)
    X = (X - X.mean(axis=0)) / X.std(axis=0)
    return [Training(X[rows], y[rows], np.ones(len(y[rows])), 2) for rows in (slice(labelled), slice(labelled, n))]


def test_a_rare_class_is_predicted_about_as_well_as_by_its_share():
    ours, shares = [], []
    for seed in range(12):
        train, test = rare(seed)
        ours.append(nll(test.y_L, log_softmax(softmax(train).logits(test.X_LD))))
        share = (train.y_L.sum() + 1) / (train.n + 2)
        shares.append(-np.mean(test.y_L * np.log(share) + (1 - test.y_L) * np.log(1 - share)))
    assert np.mean(ours) < 1.1 * np.mean(shares)
    assert np.mean(ours) < 0.5 * np.log(2)


@pytest.mark.parametrize("n_classes", [3, 5], ids=["all classes seen", "two classes unseen"])
@pytest.mark.parametrize("prior", [1e4, 1e9])
def test_without_use_of_the_features_the_head_predicts_the_shares(prior, n_classes):
    rng = np.random.default_rng(0)
    y, w = np.repeat([0, 1, 2], [60, 30, 5]), rng.uniform(0.5, 2.0, 95)
    X = rng.normal(size=(95, 4))
    head = softmax(Training(X, y, w, n_classes), prior)
    shares = np.array([w[y == c].sum() for c in range(n_classes)]) / w.sum()
    probs = np.average(probabilities(head.logits(X)), axis=0, weights=w)
    # The gradient by the bias vanishes: sum of weights times (p - share) is minus the pull of the prior.
    np.testing.assert_allclose(w.sum() * (probs - shares), -SOFTMAX_BIAS * head.W_CD1[:, -1], atol=1e-5)
    np.testing.assert_allclose(probs, shares, atol=0.01)
    assert np.isfinite(head.W_CD1).all()
    assert np.ptp(probabilities(head.logits(X)), axis=0).max() < 1e-2
    assert head.W_CD1[:, -1].sum() == pytest.approx(0.0, abs=1e-6)


def test_a_ridge_head_without_use_of_the_features_scores_the_shares():
    rng = np.random.default_rng(0)
    y, w = np.repeat([0, 1, 2], [60, 30, 5]), rng.uniform(0.5, 2.0, 95)
    head = ridge(Training(rng.normal(size=(95, 4)), y, w, 3), 1e12)
    shares = [w[y == c].sum() / w.sum() for c in range(3)]
    np.testing.assert_allclose(head.logits(rng.normal(size=(1, 4)))[0], shares, atol=1e-8)


@pytest.mark.parametrize("far", [0.0, 20.0])
@pytest.mark.parametrize("prior", [1e-3, 0.3, 100.0])
def test_the_head_is_the_optimum_that_scipy_finds(prior, far):
    rng = np.random.default_rng(1)
    X, y, w = rng.normal(size=(30, 4)) + far, rng.integers(3, size=30), rng.uniform(0.5, 2.0, 30)
    phi, prior_D1 = with_bias(X), prior_of(prior, 5)

    def value(v):
        W = v.reshape(3, 5)
        gradient = ((probabilities(phi @ W.T) - one_hot(y, 3)) * w[:, None]).T @ phi + W * prior_D1
        return cross_entropy(phi @ W.T, y, w) + (W**2 @ prior_D1).sum() / 2, gradient.ravel()

    found = minimize(
        value,
        np.zeros(15),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": 20_000, "maxfun": 50_000, "ftol": 0, "gtol": 1e-9},
    )
    head = softmax(Training(X, y, w, 3), prior)
    assert np.abs(value(head.W_CD1.ravel())[1]).max() < 1e-6
    assert value(head.W_CD1.ravel())[0] <= found.fun + 1e-10
    np.testing.assert_allclose(probabilities(head.logits(X)), probabilities(phi @ found.x.reshape(3, 5).T), atol=1e-4)


def test_a_start_and_a_refit_end_at_the_same_head():
    train, test = rare(1)
    cold = softmax(train, 0.2)
    warm = softmax(train, 0.2, start=softmax(train.rows(np.arange(15)), 5.0))
    np.testing.assert_allclose(warm.logits(test.X_LD), cold.logits(test.X_LD), atol=1e-6)
    assert fit(train, FitSpec(softmax.head, prior_precision=0.2)).head.W_CD1.tobytes() == cold.W_CD1.tobytes()
