import numpy as np
import pytest

from alcli.numerics.diversity.kmeanspp import draw, greedy_k_means_pp, k_means_pp
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows, feature_rows


def test_draw_inverts_the_distribution_function():
    weights = np.array([0.0, 1.0, 0.0, 3.0, 0.0])
    assert draw(weights, np.array([0.0, 0.2499, 0.25, 0.9999, 1 - 1e-17, 1.0])).tolist() == [1, 1, 3, 3, 3, 3]


def law(X, first):
    """P(second, third) of D^2 sampling by enumeration."""
    sq = ((X[:, None] - X[None]) ** 2).sum(-1)
    n = len(X)
    joint = np.zeros((n, n))
    for i in range(n):
        second = sq[first, i] / sq[first].sum()
        nearest = np.minimum(sq[first], sq[i])
        joint[i] = second * nearest / nearest.sum() if nearest.sum() else 0
    return joint


def test_the_law_of_the_picks_is_that_of_d2_sampling():
    X = np.array([[0.0], [1.0], [1.2], [3.0], [3.1]])
    rows, counts, runs = feature_rows(X)[0], np.zeros((5, 5)), 3000
    rng = np.random.default_rng(0)
    for _ in range(runs):
        picks, _ = k_means_pp(rows, 3, 0, rng)
        counts[picks[1], picks[2]] += 1
    expected = law(X, 0) * runs
    cells = expected > 5
    assert counts[expected == 0].sum() == 0
    # 12 cells or fewer: the 0.999 quantile of chi-square with 11 degrees of freedom is 31.3.
    assert cells.sum() <= 12
    assert ((counts - expected)[cells] ** 2 / expected[cells]).sum() < 31.3


def test_from_zero_the_picks_are_those_that_follow_a_first_pick_of_zero():
    """The second pick by enumeration: its chance goes with the square of its distance to 0 or to the first pick."""
    X = np.array([[4.0], [0.5], [-3.0], [0.0], [4.5]])
    chances = np.minimum(X[:, 0] ** 2, (X[:, 0] - 4.0) ** 2)
    rows, counts, runs, rng = feature_rows(X)[0], np.zeros(5), 2000, np.random.default_rng(0)
    for _ in range(runs):
        picks, distances = k_means_pp(rows, 2, 0, rng, from_zero=True)
        assert np.isclose(distances[1] ** 2, chances[picks[1]])
        counts[picks[1]] += 1
    expected = runs * chances / chances.sum()
    assert counts[[0, 3]].tolist() == [0, 0]
    likely = [1, 2, 4]
    assert ((counts - expected)[likely] ** 2 / expected[likely]).sum() < 13.8  # chi-square, 2 degrees of freedom, 0.999


@pytest.mark.parametrize("seed", range(5))
def test_distances_are_those_to_the_earlier_picks(seed):
    X = np.random.default_rng(seed).standard_normal((150, 6))
    picks, distances = k_means_pp(feature_rows(X)[0], 40, 11, np.random.default_rng(seed))
    assert picks[0] == 11
    assert len(set(picks.tolist())) == 40
    assert np.isclose(distances[0], np.linalg.norm(X[11]))
    for t in range(1, 40):
        assert np.isclose(distances[t], np.sqrt(((X[picks[:t]] - X[picks[t]]) ** 2).sum(1)).min())


@pytest.mark.parametrize("seed", range(5))
def test_factored_and_materialised_rows_give_the_same_picks(seed):
    rng = np.random.default_rng(seed)
    A, H = rng.standard_normal((200, 3)), rng.standard_normal((200, 4))
    E = np.einsum("na,nd->nad", A, np.hstack([H, np.ones((200, 1))])).reshape(200, -1)
    one, _ = k_means_pp(Rows(Factor(A), Factor(H, offset=1.0)), 60, 0, np.random.default_rng(seed))
    other, _ = k_means_pp(Rows(Factor(E)), 60, 0, np.random.default_rng(seed))
    assert one.tolist() == other.tolist()


def test_every_distinct_row_comes_before_any_copy():
    X = np.repeat(np.random.default_rng(0).standard_normal((10, 8)).astype(np.float32) + 50, 4, axis=0)
    picks, distances = k_means_pp(feature_rows(X)[0], 40, 0, np.random.default_rng(1))
    assert sorted(picks[:10] // 4) == list(range(10))
    assert sorted(picks.tolist()) == list(range(40))
    assert (distances[10:] == 0).all()


def test_rows_that_are_all_equal_are_drawn_with_equal_chance():
    rows, counts = feature_rows(np.ones((5, 2), np.float32))[0], np.zeros(5)
    rng = np.random.default_rng(0)
    for _ in range(1000):
        counts[k_means_pp(rows, 2, 0, rng)[0][1]] += 1
    assert counts[0] == 0
    assert ((counts[1:] - 250) ** 2 / 250).sum() < 16.3  # chi-square, 3 degrees of freedom, 0.999


@pytest.mark.parametrize("seed", range(5))
def test_a_greedy_pick_is_the_draw_that_leaves_the_smallest_sum(seed):
    X, k = np.random.default_rng(seed).standard_normal((150, 6)), 12
    picks = greedy_k_means_pp(feature_rows(X)[0], k, np.random.default_rng(seed))
    rng, sq = np.random.default_rng(seed), ((X[:, None] - X[None]) ** 2).sum(-1)
    assert picks[0] == rng.integers(150)
    for t in range(1, k):
        nearest = sq[picks[:t]].min(axis=0)
        drawn = draw(nearest, rng.random(4))  # 2 + the whole part of ln 12
        sums = [np.minimum(nearest, sq[i]).sum() for i in drawn]
        assert picks[t] == drawn[int(np.argmin(sums))]


def test_greedy_picks_are_distinct_also_among_copies():
    X = np.repeat(np.eye(3), 4, axis=0)
    for k in (1, 3, 5, 12):
        picks = greedy_k_means_pp(feature_rows(X)[0], k, np.random.default_rng(0))
        assert len(set(picks.tolist())) == k
        assert len(np.unique(X[picks], axis=0)) == min(k, 3)
