"""Means and deviations of columns, gathered in blocks, against sums in exact arithmetic."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics.standardization import ColumnMoments, Standardization


def gathered(X_ND, *cuts):
    moments = ColumnMoments()
    for block in np.split(np.asarray(X_ND), cuts):
        moments.add(block)
    assert moments.n == len(X_ND)
    return moments.standardization()


def exact(values):
    """(mean, deviation) of one column in fractions, rounded once."""
    numbers = [Fraction(float(v)) for v in values]
    mean = sum(numbers) / len(numbers)
    return float(mean), float(sum((x - mean) ** 2 for x in numbers) / len(numbers)) ** 0.5


@given(
    values=st.lists(st.floats(-1e3, 1e3, width=32), min_size=2, max_size=40),
    shift=st.sampled_from([0.0, 1e9, -1e12]),
    cuts=st.lists(st.integers(0, 40), max_size=3),
)
def test_moments_are_those_of_exact_arithmetic_however_far_from_zero(values, shift, cuts):
    column = np.array(values) + shift
    found = gathered(column[:, None], *sorted(cuts))
    mean, deviation = exact(column)
    assert found.mean_D[0] == pytest.approx(mean, rel=1e-14, abs=1e-12)
    if deviation > 2e-12 * abs(mean):
        assert found.scale_D[0] == pytest.approx(deviation, rel=1e-9)


def test_by_hand():
    found = gathered([[1.0, 7.0], [3.0, 7.0], [5.0, 7.0]], 1)
    np.testing.assert_allclose(found.mean_D, [3, 7])
    np.testing.assert_allclose(found.scale_D, [np.sqrt(8 / 3), 0])
    np.testing.assert_allclose(found.apply(np.array([[3.0, 7.0], [5.0, 9.0]], np.float32)), [[0, 0], [1.5**0.5, 0]])


@pytest.mark.parametrize("value", [0.1, 1e300, -3.7e-200, 0.0, 1 / 3])
def test_a_column_of_equal_numbers_becomes_zero_and_not_noise(value):
    X_ND = np.full((1000, 1), value)
    found = gathered(X_ND, 300, 301)
    assert found.scale_D[0] == 0
    assert not found.apply(X_ND).any()


def test_a_column_that_is_equal_but_for_rounding_counts_as_equal():
    assert gathered([[0.3], [0.1 + 0.2], [0.3]]).scale_D[0] == 0
    nearly = np.array([[1.0], [np.nextafter(np.float32(1), np.float32(2))]], np.float32)
    np.testing.assert_allclose(gathered(nearly).apply(nearly), [[-1], [1]])


def test_values_too_large_for_their_squares_have_no_finite_deviation():
    assert not np.isfinite(gathered([[1e200, 1.0], [-1e200, 2.0]]).scale_D[0])


def test_the_digest_is_of_all_numbers():
    one = Standardization(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    same = Standardization(np.array([0.0, 1.0]), np.array([1.0, 2.0]))
    other = Standardization(np.array([0.0, 1.0]), np.array([1.0, np.nextafter(2.0, 3.0)]))
    assert one.digest == same.digest != other.digest
    assert len(one.digest) == 16
