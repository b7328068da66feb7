"""The exact Hessian: Newton, two classes as one, ridge, and the limit on its size."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.errors import DataError
from alcli.heads._contract import Training
from alcli.heads.softmax import softmax as softmax_head
from alcli.numerics.logistic import log_softmax, one_hot, softmax
from alcli.posteriors._contract import Evidence
from alcli.posteriors.laplace_full import LaplaceFull
from tests.evidence import check_update_is_ridge, prior_of, problem


def dense_precision(parts, prior, curvature):
    C, D1 = parts[0][0].shape
    total = np.diag(np.tile(prior_of(prior, D1), C))
    for W, data in parts:
        for p, phi, weight in zip(softmax(data.phi_LD1 @ W.T), data.phi_LD1, data.weights_L):
            total += curvature * weight * np.kron(np.diag(p) - np.outer(p, p), np.outer(phi, phi))
    return total


def test_from_the_map_a_batch_update_is_one_newton_step_of_the_refit():
    torch = pytest.importorskip("torch")
    _, data = problem(C=5, n=20, D=5, seed=1)
    y = data.targets_LC.argmax(axis=1)
    W = softmax_head(Training(data.phi_LD1[:14, :-1], y[:14], data.weights_L[:14], 5), 0.7).W_CD1
    _, post = LaplaceFull.fit(W, data.rows(np.arange(14)), prior_precision=0.7)
    got, _ = post.update(W, data.rows(np.arange(14, 20)), gamma=1.0, mode="batch")

    prior = torch.tensor(np.tile(prior_of(0.7, 6), 5))

    def objective(w):
        losses = torch.nn.functional.cross_entropy(
            torch.tensor(data.phi_LD1) @ w.reshape(5, 6).T, torch.tensor(y), reduction="none"
        )
        return losses @ torch.tensor(data.weights_L) + 0.5 * prior @ w**2

    w = torch.tensor(W.ravel(), requires_grad=True)
    gradient, hessian = torch.autograd.grad(objective(w), w)[0], torch.autograd.functional.hessian(objective, w)
    want = W.ravel() - np.linalg.solve(hessian.numpy(), gradient.numpy())
    np.testing.assert_allclose(got.ravel(), want, atol=1e-10)


@pytest.mark.parametrize("gamma", [1.5, None])
def test_two_classes_are_one_weight_vector_with_half_the_prior(gamma):
    W, data = problem(C=2)
    old, new = data.rows(np.arange(11)), data.rows(np.arange(11, 12))
    _, post = LaplaceFull.fit(W, old, prior_precision=0.7, noise_variance=1.0)
    phi, weight, sign = new.phi_LD1[0], new.weights_L[0], new.targets_LC[0, 0]

    def chance(a):
        return 1 / (1 + np.exp(-a))

    p = chance(old.phi_LD1 @ (W[0] - W[1]))
    half_prior = np.diag(prior_of(0.7, 3)) / 2
    S = np.linalg.inv(half_prior + (old.phi_LD1 * (old.weights_L * p * (1 - p))[:, None]).T @ old.phi_LD1)
    w, t = W[0] - W[1], S @ phi
    both = np.kron([[1.0, -1.0]], phi[None])
    assert (both @ post.state.covariance @ both.T).item() == pytest.approx(phi @ t, rel=1e-12)
    after, _ = post.update(W, new, gamma=gamma)
    if gamma is None:
        residual = weight * (sign - chance(phi @ (after[0] - after[1])))
        want = w + residual * t
    else:
        q = chance(phi @ w)
        want = w + gamma * weight * (sign - q) * t / (1 + weight * q * (1 - q) * phi @ t)
    np.testing.assert_allclose(after[0] - after[1], want, atol=1e-10)


def test_sure_predictions_make_a_newton_step_overshoot_and_not_the_implicit_update():
    rng = np.random.default_rng(0)
    phi, y = with_bias(rng.normal(size=(30, 4))), np.zeros(30, np.int64)
    y[:15], phi[:15, 0] = 1, phi[:15, 0] + 6
    W = softmax_head(Training(phi[:, :-1], y, np.ones(30), 2), 1e-3).W_CD1
    _, post = LaplaceFull.fit(W, Evidence(phi, one_hot(y, 2), np.ones(30), "softmax"), prior_precision=1e-3)
    surprise = Evidence(phi[:1], np.array([[1.0, 0.0]]), np.ones(1), "softmax")

    def loss(V):
        step = (V - W).ravel()
        return -log_softmax(surprise.phi_LD1 @ V.T)[0, 0] + 0.5 * step @ post.state.precision @ step

    newton, implicit = (post.update(W, surprise, gamma=gamma)[0] for gamma in (1.0, None))
    assert loss(newton) > loss(W) > loss(implicit)


def test_squared_loss_equals_ridge_on_all_rows():
    check_update_is_ridge(LaplaceFull, "sequential")


def test_too_many_weights_are_refused_unless_the_limit_is_raised():
    W, data = problem()
    with pytest.raises(DataError, match="3 classes by 3 features") as caught:
        LaplaceFull.fit(W, data, prior_precision=0.7, max_parameters=8)
    assert "max-parameters" in caught.value.hint
    wide = Evidence(np.ones((1, 1366)), data.targets_LC[:1], np.ones(1), "softmax")
    with pytest.raises(DataError, match="limit is 4096 weights, these are 4098"):
        LaplaceFull.fit(np.zeros((3, 1366)), wide, prior_precision=0.7)
