"""One number a weight: its dense form, a case by hand, and damage to what is stored."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.errors import DataError
from alcli.numerics.logistic import softmax
from alcli.posteriors._contract import Evidence
from alcli.posteriors.laplace_diag import LaplaceDiag
from tests.evidence import SOFTMAX_BIAS, prior_of, problem


def dense_precision(parts, prior, curvature):
    C, D1 = parts[0][0].shape
    total = np.tile(prior_of(prior, D1), (C, 1))
    for W, data in parts:
        P = softmax(data.phi_LD1 @ W.T)
        total += curvature * (P * (1 - P) * data.weights_L[:, None]).T @ data.phi_LD1**2
    return np.diag(total.ravel())


def test_zero_weights_of_two_classes_by_hand():
    # p (1 - p) = 1/4 everywhere; phi = (2, 1) with weight 3 adds 3 and 3/4.
    bias = 0.75 + SOFTMAX_BIAS
    data = Evidence(np.array([[2.0, 1.0]]), np.array([[1.0, 0.0]]), np.array([3.0]), "softmax")
    _, post = LaplaceDiag.fit(np.zeros((2, 2)), data, prior_precision=1.0)
    np.testing.assert_allclose(post.precision_CD1, [[4.0, bias]] * 2)
    np.testing.assert_allclose(
        post.variance(np.zeros((2, 2)), data.phi_LD1), post.noise_variance * np.full((1, 2), 4 / 4 + 1 / bias)
    )


def test_a_precision_that_is_not_positive_is_named():
    W, data = problem()
    _, post = LaplaceDiag.fit(W, data, prior_precision=0.7)
    with pytest.raises(DataError, match="'precision' holds numbers that are not positive"):
        LaplaceDiag.from_arrays({"precision": -post.precision_CD1}, post.settings(), D1=3, C=3)


def test_a_new_class_gets_the_mean_precision_of_the_others():
    W, data = problem()
    _, post = LaplaceDiag.fit(W, data, prior_precision=0.7)
    np.testing.assert_allclose(post.with_new_classes(1).precision_CD1[3], post.precision_CD1.mean(axis=0))
