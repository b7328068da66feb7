"""Members against the dense objective they minimise, and the covariance of randomised ones against the posterior they
stand for.
"""

from __future__ import annotations

import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.numerics.last_layer import members
from alcli.numerics.last_layer.members import Members
from alcli.numerics.logistic import one_hot, softmax
from tests.evidence import prior_of

PRIOR = 0.4


@pytest.fixture(autouse=True)
def exact(monkeypatch):
    monkeypatch.setattr(members, "TOLERANCE", 1e-13)


def problem(link, n=14, D=3, C=3, seed=0):
    """(phi, targets, weights, MAP) of a small problem."""
    rng = np.random.default_rng(seed)
    phi, weights = with_bias(rng.normal(size=(n, D))), rng.uniform(0.5, 2.0, size=n)
    targets = one_hot(rng.integers(C, size=n), C)
    start = Members.of(phi, targets, weights, np.zeros((C, D + 1)), PRIOR, None, link)
    return phi, targets, weights, start.perturbed(0 * targets, np.zeros((C, D + 1)))


def gradient(link, W, phi, targets, weights, anchor=0.0):
    """Of sum weight loss + 1/2 |W - anchor|^2 by the prior, the squared loss halved."""
    mean = softmax(phi @ W.T) if link == "softmax" else phi @ W.T
    return ((mean - targets) * weights[:, None]).T @ phi + (W - anchor) * prior_of(PRIOR, W.shape[1], link)


@pytest.mark.parametrize("link", ["softmax", "identity"])
@pytest.mark.parametrize("D", [3, 30])
def test_a_reweighted_member_is_the_optimum_under_its_weights(link, D):
    phi, targets, weights, W = problem(link, D=D)
    shared = Members.of(phi, targets, weights, W, PRIOR, None, link)
    other = weights * np.random.default_rng(1).integers(0, 3, size=len(weights))
    assert (other == 0).any()
    assert np.abs(gradient(link, shared.reweighted(other), phi, targets, other)).max() < 1e-10
    np.testing.assert_allclose(shared.reweighted(weights), W, atol=1e-10)


@pytest.mark.parametrize("link", ["softmax", "identity"])
@pytest.mark.parametrize("D", [3, 30])
def test_a_perturbed_member_is_the_optimum_of_its_targets_and_anchor(link, D):
    phi, targets, weights, W = problem(link, D=D)
    shared, rng = Members.of(phi, targets, weights, W, PRIOR, None, link), np.random.default_rng(1)
    noise, anchor = 0.3 * shared.label_noise(rng.normal(size=targets.shape)), rng.normal(size=W.shape)
    got = shared.perturbed(noise, anchor)
    assert np.abs(gradient(link, got, phi, targets + noise, weights, anchor)).max() < 1e-9


@pytest.mark.parametrize("link", ["softmax", "identity"])
def test_label_noise_has_the_covariance_of_a_label(link):
    phi, targets, weights, W = problem(link)
    shared = Members.of(phi, targets, weights, W, PRIOR, None, link)
    roots = np.stack([shared.label_noise(np.broadcast_to(e, targets.shape)) for e in np.eye(3)], axis=2)
    probs = softmax(phi @ W.T)
    for root, p, weight in zip(roots, probs, weights):
        want = np.eye(3) if link == "identity" else np.diag(p) - np.outer(p, p)
        np.testing.assert_allclose(root @ root.T, want / weight, atol=1e-14)


@pytest.mark.parametrize("link", ["softmax", "identity"])
def test_randomised_members_have_the_covariance_of_the_posterior_to_first_order(link):
    """Exactly under squared loss: the map from anchor and noise to the member is linear, and the covariance of what
    it gives is P^-1.
    """
    phi, targets, weights, W = problem(link, n=8, D=2)
    shared, size = Members.of(phi, targets, weights, W, PRIOR, None, link), 3e-4 if link == "softmax" else 1.0
    anchors = [size * e.reshape(W.shape) for e in np.eye(W.size)]
    by_anchor = [shared.perturbed(0 * targets, anchor) - shared.perturbed(0 * targets, -anchor) for anchor in anchors]
    noises = [shared.label_noise(size * e.reshape(targets.shape)) for e in np.eye(targets.size)]
    by_noise = [shared.perturbed(noise, 0 * W) - shared.perturbed(-noise, 0 * W) for noise in noises]
    J_anchor, J_noise = (np.stack([d.ravel() for d in moved], axis=1) / (2 * size) for moved in (by_anchor, by_noise))
    probs = softmax(phi @ W.T)
    prior = np.tile(prior_of(PRIOR, W.shape[1], link), len(W))
    hessian = np.diag(prior)
    for x, p, weight in zip(phi, probs, weights):
        hessian += weight * np.kron(np.eye(3) if link == "identity" else np.diag(p) - np.outer(p, p), np.outer(x, x))
    # An anchor of a flat prior moves nothing, however far it is.
    deviations = np.tile(shared.prior_deviations, len(W))
    np.testing.assert_allclose(deviations**2 * prior, prior > 0, rtol=1e-12)
    got = J_anchor * deviations**2 @ J_anchor.T + J_noise @ J_noise.T
    np.testing.assert_allclose(got, np.linalg.inv(hessian), rtol=1e-5, atol=1e-5)
