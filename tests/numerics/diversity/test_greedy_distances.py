"""What greedy choices by distances share: any rows known by their inner products, ties to the lowest row."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.diversity.lcmd import lcmd
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows, feature_rows
from tests.numerics.diversity import test_kcenter, test_lcmd

ALGORITHMS = pytest.mark.parametrize(
    ("algorithm", "naive"), [(k_center, test_kcenter.naive), (lcmd, test_lcmd.naive)], ids=["k_center", "lcmd"]
)


@ALGORITHMS
@settings(max_examples=40, deadline=None)
@given(n=st.integers(1, 60), D=st.integers(1, 4), n_centres=st.integers(0, 5), seed=st.integers(0, 99))
def test_equals_the_naive_algorithm_on_a_grid_full_of_ties(algorithm, naive, n, D, n_centres, seed):
    rng = np.random.default_rng(seed)
    X = rng.integers(-3, 4, (n, D)).astype(np.float32)
    C = rng.integers(-3, 4, (n_centres, D)).astype(np.float32)
    rows, centres = feature_rows(X, C)
    picks, distances = algorithm(rows, n, centres)
    expected, expected_distances = naive(X.astype(np.float64), n, C.astype(np.float64))
    assert picks.tolist() == expected
    assert np.allclose(distances, expected_distances)


@ALGORITHMS
def test_works_on_a_product_of_factors(algorithm, naive):
    rng = np.random.default_rng(1)
    A, H = rng.standard_normal((80, 3)), rng.standard_normal((80, 4))
    E = np.einsum("na,nd->nad", A, np.hstack([H, np.ones((80, 1))])).reshape(80, -1)
    assert algorithm(Rows(Factor(A), Factor(H, offset=1.0)), 30)[0].tolist() == naive(E, 30)[0]
