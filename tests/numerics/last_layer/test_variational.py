"""The variational Gaussian: divergence and bound by Monte Carlo, gradients by differences, optima by quadrature, the
closed form.
"""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from alcli.arrays import with_bias
from alcli.errors import DataError
from alcli.numerics.last_layer import ridge, variational
from alcli.numerics.last_layer.rotated import rotate_centred
from alcli.numerics.last_layer.variational import Nodes, divergence, fit_mean_field, moments, squared_loss
from alcli.numerics.logistic import log_softmax, one_hot, softmax
from tests.evidence import SOFTMAX_BIAS, prior_of

PRIOR = 0.5


def grid(C, n=30):
    """Gauss-Hermite nodes over C independent logits: expectations of smooth functions to many digits."""
    x, w = np.polynomial.hermite_e.hermegauss(n)
    values = np.stack([g.ravel() for g in np.meshgrid(*[x] * C, indexing="ij")], axis=1)
    weights = np.prod(np.stack([g.ravel() for g in np.meshgrid(*[w / w.sum()] * C, indexing="ij")]), axis=0)
    return Nodes(values[:, None], weights)


def problem(n=12, D=2, C=2, seed=0):
    rng = np.random.default_rng(seed)
    return with_bias(rng.normal(size=(n, D))), one_hot(rng.integers(C, size=n), C), rng.uniform(0.5, 2.0, size=n)


def objective(phi, targets, weights, mean, variance, nodes, temperature=1.0):
    """What is minimised, from its definition."""
    z, v = phi @ mean.T, phi**2 @ variance.T
    loss = weights @ (moments(z, np.sqrt(v), nodes).log_sum_L - (targets * z).sum(axis=1))
    penalty = ((mean**2 + variance) @ prior_of(PRIOR, mean.shape[1])).sum() / 2
    return loss + penalty - temperature / 2 * np.log(variance).sum()


def fitted(phi, targets, weights, nodes, **options):
    shape = targets.shape[1], phi.shape[1]
    return fit_mean_field(phi, targets, weights, (np.zeros(shape), np.full(shape, 0.3)), PRIOR, nodes, **options)


def test_the_divergence_by_monte_carlo():
    rng = np.random.default_rng(0)
    mean, variance = rng.normal(size=(2, 3)), rng.uniform(0.1, 2.0, size=(2, 3))
    W = mean + np.sqrt(variance) * rng.normal(size=(200_000, 2, 3))
    log_q = -0.5 * ((W - mean) ** 2 / variance + np.log(2 * np.pi * variance)).sum(axis=(1, 2))
    prior = prior_of(PRIOR, 3)
    log_p = -0.5 * (prior * W**2 + np.log(2 * np.pi / prior)).sum(axis=(1, 2))
    ratio = log_q - log_p
    assert abs(divergence(mean, variance, prior) - ratio.mean()) < 4 * ratio.std() / np.sqrt(len(ratio))
    assert divergence(np.zeros((2, 3)), np.tile(1 / prior, (2, 1)), prior) == pytest.approx(0, abs=1e-14)


def test_a_flat_prior_has_density_one_in_the_divergence():
    rng = np.random.default_rng(0)
    mean, variance = rng.normal(size=(2, 3)), rng.uniform(0.1, 2.0, size=(2, 3))
    # E log q of the bias is minus its entropy, and log 1 is 0.
    entropy = 0.5 * np.log(2 * np.pi * np.e * variance[:, 2]).sum()
    want = divergence(mean[:, :2], variance[:, :2], np.full(2, PRIOR)) - entropy
    assert divergence(mean, variance, prior_of(PRIOR, 3, "identity")) == pytest.approx(want, rel=1e-12)


def test_the_expected_log_likelihood_by_drawing_whole_layers():
    phi, targets, weights = problem(C=3)
    q = fitted(phi, targets, weights, grid(3, 20), tolerance=1e-8)
    rng = np.random.default_rng(1)
    W = q.mean_CD1 + np.sqrt(q.variance_CD1) * rng.normal(size=(100_000, *q.mean_CD1.shape))
    each = np.einsum("snc,nc,n->s", log_softmax(phi @ W.transpose(0, 2, 1)), targets, weights)
    assert abs(q.expected_log_likelihood - each.mean()) < 4 * each.std() / np.sqrt(len(each))


def test_moments_of_nodes_in_blocks_are_those_of_each_row():
    rng = np.random.default_rng(0)
    mean, spread = rng.normal(size=(11, 3)), rng.uniform(0.1, 2, size=(11, 3))
    nodes = Nodes.drawn(rng, 4, 5, 3)
    got = moments(mean, spread, nodes)
    for i in range(11):
        z = mean[i] + spread[i] * nodes.values_SBC[:, i % 5]
        p = softmax(z)
        np.testing.assert_allclose(got.probs_LC[i], p.mean(axis=0), atol=1e-14)
        np.testing.assert_allclose(got.curvatures_LC[i], (p * (1 - p)).mean(axis=0), atol=1e-14)
        assert got.log_sum_L[i] == pytest.approx(np.log(np.exp(z).sum(axis=1)).mean(), abs=1e-13)


def test_drawn_nodes_have_no_odd_moments():
    nodes = Nodes.drawn(np.random.default_rng(0), 6, 5, 3)
    assert nodes.values_SBC.shape == (12, 5, 3)
    assert nodes.weights_S.sum() == pytest.approx(1)
    np.testing.assert_allclose(np.tensordot(nodes.weights_S, nodes.values_SBC**3, axes=1), 0, atol=1e-14)


def test_both_optimality_conditions_are_the_gradient_by_differences():
    phi, targets, weights = problem()
    rng, nodes = np.random.default_rng(3), grid(2)
    mean, variance = rng.normal(size=(2, 3)), rng.uniform(0.1, 1.0, size=(2, 3))
    now, prior = moments(phi @ mean.T, np.sqrt(phi**2 @ variance.T), nodes), prior_of(PRIOR, 3)
    by_mean = ((now.probs_LC - targets) * weights[:, None]).T @ phi + prior * mean
    by_variance = 0.5 * (prior + (now.curvatures_LC * weights[:, None]).T @ phi**2 - 0.7 / variance)
    for place in np.ndindex(2, 3):
        step = np.zeros((2, 3))
        step[place] = 1e-5
        ends = [objective(phi, targets, weights, mean + s * step, variance, nodes, 0.7) for s in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(by_mean[place], abs=1e-7)
        ends = [objective(phi, targets, weights, mean, variance + s * step, nodes, 0.7) for s in (1, -1)]
        assert (ends[0] - ends[1]) / 2e-5 == pytest.approx(by_variance[place], abs=1e-7)


@pytest.mark.parametrize("temperature", [1.0, 0.1])
def test_the_optimum_is_that_of_a_general_optimiser(temperature):
    phi, targets, weights = problem(n=6)
    nodes = grid(2)
    q = fitted(phi, targets, weights, nodes, temperature=temperature, tolerance=1e-10)

    def value(x):
        return objective(phi, targets, weights, x[:6].reshape(2, 3), np.exp(x[6:]).reshape(2, 3), nodes, temperature)

    found = minimize(value, np.zeros(12), tol=1e-10)
    assert value(np.concatenate([q.mean_CD1.ravel(), np.log(q.variance_CD1).ravel()])) <= found.fun + 1e-7
    np.testing.assert_allclose(q.mean_CD1.ravel(), found.x[:6], atol=1e-4)
    np.testing.assert_allclose(q.variance_CD1.ravel(), np.exp(found.x[6:]), rtol=1e-3)


def test_one_weight_by_quadrature():
    """Two classes, one feature, no bias: the bound as an integral over the difference of the two weights."""
    x, targets = np.array([[1.0, 0.0], [-0.5, 0.0], [2.0, 0.0]]), one_hot(np.array([0, 1, 1]), 2)
    q = fit_mean_field(x, targets, np.ones(3), (np.zeros((2, 2)), np.ones((2, 2))), PRIOR, grid(2, 60), tolerance=1e-10)
    u = np.linspace(-12, 12, 20_001)

    def value(theta):  # by symmetry w1 = -w0 in the mean, and both variances are equal
        mean, variance = 2 * theta[0], 2 * np.exp(theta[1])
        density = np.exp(-0.5 * (u - mean) ** 2 / variance) / np.sqrt(2 * np.pi * variance)
        loss = sum(np.trapezoid(density * np.logaddexp(0, -sign * xi * u), u) for sign, xi in zip((1, -1, -1), x[:, 0]))
        return loss + PRIOR * (theta[0] ** 2 + np.exp(theta[1])) - theta[1]

    best = minimize(value, np.zeros(2), method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-12}).x
    np.testing.assert_allclose(q.mean_CD1[:, 0], [best[0], -best[0]], atol=1e-5)
    np.testing.assert_allclose(q.variance_CD1[:, 0], np.exp(best[1]), rtol=1e-5)
    np.testing.assert_allclose(q.mean_CD1[:, 1], 0, atol=1e-12)
    np.testing.assert_allclose(q.variance_CD1[:, 1], 1 / SOFTMAX_BIAS, rtol=1e-8)


def test_squared_loss_is_the_best_factorised_gaussian_and_its_bound_below_the_evidence():
    phi, _, weights = problem(n=9)
    targets = np.random.default_rng(4).normal(size=(9, 2))
    rows, prior = rotate_centred(phi, np.zeros(9), weights, 2), prior_of(PRIOR, 3, "identity")
    solved = ridge.solve(rows, targets, PRIOR)
    noise = 0.3
    q = squared_loss(phi, targets, weights, rows.outside(solved.W_CR), prior, noise)
    P = (np.diag(prior) + (phi * weights[:, None]).T @ phi) / noise
    np.testing.assert_allclose(q.variance_CD1, np.broadcast_to(1 / np.diag(P), (2, 3)))
    bound = q.expected_log_likelihood - divergence(q.mean_CD1, q.variance_CD1, prior / noise)
    gap = 2 * 0.5 * (np.log(np.diag(P)).sum() - np.linalg.slogdet(P)[1])  # KL(q || posterior) of both outputs
    assert ridge.log_evidence(rows, targets, solved, noise) - bound == pytest.approx(gap, abs=1e-10)
    assert gap > 0.01


def test_more_rows_than_nodes_and_fewer_rows_than_features():
    for n, D, pairs in ((40, 3, 200), (6, 20, 1500)):
        phi, targets, weights = problem(n=n, D=D, C=3)
        a, b = (
            fitted(phi, targets, weights, Nodes.drawn(np.random.default_rng(s), pairs, 16, 3), temperature=0.3)
            for s in (0, 1)
        )
        assert np.abs(a.mean_CD1 - b.mean_CD1).max() < 0.05 * np.sqrt(a.variance_CD1.max())
        np.testing.assert_allclose(a.variance_CD1, b.variance_CD1, rtol=0.03)
        assert (a.variance_CD1 <= 0.3 / prior_of(PRIOR, D + 1) + 1e-12).all()


def test_it_says_when_it_does_not_converge(monkeypatch):
    monkeypatch.setattr(variational, "MAX_STEPS", 1)
    with pytest.raises(DataError, match="did not converge in 1 steps"):
        fitted(*problem(), grid(2), tolerance=1e-12)
