"""Rows weighted by p_max (1 - p_max): the weights by hand, and the model of one weight vector that it is exact for."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.errors import DataError
from alcli.numerics.logistic import softmax
from alcli.posteriors._contract import Evidence
from alcli.posteriors.laplace_shared_cat import LaplaceSharedCat
from tests.evidence import prior_of, problem


def dense_precision(parts, prior, curvature):
    total = np.diag(prior_of(prior, parts[0][0].shape[1]))
    for W, data in parts:
        largest = softmax(data.phi_LD1 @ W.T).max(axis=1)
        total += curvature * (data.phi_LD1 * (data.weights_L * largest * (1 - largest))[:, None]).T @ data.phi_LD1
    return np.kron(np.eye(len(parts[0][0])), total)


def test_two_classes_have_the_curvature_of_logistic_regression():
    W, data = problem(C=2)
    p = 1 / (1 + np.exp(-data.phi_LD1 @ (W[0] - W[1])))
    want = np.diag(prior_of(0.7, 3)) + (data.phi_LD1 * (data.weights_L * p * (1 - p))[:, None]).T @ data.phi_LD1
    _, post = LaplaceSharedCat.fit(
        W, data, prior_precision=0.7, curvature=LaplaceSharedCat.curvature_at(np.array([[0.3, 0.7], [0.1, 0.9]]))
    )
    np.testing.assert_allclose(post.precision, want, atol=1e-13)


def test_a_linearised_step_divides_by_one_plus_curvature_times_variance():
    # The published code leaves the curvature out of this denominator.
    W, data = problem()
    _, post = LaplaceSharedCat.fit(W, data, prior_precision=0.7)
    row = Evidence(data.phi_LD1[:1], data.targets_LC[:1], np.ones(1), "softmax")
    phi, p = row.phi_LD1[0], softmax(row.phi_LD1 @ W.T)[0]
    t, r = post.covariance @ phi, p.max() * (1 - p.max())
    after, state = post.update(W, row, gamma=2.0)
    np.testing.assert_allclose(after, W + 2 * np.outer(row.targets_LC[0] - p, t) / (1 + r * phi @ t), atol=1e-14)
    p_new = softmax(row.phi_LD1 @ after.T)[0]
    r_new = p_new.max() * (1 - p_new.max())
    assert abs(r_new - r) > 1e-3
    np.testing.assert_allclose(
        state.covariance, post.covariance - r_new * np.outer(t, t) / (1 + r_new * phi @ t), atol=1e-14
    )


def test_labels_cannot_be_given_back():
    W, data = problem()
    with pytest.raises(DataError, match="laplace-shared-cat") as caught:
        LaplaceSharedCat.fit(W, data, prior_precision=0.7)[1].remove(W, data.rows(np.arange(1)))
    assert caught.value.hint == "refit without them"
