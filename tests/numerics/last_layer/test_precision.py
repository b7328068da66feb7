"""A precision and its inverse that advance together, against numpy's inverse."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.errors import DataError
from alcli.numerics.last_layer.precision import PENDING_ROWS, Precision

D = 5
PRIOR = np.array([0.5, 0.5, 0.5, 0.5, 0.0])


def rows(n, seed=0):
    return np.random.default_rng(seed).normal(size=(n, D))


def check(state, P):
    np.testing.assert_allclose(state.precision, P, atol=1e-10)
    np.testing.assert_allclose(state.covariance, np.linalg.inv(P), atol=1e-11)
    np.testing.assert_allclose(state.factor @ state.factor.T, P, atol=1e-10)
    np.testing.assert_allclose(state.variances, np.diag(np.linalg.inv(P)), rtol=1e-10)
    X = rows(3, seed=9)
    np.testing.assert_allclose(state.times(X), X @ np.linalg.inv(P), atol=1e-11)
    np.testing.assert_allclose(state.times_vector(X[0]), np.linalg.inv(P) @ X[0], atol=1e-11)
    np.testing.assert_allclose(state.variance(X), np.einsum("md,de,me->m", X, np.linalg.inv(P), X), rtol=1e-9)


def gram(X):
    return X.T @ X


def test_rows_added_one_by_one_and_together_are_the_same_also_beyond_what_is_kept_pending():
    old, new = rows(8), rows(PENDING_ROWS + 7, seed=1)
    start = one_by_one = Precision.gram(PRIOR, old)
    for x in new:
        one_by_one = one_by_one.with_row(x, one_by_one.times_vector(x), 0.3)
    P = np.diag(PRIOR) + gram(old) + 0.3 * gram(new)
    check(one_by_one, P)
    check(start.with_rows(np.sqrt(0.3) * new), P)
    check(start, np.diag(PRIOR) + gram(old))
    assert len(one_by_one.added_JD) == 7


def test_two_futures_of_one_state_do_not_meet():
    start = Precision.gram(PRIOR, rows(8)).with_rows(rows(3, seed=1))
    a, b = start.with_rows(rows(2, seed=2)), start.with_rows(rows(2, seed=3))
    common = np.diag(PRIOR) + gram(rows(8)) + gram(rows(3, seed=1))
    check(a, common + gram(rows(2, seed=2)))
    check(b, common + gram(rows(2, seed=3)))


def test_rows_are_taken_away_again():
    state = Precision.gram(PRIOR, rows(8)).with_rows(rows(3, seed=1))
    check(state.without_rows(rows(8)[:4]), np.diag(PRIOR) + gram(rows(8)[4:]) + gram(rows(3, seed=1)))
    with pytest.raises(DataError, match="not positive definite"):
        state.without_rows(10 * rows(1))


def test_the_stored_factor_comes_back_bit_for_bit():
    state = Precision.gram(PRIOR, rows(8)).with_rows(rows(3, seed=1))
    again = Precision.from_factor(np.ascontiguousarray(state.factor))
    assert again.factor.tobytes() == state.factor.tobytes()
    check(again, state.precision)


def test_spread_noise_has_the_covariance():
    state = Precision.gram(PRIOR, rows(8))
    root = state.spread(np.eye(D))
    np.testing.assert_allclose(root.T @ root, state.covariance, atol=1e-13)
