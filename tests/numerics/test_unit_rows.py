import numpy as np
import pytest

from alcli.numerics.rows import unit_rows


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
def test_lengths_are_one_and_directions_stay(dtype, scale):
    X = (np.random.default_rng(0).standard_normal((3000, 7)) * scale).astype(dtype)
    U = unit_rows(X)
    assert U.dtype == dtype
    assert np.allclose(np.linalg.norm(U.astype(np.float64), axis=1), 1.0, rtol=1e-6)
    assert np.allclose(U * np.linalg.norm(X.astype(np.float64), axis=1, keepdims=True), X, rtol=1e-5, atol=0)


def test_zeros_stay_zeros():
    assert unit_rows(np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [[0.0, 0.0], [0.6, 0.8]]


def test_rows_of_length_one_are_not_copied():
    X = unit_rows(np.random.default_rng(0).standard_normal((50, 20)).astype(np.float32))
    assert unit_rows(X) is X


def test_rows_that_were_given_are_not_changed():
    X = np.full((3, 2), 2.0, np.float32)
    X.setflags(write=False)
    unit_rows(X)
    assert (X == 2.0).all()
