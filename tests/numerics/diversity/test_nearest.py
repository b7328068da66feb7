"""The nearest centres of rows, against distances computed one by one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cdist

from alcli.numerics.diversity.nearest import nearest_centres


@pytest.mark.parametrize("L", [1, 7, 600, 1030])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e3])
def test_against_all_distances(rng, L, scale):
    X, C = (scale * rng.standard_normal((n, 6)).astype(np.float32) for n in (50, L))
    X[:5] = C[rng.integers(0, L, 5)]
    found, distance = nearest_centres(X, C)
    all_BL = cdist(X.astype(np.float64), C.astype(np.float64))
    np.testing.assert_array_equal(found, all_BL.argmin(axis=1))
    np.testing.assert_allclose(distance, all_BL.min(axis=1), rtol=1e-6, atol=0)
    assert (distance[:5] == 0).all()


def test_no_centre_no_row_and_equal_centres():
    X = np.ones((3, 2), np.float32)
    found, distance = nearest_centres(X, np.empty((0, 2), np.float32))
    assert (found == -1).all()
    assert np.isinf(distance).all()
    assert len(nearest_centres(X[:0], X)[0]) == 0
    found, distance = nearest_centres(X, np.repeat(X[:1], 700, axis=0))
    assert (found == 0).all()
    assert (distance == 0).all()
    assert nearest_centres(np.zeros((1, 2)), np.zeros((2, 2)))[1][0] == 0
