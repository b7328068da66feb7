import itertools

import numpy as np
import pytest

from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.rows import Rows, feature_rows


def naive(E, k, centres=()):
    """Greedy k-centre with all distances in float64; ties to the lowest row."""
    picks, radii = [], []
    for _ in range(k):
        against = [*centres, *E[picks]]
        reach = np.min([np.sqrt(((E - c) ** 2).sum(1)) for c in against], axis=0) if against else np.sqrt((E**2).sum(1))
        reach[picks] = -1
        picks.append(int(reach.argmax()))
        radii.append(reach.max())
    return picks, radii


def test_guessed_columns_change_nothing():
    X = np.random.default_rng(0).standard_normal((1000, 20))
    picks, radii = k_center(feature_rows(X)[0], 100)
    expected, expected_radii = naive(X, 100)
    assert picks.tolist() == expected
    assert np.allclose(radii, expected_radii)


def test_most_picks_are_guessed(monkeypatch):
    products = []
    whole = Rows.inner_with
    monkeypatch.setattr(Rows, "inner_with", lambda self, *rest: products.append(1) or whole(self, *rest))
    k_center(feature_rows(np.random.default_rng(0).standard_normal((1000, 20)))[0], 100)
    assert len(products) <= 25


@pytest.mark.parametrize("seed", range(10))
def test_covers_within_twice_the_best_radius(seed):
    X = np.random.default_rng(seed).standard_normal((9, 2))
    distance = np.sqrt(((X[:, None] - X[None]) ** 2).sum(-1))
    picks, _ = k_center(feature_rows(X)[0], 3)
    best = min(distance[:, list(c)].min(1).max() for c in itertools.combinations(range(9), 3))
    assert distance[:, picks].min(1).max() <= 2 * best + 1e-12


def test_rows_that_are_all_equal_are_picked_in_order():
    picks, radii = k_center(feature_rows(np.full((50, 3), 0.1, np.float32))[0], 50)
    assert picks.tolist() == list(range(50))
    assert (radii[1:] == 0).all()


def test_a_centre_that_is_no_row_counts_from_the_start():
    # From 0: 5 is farthest, then -4 (4 from 0), then 3 (2 from 5); 0 itself and the copy of 5 coincide with centres
    # and come last, by norm.
    X = np.array([[3.0], [0.0], [5.0], [-4.0], [5.0]])
    (rows,) = feature_rows(X)
    picks, radii = k_center(rows, 5, start_N=rows.sq_norms)
    assert picks.tolist() == [2, 3, 0, 4, 1]
    assert radii.tolist() == [5, 4, 2, 0, 0]
