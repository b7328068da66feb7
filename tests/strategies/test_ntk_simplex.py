import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import minimize

from alcli.numerics.tangent.acquisitions import project

ROWS = hnp.arrays(np.float64, st.tuples(st.integers(1, 5), st.integers(1, 6)), elements=st.floats(-50, 50))


def test_by_hand():
    given_rows = np.array([[0.2, 0.3, 0.5], [1.0, 1.0, 0.0], [3.0, 0.0, 0.0], [0.5, 0.3, -0.4]])
    assert project(given_rows) == pytest.approx(
        np.array([[0.2, 0.3, 0.5], [0.5, 0.5, 0.0], [1.0, 0.0, 0.0], [0.6, 0.4, 0.0]]), abs=1e-15
    )


@given(ROWS, st.floats(-1e3, 1e3))
def test_probabilities_in_the_order_of_the_values_whatever_is_added_to_all(values, shift):
    p = project(values)
    assert (p >= 0).all()
    assert p.sum(axis=1) == pytest.approx(1, abs=1e-12)
    assert (np.diff(np.take_along_axis(p, values.argsort(axis=1), axis=1), axis=1) >= 0).all()
    assert project(values + shift) == pytest.approx(p, abs=1e-11)
    assert project(p) == pytest.approx(p, abs=1e-14)


@pytest.mark.parametrize("seed", range(5))
def test_no_other_probabilities_are_nearer(seed):
    v = np.random.default_rng(seed).standard_normal(4)
    found = minimize(
        lambda p: ((p - v) ** 2).sum(),
        np.full(4, 0.25),
        bounds=[(0, 1)] * 4,
        constraints={"type": "eq", "fun": lambda p: p.sum() - 1},
        tol=1e-12,
    )
    assert project(v[None])[0] == pytest.approx(found.x, abs=1e-6)


def test_axes_before_the_last_are_rows():
    v = np.random.default_rng(0).standard_normal((3, 4, 5))
    assert np.array_equal(project(v), project(v.reshape(12, 5)).reshape(3, 4, 5))
