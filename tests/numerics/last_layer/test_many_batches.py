from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics.last_layer.many_batches import batch_coefficients, judge, whitened
from alcli.numerics.logistic import one_hot, softmax


@given(st.integers(0, 10_000), st.integers(1, 6), st.floats(0.01, 10), st.floats(0.01, 2))
def test_coefficients_are_those_of_the_recursion_over_covariances(seed, k, gamma, curvature):
    """Rank-one updates of W and of the covariance, one row after another, in full."""
    rng = np.random.default_rng(seed)
    d, c = 4, 3
    X, A = rng.standard_normal((k, d)), rng.standard_normal((d, d))
    covariance, W = A @ A.T + 0.1 * np.eye(d), rng.standard_normal((c, d))
    targets = one_hot(rng.integers(c, size=k), c)
    made = batch_coefficients(
        (X @ covariance @ X.T)[None],
        (X @ W.T)[None],
        targets[None],
        curvature,
        lambda z, t, s: gamma * (t - softmax(z)) / (1 + curvature * s[:, None]),
    )[0]
    expected, moving = W.copy(), covariance.copy()
    for x, target in zip(X, targets):
        t = moving @ x
        moving = moving - curvature * np.outer(t, t) / (1 + curvature * x @ t)
        expected += gamma * np.outer(target - softmax(expected @ x), moving @ x)
    assert W + made.T @ X @ covariance == pytest.approx(expected, rel=1e-8, abs=1e-8)


@pytest.mark.parametrize("score", ["accuracy", "cross-entropy"])
def test_judging_is_the_same_however_many_batches_go_together(score, monkeypatch):
    from alcli.numerics.last_layer import many_batches as look_ahead

    rng = np.random.default_rng(0)
    batches, coefficients = rng.integers(9, size=(20, 3)), rng.standard_normal((20, 3, 4))
    cross, logits, y = rng.standard_normal((9, 11)), rng.standard_normal((4, 11)), rng.integers(4, size=11)
    whole = judge(batches, coefficients, cross, logits, y, score)
    monkeypatch.setattr(look_ahead, "_BYTES", 1)
    assert np.array_equal(judge(batches, coefficients, cross, logits, y, score), whole)
    z = logits.T + cross[batches[5]].T @ coefficients[5]
    right = (z.argmax(1) == y).mean() if score == "accuracy" else np.log(softmax(z)[np.arange(11), y]).mean()
    assert whole[5] == pytest.approx(right, abs=1e-12)


def test_products_of_whitened_rows_are_products_with_the_covariance():
    rng = np.random.default_rng(1)
    A, X = rng.standard_normal((5, 5)), rng.standard_normal((7, 5))
    precision = A @ A.T + np.eye(5)
    white = whitened(np.linalg.cholesky(precision), X, np.float64)
    assert white @ white.T == pytest.approx(X @ np.linalg.inv(precision) @ X.T, abs=1e-12)
