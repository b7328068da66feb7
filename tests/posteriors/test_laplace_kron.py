"""The Kronecker form: its dense form, ridge, where it is the exact Hessian, and damage to what is stored."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.errors import DataError
from alcli.numerics.logistic import softmax
from alcli.posteriors.laplace_full import LaplaceFull
from alcli.posteriors.laplace_kron import LaplaceKron
from tests.evidence import check_update_is_ridge, prior_of, problem


def dense_precision(parts, prior, curvature):
    A, B, n = 0.0, 0.0, 0.0
    for W, data in parts:
        P = softmax(data.phi_LD1 @ W.T)
        A += np.einsum("lc,cd,l->cd", P, np.eye(P.shape[1]), data.weights_L) - (P * data.weights_L[:, None]).T @ P
        B += (data.phi_LD1 * data.weights_L[:, None]).T @ data.phi_LD1
        n += data.weights_L.sum()
    return np.diag(np.tile(prior_of(prior, B.shape[0], parts[0][1].link), len(A))) + curvature * np.kron(A, B) / n


@pytest.mark.parametrize("mode", ["sequential", "batch"])
def test_squared_loss_equals_ridge_on_all_rows(mode):
    check_update_is_ridge(LaplaceKron, mode)


def test_equal_probabilities_make_it_the_exact_hessian():
    _, data = problem()
    W = np.zeros((3, 3))
    kron, full = (form.fit(W, data, prior_precision=0.7, noise_variance=1.0)[1] for form in (LaplaceKron, LaplaceFull))
    np.testing.assert_allclose(kron.variance(W, data.phi_LD1), full.variance(W, data.phi_LD1), rtol=1e-12)


def test_a_file_from_before_the_bias_had_a_prior_of_its_own_keeps_the_prior_of_all_weights():
    W, data = problem()
    _, post = LaplaceKron.fit(W, data, prior_precision=0.7, noise_variance=1.3)
    settings = {key: value for key, value in post.settings().items() if key != "bias_precision"}
    old = LaplaceKron.from_arrays(post.arrays(), settings, D1=3, C=3)
    prior = np.tile(prior_of(0.7, 3), 3)
    covariance = 1.3 * np.linalg.inv(dense_precision([(W, data)], 0.7, 1.0) + np.diag(0.7 - prior))
    want = [[np.kron(e, phi) @ covariance @ np.kron(e, phi) for e in np.eye(3)] for phi in data.phi_LD1]
    np.testing.assert_allclose(old.variance(W, data.phi_LD1), want, rtol=1e-10)
    again = LaplaceKron.from_arrays(old.arrays(), old.settings(), D1=3, C=3)
    np.testing.assert_array_equal(again.variance(W, data.phi_LD1), old.variance(W, data.phi_LD1))


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("class_curvature", lambda A: A + np.triu(np.ones_like(A), 1)),
        ("feature_gram", lambda A: -A),
    ],
)
def test_a_damaged_sum_is_named(name, damage):
    W, data = problem()
    _, post = LaplaceKron.fit(W, data, prior_precision=0.7)
    arrays = post.arrays() | {name: damage(post.arrays()[name])}
    with pytest.raises(DataError, match=f"'{name}' is not a sum of squares"):
        LaplaceKron.from_arrays(arrays, post.settings(), D1=3, C=3)
