"""A polished head is at the MAP of all its labels, by an independent Newton method, and its posterior is around it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads._polish import is_renewal, polished
from alcli.numerics.last_layer.prior import Anchor
from alcli.workflows.recipe import COVARIANCES, Recipe
from tests.pools import tiny_features

X_ND, Y_N = tiny_features(60)
X_ND = X_ND.astype(np.float64) * 0.5
BIAS = 0.1  # the prior precision of a bias under softmax


def data(rows, weights=None, n_classes=3):
    rows = np.asarray(rows)
    weights = np.ones(len(rows)) if weights is None else np.asarray(weights, float)
    return Training(X_ND[rows], Y_N[rows], weights, n_classes)


def newton(rows: Training, prior: float, centre=None, steps=60):
    """The MAP of a softmax regression by Newton's method with the dense Hessian, damped, in float64."""
    n, C = rows.n, rows.n_classes
    phi = np.column_stack([rows.X_LD, np.ones(n)])
    D1 = phi.shape[1]
    precision = np.tile(np.r_[np.full(D1 - 1, prior), BIAS], (C, 1))
    centre = np.zeros((C, D1)) if centre is None else centre
    W = centre.copy()

    def objective(W):
        z = phi @ W.T
        top = z.max(axis=1)
        log_sum = top + np.log(np.exp(z - top[:, None]).sum(axis=1))
        return rows.weights_L @ (log_sum - z[np.arange(n), rows.y_L]) + 0.5 * (precision * (W - centre) ** 2).sum()

    for _ in range(steps):
        z = phi @ W.T
        p = np.exp(z - z.max(axis=1, keepdims=True))
        p /= p.sum(axis=1, keepdims=True)
        gradient = ((p - np.eye(C)[rows.y_L]) * rows.weights_L[:, None]).T @ phi + precision * (W - centre)
        hessian = np.diag(precision.ravel()).astype(float)
        for i in range(n):
            hessian += rows.weights_L[i] * np.kron(np.diag(p[i]) - np.outer(p[i], p[i]), np.outer(phi[i], phi[i]))
        step = np.linalg.solve(hessian, gradient.ravel()).reshape(C, D1)
        length = 1.0
        while length > 1e-8 and objective(W - length * step) > objective(W):
            length /= 2
        W = W - length * step
    return W


def spec(**more):
    return Recipe(prior_precision=0.7, **more).spec(regression=False)


@pytest.mark.parametrize("weights", [None, np.linspace(0.5, 3, 30)], ids=["equal", "weighted"])
def test_a_polished_update_is_the_map_of_all_labels(weights):
    both, new = data(range(30), weights), data(range(18, 30), None if weights is None else weights[18:])
    old = data(range(18), None if weights is None else weights[:18])
    model = polished(fit(old, spec()).update(new), both, spec())
    np.testing.assert_allclose(model.head.W_CD1, newton(both, 0.7), rtol=0, atol=1e-3)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(-2, 2), st.integers(4, 40))
def test_it_does_not_matter_where_the_polish_begins(seed, size, n):
    """Neither does the order of the labels."""
    rng = np.random.default_rng(seed)
    rows = data(rng.permutation(60)[:n])
    if len(np.unique(rows.y_L)) < 2:
        return
    fitted = fit(rows, spec())
    away = fitted.head.W_CD1 + 10**size * rng.standard_normal(fitted.head.W_CD1.shape)
    start = replace(fitted, head=fitted.head.with_last_layer(away))
    shuffled = rows.rows(rng.permutation(n))
    np.testing.assert_allclose(polished(start, shuffled, spec()).head.W_CD1, fitted.head.W_CD1, rtol=0, atol=3e-3)


@pytest.mark.parametrize("form", COVARIANCES)
def test_the_posterior_is_that_of_a_fit_at_the_same_curvature(form):
    """Also after updates in closed form, whose rows entered at other curvatures."""
    ask = spec(covariance=form)
    model = fit(data(range(18)), ask)
    after = polished(model.update(data(range(18, 30))), data(range(30)), ask)
    fresh = fit(data(range(30)), replace(ask, curvature=model.posterior.curvature))
    np.testing.assert_allclose(after.predictive(X_ND), fresh.predictive(X_ND), rtol=0, atol=5e-3)
    for name, array in fresh.posterior.arrays().items():
        np.testing.assert_allclose(after.posterior.arrays()[name], array, rtol=0, atol=5e-3)
    assert after.posterior.curvature == model.posterior.curvature


def test_a_ridge_head_gets_the_noise_of_all_labels_too():
    y_N = X_ND @ np.arange(1.0, 6) + 100 + np.random.default_rng(0).standard_normal(60)
    ask = Recipe(prior_precision=0.7).spec(regression=True)
    rows = [Training(X_ND[a:b], y_N[a:b], np.ones(b - a), None) for a, b in ((0, 12), (12, 40), (0, 40))]
    old, new, both = rows
    model = polished(fit(old, ask).update(new), both, ask)
    phi = np.column_stack([X_ND[:40], np.ones(40)])
    exact = np.linalg.solve(phi.T @ phi + np.diag([0.7] * 5 + [0.0]), phi.T @ y_N[:40])
    np.testing.assert_allclose(model.head.W_CD1[0], exact, rtol=1e-9)
    fresh = fit(both, ask)
    assert model.head.noise_variance == pytest.approx(fresh.head.noise_variance, rel=1e-9)
    np.testing.assert_allclose(model.label_variance(X_ND), fresh.label_variance(X_ND), rtol=1e-9)


def test_the_last_layer_of_a_network_goes_to_its_map():
    torch = pytest.importorskip("torch")
    assert torch
    ask = Recipe(head="mlp", options={"epochs": "3", "widths": "8"}, prior_precision=0.7).spec(regression=False)
    model = fit(data(range(18)), ask)
    after = polished(model.update(data(range(18, 30))), data(range(30)), ask)
    hidden = Training(model.head.hidden(X_ND[:30]), Y_N[:30], np.ones(30), 3)
    np.testing.assert_allclose(after.head.W_CD1, newton(hidden, 0.7), rtol=0, atol=1e-3)
    assert after.head.layers is model.head.layers


def test_an_anchored_head_stays_anchored_and_forgets_the_typical_row_of_a_class_with_a_label():
    rng = np.random.default_rng(1)
    centre, typical = rng.standard_normal((3, 6)), X_ND[Y_N == 2][:1] + 0.1
    anchor = Anchor(centre, 0.7, typical, np.array([2]))
    old = np.flatnonzero(Y_N != 2)[:12]
    model = fit(replace(data(old), anchor=anchor), spec())
    more = data(np.r_[old, 50, 51])
    waits = data(old[:10])
    assert (more.y_L == 2).any()
    assert not (waits.y_L == 2).any()
    np.testing.assert_allclose(polished(model, more, spec()).head.W_CD1, newton(more, 0.7, centre), rtol=0, atol=1e-3)
    with_row = Training(
        np.concatenate([waits.X_LD, typical]), np.r_[waits.y_L, 2], np.ones(waits.n + 1), waits.n_classes
    )
    np.testing.assert_allclose(
        polished(model, waits, spec()).head.W_CD1, newton(with_row, 0.7, centre), rtol=0, atol=1e-3
    )


def test_without_labels_the_weights_are_those_of_the_prior():
    nothing = data(np.empty(0, int))
    after = polished(fit(data(range(18)), spec()), nothing, spec())
    assert not after.head.W_CD1.any()
    phi = np.diag(after.posterior.precision)
    np.testing.assert_allclose(phi, [0.7] * 5 + [BIAS])


def test_a_head_without_a_posterior_is_polished_too():
    ask = spec(posterior="none")
    model = fit(data(range(18)), ask)
    after = polished(model, data(range(30)), ask)
    assert after.posterior is None
    np.testing.assert_allclose(after.head.W_CD1, newton(data(range(30)), 0.7), rtol=0, atol=1e-3)


def test_labels_that_have_doubled_ask_for_a_renewal():
    assert [is_renewal(n, 10) for n in (1, 19, 20, 21)] == [False, False, True, True]
    assert is_renewal(1, 0), "a head that does not say what it was fitted on"
