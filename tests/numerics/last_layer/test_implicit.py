"""The implicit rule: the balance it solves for, the two solvers against each other, and large variances."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.last_layer.implicit import implicit_each, implicit_row, implicit_rows
from alcli.numerics.logistic import log_softmax, one_hot, softmax


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 10_000), C=st.integers(2, 8), size=st.floats(-6, 6), weight=st.floats(0.01, 20))
def test_a_row_balances_pull_and_resistance_at_any_variance(seed, C, size, weight):
    rng = np.random.default_rng(seed)
    logits, target = 4 * rng.normal(size=C), one_hot(rng.integers(C, size=1), C)[0]
    variance = 10.0**size * rng.uniform(0.1, 1.0, size=C)
    residual = implicit_row(logits, target, variance, weight)
    np.testing.assert_allclose(residual, weight * (target - softmax(logits + variance * residual)), atol=1e-7 * weight)

    # never worse than before, and no better than the mode: the objective is below that of small moves
    def objective(r):
        return -weight * target @ log_softmax(logits + variance * r) + 0.5 * variance @ r**2

    assert objective(residual) <= objective(0 * residual) + 1e-12


def test_no_variance_leaves_the_plain_gradient():
    logits, target = np.array([1.0, 0.0, -2.0]), np.array([0.0, 1.0, 0.0])
    np.testing.assert_allclose(implicit_row(logits, target, 0.0, 2.0), 2 * (target - softmax(logits)), atol=1e-15)


def test_two_classes_of_equal_logits_by_bisection():
    # residual = (r, -r) with r = 1 - sigmoid(2 s r)
    low, high, s = 0.0, 1.0, 5.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if middle < 1 - 1 / (1 + np.exp(-2 * s * middle)) else (low, middle)
    np.testing.assert_allclose(implicit_row(np.zeros(2), np.array([1.0, 0.0]), s, 1.0), [low, -low], atol=1e-12)


def test_rows_side_by_side_equal_rows_alone():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(9, 4)), one_hot(rng.integers(4, size=9), 4)
    variances, weights = 10.0 ** rng.uniform(-3, 4, size=(9, 1)), rng.uniform(0.5, 2, size=9)
    together = implicit_each(logits, targets, variances, weights)
    for i in range(9):
        np.testing.assert_allclose(
            together[i], implicit_row(logits[i], targets[i], variances[i, 0], weights[i]), atol=1e-10
        )


@pytest.mark.parametrize("scale", [0.1, 10.0, 1000.0])
def test_joint_rows_balance_under_any_covariance_of_rows_and_classes(scale):
    rng = np.random.default_rng(1)
    M, C = 6, 3
    logits, targets, weights = rng.normal(size=(M, C)), one_hot(rng.integers(C, size=M), C), rng.uniform(0.5, 2, size=M)
    root = rng.normal(size=(M * C, M * C)) * np.sqrt(scale / (M * C))
    K = root @ root.T
    residual = implicit_rows(logits, targets, weights, lambda a: (K @ a.ravel()).reshape(a.shape))
    want = weights[:, None] * (targets - softmax(logits + (K @ residual.ravel()).reshape(M, C)))
    np.testing.assert_allclose(residual, want, atol=1e-8)


def test_joint_rows_without_covariance_between_them_are_rows_alone():
    rng = np.random.default_rng(2)
    logits, targets, weights = rng.normal(size=(5, 4)), one_hot(rng.integers(4, size=5), 4), np.ones(5)
    variances = rng.uniform(0.1, 30, size=(5, 4))
    joint = implicit_rows(logits, targets, weights, lambda a: variances * a)
    np.testing.assert_allclose(joint, implicit_each(logits, targets, variances, weights), atol=1e-10)


def test_no_rows_give_no_residuals():
    assert implicit_rows(np.empty((0, 3)), np.empty((0, 3)), np.empty(0), lambda a: a).shape == (0, 3)
