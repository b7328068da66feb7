"""The Kronecker form: its dense form, ridge, where it is the exact Hessian, and damage to what is stored."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.errors import DataError
from alcli.numerics.logistic import one_hot, softmax
from alcli.posteriors._contract import Evidence
from alcli.posteriors.laplace_full import LaplaceFull
from alcli.posteriors.laplace_kron import LaplaceKron


def dense_precision(parts, prior, curvature):
    A, B, n = 0.0, 0.0, 0.0
    for W, data in parts:
        P = softmax(data.phi_LD1 @ W.T)
        A += np.einsum("lc,cd,l->cd", P, np.eye(P.shape[1]), data.weights_L) - (P * data.weights_L[:, None]).T @ P
        B += (data.phi_LD1 * data.weights_L[:, None]).T @ data.phi_LD1
        n += data.weights_L.sum()
    return prior * np.eye(parts[0][0].size) + curvature * np.kron(A, B) / n


def problem(C=3, n=12, D=2, link="softmax", seed=0):
    rng = np.random.default_rng(seed)
    data = Evidence(with_bias(rng.normal(size=(n, D))), one_hot(rng.integers(C, size=n), C), rng.uniform(0.5, 2.0, size=n), link)
    return rng.normal(size=(C, D + 1)), data


@pytest.mark.parametrize("mode", ["sequential", "batch"])
def test_squared_loss_equals_ridge_on_all_rows(mode):
    _, data = problem(link="identity")
    weighted = data.phi_LD1 * data.weights_L[:, None]
    def ridge(n):
        return np.linalg.solve(0.7 * np.eye(3) + weighted[:n].T @ data.phi_LD1[:n], weighted[:n].T @ data.targets_LC[:n]).T
    _, post = LaplaceKron.fit(ridge(8), data.rows(np.arange(8)), prior_precision=0.7)
    W, _ = post.update(ridge(8), data.rows(np.arange(8, 12)), mode=mode)
    np.testing.assert_allclose(W, ridge(12), atol=1e-12)


def test_equal_probabilities_make_it_the_exact_hessian():
    _, data = problem()
    W = np.zeros((3, 3))
    kron, full = (form.fit(W, data, prior_precision=0.7, noise_variance=1.0)[1] for form in (LaplaceKron, LaplaceFull))
    np.testing.assert_allclose(kron.variance(W, data.phi_LD1), full.variance(W, data.phi_LD1), rtol=1e-12)
    assert kron.log_det(3) == pytest.approx(full.log_det(3), rel=1e-12)


@pytest.mark.parametrize(("name", "damage"), [
    ("class_curvature", lambda A: A + np.triu(np.ones_like(A), 1)), ("feature_gram", lambda A: -A),
])
def test_a_damaged_sum_is_named(name, damage):
    W, data = problem()
    _, post = LaplaceKron.fit(W, data, prior_precision=0.7)
    arrays = post.arrays() | {name: damage(post.arrays()[name])}
    with pytest.raises(DataError, match=f"'{name}' is not a sum of squares"):
        LaplaceKron.from_arrays(arrays, post.settings(), D1=3, C=3)
