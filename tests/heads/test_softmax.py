"""The softmax head: its automatic prior at every scale of features, and what it reports."""

import numpy as np
import pytest
from sklearn.datasets import load_digits

from alcli.arrays import with_bias
from alcli.heads import _prior
from alcli.heads._contract import Training
from alcli.heads.softmax import softmax
from alcli.numerics.last_layer.rotated import rotate
from alcli.numerics.last_layer.softmax_map import fit_map, log_evidence, mean_curvature
from alcli.numerics.logistic import log_softmax
from alcli.numerics.metrics import accuracy, nll


def digits(n, scale, seed=0):
    """n labelled rows and 800 test rows, features of norm `scale` on average."""
    X, y = load_digits(return_X_y=True)
    X = X * (scale / np.sqrt((X**2).sum(axis=1).mean()))
    order = np.random.default_rng(seed).permutation(len(X))
    train, test = order[:n], order[-800:]
    return Training(X[train], y[train].astype(np.int64), np.ones(n), 10), X[test], y[test]


def quality(head, X, y):
    log_probs = log_softmax(head.logits(X))
    return accuracy(y, log_probs.argmax(axis=1)), nll(y, log_probs)


@pytest.mark.parametrize("scale", [1.0, 30.0])
@pytest.mark.parametrize("n", [20, 50, 200])
def test_the_automatic_prior_is_near_the_best_of_a_grid_whatever_the_scale(n, scale):
    data, X, y = digits(n, scale)
    got = quality(softmax(data), X, y)
    grid = [quality(softmax(data, prior_precision=scale**2 * 10.0**e), X, y) for e in np.arange(-6, 1.01, 0.5)]
    assert got[0] > max(accuracy for accuracy, _ in grid) - 0.03
    assert got[1] < min(loss for _, loss in grid) * 1.15 + 0.02


def test_features_times_thirty_take_a_prior_times_nine_hundred():
    small, large = (softmax(digits(100, scale)[0]) for scale in (1.0, 30.0))
    assert large.prior_precision == pytest.approx(900 * small.prior_precision, rel=1e-6)


def test_labels_that_features_do_not_explain_get_a_strong_prior():
    rng = np.random.default_rng(0)
    data = Training(rng.normal(size=(200, 40)), rng.integers(2, size=200), np.ones(200), 2)
    assert softmax(data).prior_precision > 30 * _prior.default_prior(data.X_LD, data.weights_L)


def test_one_row_per_class_takes_the_default():
    rng = np.random.default_rng(0)
    data = Training(rng.normal(size=(40, 8)), np.arange(40), np.ones(40), 40)
    assert softmax(data).prior_precision == _prior.default_prior(data.X_LD, data.weights_L)


def test_the_default_follows_the_spread_and_survives_its_absence():
    X = np.array([[1.0, 5.0], [3.0, 5.0]])
    assert _prior.default_prior(X, np.ones(2)) == pytest.approx(_prior.RELATIVE_DEFAULT)
    assert _prior.default_prior(X[:1], np.ones(1)) == pytest.approx(26 * _prior.RELATIVE_DEFAULT)
    assert _prior.default_prior(0 * X, np.ones(2)) == _prior.RELATIVE_DEFAULT


def test_log_evidence_is_the_dense_kronecker_laplace_approximation():
    rng = np.random.default_rng(0)
    phi, y, w, prior = with_bias(rng.normal(size=(9, 3))), rng.integers(3, size=9), rng.uniform(0.5, 2, size=9), 0.4
    rows = rotate(phi, y, w, 3)
    fit = fit_map(rows, prior)
    W = fit.W_CR @ rows.V_D1R.T
    hessian = prior * np.eye(12) + np.kron(mean_curvature(fit.probs_LC, w), (phi * w[:, None]).T @ phi)
    prior_term = 6 * np.log(prior) - prior / 2 * (W**2).sum()
    assert log_evidence(rows, fit, prior) == pytest.approx(
        fit.log_likelihood + prior_term - 0.5 * np.linalg.slogdet(hessian)[1]
    )


def test_mean_curvature_is_the_mean_of_its_definition():
    p = np.array([[0.2, 0.8], [0.5, 0.5]])
    want = sum(w * (np.diag(row) - np.outer(row, row)) for w, row in zip((0.25, 0.75), p))
    np.testing.assert_allclose(mean_curvature(p, np.array([1.0, 3.0])), want)
