"""The MAP against scipy's L-BFGS and finite differences, and on the data that break solvers."""

import numpy as np
import pytest
from scipy.optimize import check_grad, minimize

from alcli.arrays import with_bias
from alcli.errors import DataError
from alcli.numerics.last_layer import softmax_map
from alcli.numerics.last_layer.prior import bias_column
from alcli.numerics.last_layer.rotated import rotate
from alcli.numerics.logistic import cross_entropy, one_hot, softmax
from tests.evidence import prior_of


def solve(phi, y, w, C, prior, **options):
    rows = rotate(phi, y, w, C, column=bias_column(prior))
    fit = softmax_map.fit_map(rows, prior, **options)
    return rows.outside(fit.W_CR), fit, rows


def objective(W, phi, y, w, prior):
    return cross_entropy(phi @ W.T, y, w) + (W**2 @ prior_of(prior, W.shape[1])).sum() / 2


def gradient(W, phi, y, w, prior):
    return ((softmax(phi @ W.T) - one_hot(y, len(W))) * w[:, None]).T @ phi + W * prior_of(prior, W.shape[1])


def rows_of(n, D, C, scale=1.0, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, D))
    return (
        with_bias(scale * X / np.linalg.norm(X, axis=1, keepdims=True)),
        rng.integers(C, size=n),
        rng.uniform(0.5, 2, size=n),
    )


@pytest.mark.parametrize("n", [6, 40])  # fewer and more rows than features
@pytest.mark.parametrize(("scale", "prior"), [(1.0, 0.05), (30.0, 5.0), (1e-3, 0.05), (1e-3, 1e-7)])
def test_the_map_is_that_of_scipy_and_its_gradient_vanishes(n, scale, prior):
    phi, y, w = rows_of(n, 10, 4, scale)
    W, fit, rows = solve(phi, y, w, 4, prior)
    assert np.linalg.norm(gradient(W, phi, y, w, prior)) <= 1e-8 * rows.scale()
    found = minimize(
        lambda v: objective(v.reshape(4, -1), phi, y, w, prior),
        np.zeros(44),
        jac=lambda v: gradient(v.reshape(4, -1), phi, y, w, prior).ravel(),
        method="L-BFGS-B",
        options={"maxiter": 5000, "maxfun": 50_000, "ftol": 0, "gtol": 1e-10},
    )
    assert objective(W, phi, y, w, prior) <= found.fun + 1e-9 * abs(found.fun)
    if prior > 1e-6:
        np.testing.assert_allclose(phi @ W.T, phi @ found.x.reshape(4, -1).T, atol=1e-4)
    assert fit.log_likelihood == pytest.approx(-cross_entropy(phi @ W.T, y, w), rel=1e-9)


def test_the_gradient_is_that_of_the_objective():
    phi, y, w = rows_of(7, 3, 3)
    shape = (3, 4)
    at = np.random.default_rng(1).normal(size=12)
    error = check_grad(
        lambda v: objective(v.reshape(shape), phi, y, w, 0.3),
        lambda v: gradient(v.reshape(shape), phi, y, w, 0.3).ravel(),
        at,
    )
    assert error < 1e-5


def test_a_weight_of_two_is_a_row_given_twice():
    phi, y, _ = rows_of(12, 5, 3)
    w = np.where(np.arange(12) % 3 == 0, 2.0, 1.0)
    twice = np.concatenate([np.arange(12), np.flatnonzero(w == 2)])
    got = solve(phi, y, w, 3, 0.1)[0]
    np.testing.assert_allclose(got, solve(phi[twice], y[twice], np.ones(len(twice)), 3, 0.1)[0], atol=1e-7)


def test_a_warm_start_reaches_the_same_point_in_fewer_steps():
    phi, y, w = rows_of(60, 8, 3)
    W, cold, rows = solve(phi, y, w, 3, 0.1)
    start = rows.inside(solve(phi[:55], y[:55], w[:55], 3, 0.1)[0])
    warm = softmax_map.fit_map(rows, 0.1, start_CR=start)
    np.testing.assert_allclose(rows.outside(warm.W_CR), W, atol=1e-7)
    assert warm.iterations < cold.iterations


@pytest.mark.parametrize("scale", [1e-3, 1.0, 30.0])
@pytest.mark.parametrize("prior", [1e-6, 1e-2, 1e4])
@pytest.mark.parametrize("case", ["separable", "identical", "one per class", "empty classes", "zero"])
def test_hard_data_converge_to_finite_weights(case, scale, prior):
    phi, y, w = rows_of(30, 6, 5, scale)
    C = 5
    if case == "separable":
        phi[:, :5] = 10 * scale * one_hot(y, 5)
    elif case == "identical":
        phi[:] = phi[0]
    elif case == "one per class":
        y, C = np.arange(30), 30
    elif case == "empty classes":
        C = 50
    else:
        phi[:, :-1] = 0.0
    W, _, rows = solve(phi, y, w, C, prior)
    assert np.isfinite(W).all()
    assert np.linalg.norm(gradient(W, phi, y, w, prior)) <= 1e-6 * rows.scale()


def test_a_thousand_classes_with_one_row_each():
    phi, _, _ = rows_of(1000, 32, 2)
    W, _, _ = solve(phi, np.arange(1000), np.ones(1000), 1000, 0.01)
    assert np.isfinite(W).all()
    assert ((phi @ W.T).argmax(axis=1) == np.arange(1000)).mean() > 0.9


def test_not_converging_says_how_far_it_came(monkeypatch):
    phi, y, w = rows_of(40, 8, 3)
    monkeypatch.setattr(softmax_map, "MAX_NEWTON", 1)
    with pytest.raises(DataError, match=r"did not converge: 1 iterations, gradient norm .*--prior-precision"):
        solve(phi, y, w, 3, 1e-6)
