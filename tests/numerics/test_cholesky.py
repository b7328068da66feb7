import numpy as np
import pytest

from alcli.errors import DataError
from alcli.numerics import cholesky


@pytest.fixture
def matrix():
    X = np.random.default_rng(0).normal(size=(9, 6))
    return X.T @ X + np.eye(6)


def lower(A):
    """The lower triangle alone, with nonsense above: nothing may read it."""
    return np.asfortranarray(np.tril(A) + np.triu(np.full_like(A, 1e300), 1))


def test_factor_inverse_and_solves_equal_dense_algebra(matrix):
    L = cholesky.factor(lower(matrix), "A")
    np.testing.assert_allclose(L @ L.T, matrix, atol=1e-13)
    assert not np.triu(L, 1).any()
    np.testing.assert_allclose(cholesky.symmetric(cholesky.inverse(L)), np.linalg.inv(matrix), atol=1e-13)
    np.testing.assert_allclose(L @ cholesky.solve_factor(L, matrix), matrix, atol=1e-12)


def test_products_and_sums_read_the_lower_triangle_alone(matrix):
    X, A = np.random.default_rng(1).normal(size=(3, 6)), lower(matrix)
    np.testing.assert_allclose(cholesky.multiply(A, X), X @ matrix, atol=1e-12)
    np.testing.assert_allclose(cholesky.multiply_vector(A, X[0]), matrix @ X[0], atol=1e-12)
    np.testing.assert_allclose(cholesky.symmetric(cholesky.add_gram(A, X, -0.5)), matrix - 0.5 * X.T @ X, atol=1e-12)
    B = np.ones((2, 6))
    cholesky.add_product(B, np.array([1.0, -1.0]), X[0], 2.0)
    np.testing.assert_allclose(B, 1 + 2 * np.outer([1, -1], X[0]))


def test_nothing_to_add_gives_a_copy_and_inputs_stay(matrix, capfd):
    A = lower(matrix)
    before = A.copy()
    for X in (np.empty((0, 6)), np.ones((2, 6))):
        cholesky.add_gram(A, X, 1.0)[0, 0] = 7.0
        assert cholesky.multiply(A, X).shape == X.shape
    cholesky.factor(A, "A")
    np.testing.assert_array_equal(A, before)
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("bad", [np.diag([1.0, -1.0]), np.diag([1.0, 0.0]), np.array([[np.nan, 0], [0, 1.0]])])
def test_what_has_no_factor_is_a_data_error_with_its_name(bad):
    with pytest.raises(DataError, match="the thing is not positive definite"):
        cholesky.factor(bad, "the thing")
