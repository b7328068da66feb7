import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.diversity.kcenter import CentreDistances, centre_distances


def naive(X, centres):
    X, centres = X.astype(np.float64), np.asarray(centres, np.float64)
    against = centres[:, None] if len(centres) else np.zeros((1, 1, X.shape[1]))
    return np.sqrt(((X - against) ** 2).sum(-1)).min(0)


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 60), st.integers(1, 4), st.integers(0, 40), st.integers(0, 99))
def test_on_a_grid_each_centre_lowers_them_exactly(n, D, n_centres, seed):
    rng = np.random.default_rng(seed)
    X, centres = (rng.integers(-3, 4, (m, D)).astype(np.float32) for m in (n, n_centres))
    distances, known = CentreDistances(X, centres), list(centres)
    for i in rng.integers(n, size=3):
        assert np.array_equal(distances.of(slice(None)), naive(X, np.reshape(known, (-1, D))))
        distances.add_row(int(i))
        known.append(X[i])
        stranger = rng.integers(-9, 9, D).astype(np.float32)
        distances.add(stranger)
        known.append(stranger)
    assert np.array_equal(distances.of(np.arange(n)[::2]), naive(X, known)[::2])


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_kept_and_fresh_ones_differ_by_less_than_the_error(dtype, scale):
    rng = np.random.default_rng(0)
    X = (rng.standard_normal((3000, 50)) * scale).astype(dtype)
    distances = CentreDistances(X, X[:40])
    for i in range(40, 60):
        distances.add_row(i)
    kept, fresh = distances.of(slice(None)), centre_distances(X, X[:60])
    assert (kept[:60] == 0).all()
    assert (fresh[:60] == 0).all()
    for distance in fresh[60:1000]:
        assert 0 < distances.error(float(distance)) < 1e-3 * scale
    assert (np.abs(kept - fresh)[60:] < [distances.error(float(d)) for d in fresh[60:]]).all()
    np.testing.assert_allclose(fresh[60:] / scale, naive(X / scale, X[:60] / scale)[60:], rtol=1e-4)


def test_copies_of_a_centre_are_at_zero():
    X = np.repeat(np.random.default_rng(0).standard_normal((10, 30)).astype(np.float32), 5, axis=0)
    distances = CentreDistances(X, X[:0])
    distances.add_row(7)
    assert np.array_equal(np.flatnonzero(distances.of(slice(None)) == 0), np.arange(5, 10))
