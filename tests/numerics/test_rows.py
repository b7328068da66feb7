import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.blocks import BLOCK_ROWS, thread_limit, workers
from alcli.numerics.factors import Factor, safe_exponent
from alcli.numerics.rows import Rows, feature_rows, sq_distances


def materialised(*factors):
    """Rows of the product embedding written out: the Kronecker product of [F_i; sqrt(offset)], float64."""
    out = np.ones((len(factors[0][0]), 1))
    for F, offset in factors:
        F = np.hstack([F, np.full((len(F), 1), np.sqrt(offset))]).astype(np.float64)
        out = np.einsum("na,nb->nab", out, F).reshape(len(F), -1)
    return out


@settings(max_examples=30, deadline=None)
@given(
    st.integers(1, 40),
    st.lists(st.tuples(st.integers(1, 6), st.sampled_from([0.0, 1.0, 2.5])), min_size=1, max_size=3),
    st.integers(0, 9),
)
def test_inner_products_and_norms_are_those_of_the_materialised_embedding(n, shapes, seed):
    rng = np.random.default_rng(seed)
    factors = [(rng.standard_normal((n, d)), offset) for d, offset in shapes]
    E = materialised(*factors)
    rows = Rows(*(Factor(F, offset) for F, offset in factors))
    with workers() as spread:
        assert np.allclose(rows.inner_with(rows, np.arange(n), spread), E @ E.T)
        assert np.allclose(rows.inner(n - 1, spread), E @ E[n - 1])
    assert np.allclose(rows.sq_norms, (E**2).sum(1))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("width", [1, 15, 16, 32])
@pytest.mark.parametrize("D", [1, 7, 100])
def test_equal_rows_get_equal_bits_wherever_they_stand(dtype, width, D):
    rng = np.random.default_rng(0)
    X = rng.standard_normal((2 * BLOCK_ROWS + 37, D)).astype(dtype)
    same = np.r_[0:50, BLOCK_ROWS - 3 : BLOCK_ROWS + 3, len(X) - 30 : len(X)]
    X[same] = X[0]
    (rows,) = feature_rows(X)
    with workers() as spread:
        inner = rows.inner_with(rows, np.arange(60, 60 + width), spread)
    assert (inner[same] == inner[0]).all()
    assert len(np.unique(rows.sq_norms[same])) == 1


@pytest.mark.parametrize("core", ["Haswell", "Nehalem", "Prescott"])
def test_equal_rows_are_equal_on_other_processors_too(core):
    """Haswell's kernel rounds by the place of a row in its block; OpenBLAS can be told to use it here."""
    code = """
import numpy as np
from alcli.numerics.blocks import workers
from alcli.numerics.rows import feature_rows
X = np.random.default_rng(0).standard_normal((5000, 64)).astype(np.float32)
X[1000:3000] = X[0]
rows, = feature_rows(X)
with workers() as spread:
    inner = rows.inner_with(rows, np.arange(4000, 4032), spread)
    again = rows.inner_with(rows, np.arange(4000, 4032), spread)
    assert (inner[1000:3000] == again[0]).all()
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, "OPENBLAS_CORETYPE": core}, check=True, timeout=60)


def test_a_row_does_not_depend_on_the_rows_behind_it_nor_on_threads():
    X = np.random.default_rng(1).standard_normal((3 * BLOCK_ROWS, 33)).astype(np.float32)
    answers = set()
    for n in (BLOCK_ROWS + 1, BLOCK_ROWS + 700, 2 * BLOCK_ROWS, 3 * BLOCK_ROWS):
        for threads in (1, 2):
            with thread_limit(threads), workers() as spread:
                (rows,) = feature_rows(X[:n])
                answers.add(rows.inner_with(rows, np.arange(32), spread)[: BLOCK_ROWS + 1].tobytes())
    assert len(answers) == 1


@pytest.mark.parametrize("scale", [1e-30, 1e-3, 1, 1e30])
def test_distances_survive_extreme_scales(scale):
    X = np.random.default_rng(2).standard_normal((40, 5)).astype(np.float32) * np.float32(scale)
    (rows,) = feature_rows(X)
    with workers() as spread:
        inner = rows.inner(3, spread)
    found = np.sqrt(sq_distances(rows.sq_norms, inner, rows.sq_norms[3], float(inner[3]))) * rows.scale
    assert np.allclose(found, np.sqrt(((X.astype(np.float64) - X[3].astype(np.float64)) ** 2).sum(1)), rtol=1e-4)


def test_duplicates_of_a_row_are_at_distance_zero_exactly():
    X = np.random.default_rng(3).standard_normal((200, 50)).astype(np.float32) + 1000
    X[100:] = X[:100]
    (rows,) = feature_rows(X)
    with workers() as spread:
        for i in range(100):
            inner = rows.inner(i, spread)
            distances = sq_distances(rows.sq_norms, inner, rows.sq_norms[i], float(inner[i]))
            assert distances[i] == distances[i + 100] == 0


def test_marks_tell_rows_apart_that_share_their_norm():
    X = np.array([[1, 2, 3], [3, 2, 1], [-1, -2, -3], [1, 2, 3], [1, 2, -3]], np.float32)
    assert len(np.unique(feature_rows(X)[0].marks)) == 4


def test_exponents_leave_ordinary_values_alone():
    assert (
        safe_exponent(np.array([[1000.0, -3.0]]))
        == safe_exponent(np.zeros((2, 2)))
        == safe_exponent(np.empty((0, 2)))
        == 0
    )
    for value in (-1e30, 1e30, 1e-30):
        assert 0.5 <= abs(value) / 2.0 ** safe_exponent(np.array([[value]])) < 1
    assert safe_exponent(np.array([[1e-30]]), floor=1.0) == 0


def test_feature_rows_share_one_scale():
    small, large = feature_rows(np.ones((2, 2)), np.full((2, 2), 1e30))
    assert small.scale == large.scale > 1e29
