import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.errors import DataError
from alcli.numerics.diversity import kdpp
from alcli.numerics.diversity.kdpp import choose_eigenvectors, k_dpp, log_elementary_symmetric
from alcli.numerics.factors import Factor
from alcli.numerics.gradients.softmax_jacobian import SoftmaxJacobian
from alcli.numerics.rows import Rows, feature_rows


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(1e-6, 1e6), min_size=1, max_size=7), st.integers(1, 8))
def test_elementary_symmetric_polynomials_equal_sums_over_subsets(values, k):
    sums = log_elementary_symmetric(np.log(values), k)
    for degree in range(k + 1):
        expected = sum(np.prod(c) for c in itertools.combinations(values, degree))
        assert np.isclose(np.exp(sums[-1, degree]), expected)


def test_elementary_symmetric_polynomials_do_not_overflow():
    sums = log_elementary_symmetric(np.full(2000, np.log(1e30)), 500)
    assert np.isfinite(sums[-1]).all()


def law(L, k):
    """Probability of every set of k rows: proportional to the determinant."""
    sets = list(itertools.combinations(range(len(L)), k))
    dets = np.array([max(np.linalg.det(L[np.ix_(s, s)]), 0.0) for s in sets])
    return sets, dets / dets.sum()


def follows(law_, counts, runs):
    """Chi-square over the sets that are expected at least 5 times, at the 0.999 quantile (Wilson & Hilferty's
    approximation).
    """
    sets, probabilities = law_
    expected = probabilities * runs
    found = np.array([counts.get(s, 0) for s in sets])
    assert sum(counts.values()) == runs
    assert found[expected < 1e-9].sum() == 0
    cells = expected > 5
    freedom = cells.sum() - 1
    limit = freedom * (1 - 2 / (9 * freedom) + 3.09 * np.sqrt(2 / (9 * freedom))) ** 3
    return ((found - expected)[cells] ** 2 / expected[cells]).sum() < limit


@pytest.mark.parametrize(("n", "D", "k"), [(6, 9, 3), (7, 3, 2), (7, 3, 3), (5, 5, 1)])
def test_sets_are_drawn_with_probability_proportional_to_their_determinant(n, D, k):
    """Primal form where there are fewer rows than columns, else dual."""
    X = np.random.default_rng(n).standard_normal((n, D))
    rows, counts, rng = feature_rows(X)[0], {}, np.random.default_rng(0)
    for _ in range(3000):
        picks, _, rank = k_dpp(rows, k, rng)
        assert rank == min(n, D)
        key = tuple(sorted(picks.tolist()))
        counts[key] = counts.get(key, 0) + 1
    assert follows(law(X @ X.T, k), counts, 3000)


def test_one_row_is_drawn_by_its_squared_norm():
    X = np.diag([1.0, 2.0, 3.0, 0.0]) @ np.random.default_rng(0).standard_normal((4, 6))
    share = (X**2).sum(1) / (X**2).sum()
    counts, rng = np.zeros(4), np.random.default_rng(1)
    for _ in range(2000):
        counts[k_dpp(feature_rows(X)[0], 1, rng)[0]] += 1
    assert counts[3] == 0
    assert (
        ((counts - 2000 * share)[:3]) ** 2 / (2000 * share[:3])
    ).sum() < 13.8  # chi-square, 2 degrees of freedom, 0.999


def test_products_of_factors_follow_the_law_of_their_gram_matrix():
    rng = np.random.default_rng(3)
    A, H = rng.standard_normal((7, 2)), rng.standard_normal((7, 1))
    rows, counts = Rows(Factor(A), Factor(H, offset=1.0)), {}
    for _ in range(3000):
        key = tuple(sorted(k_dpp(rows, 3, rng)[0].tolist()))
        counts[key] = counts.get(key, 0) + 1
    assert follows(law((A @ A.T) * (H @ H.T + 1), 3), counts, 3000)


def test_probabilities_are_those_of_the_draws_given_the_eigenvectors():
    """Of a projection on all of a square matrix's eigenvectors every row is certain: 1/n, 1/(n-1), ..."""
    rows = feature_rows(np.random.default_rng(0).standard_normal((8, 8)))[0]
    _, probabilities, _ = k_dpp(rows, 8, np.random.default_rng(0))
    assert np.allclose(probabilities, 1 / np.arange(8, 0, -1))


def test_beyond_the_rank_any_free_row_follows():
    X = np.repeat(np.random.default_rng(0).standard_normal((3, 10)), 5, axis=0)
    picks, probabilities, rank = k_dpp(feature_rows(X)[0], 15, np.random.default_rng(0))
    assert rank == 3
    assert sorted(picks[:3] // 5) == [0, 1, 2]
    assert sorted(picks) == list(range(15))
    assert np.allclose(probabilities[3:], 1 / np.arange(12, 0, -1))


def test_rows_that_are_all_zero_are_drawn_with_equal_chance():
    picks, _, rank = k_dpp(feature_rows(np.zeros((9, 4)))[0], 4, np.random.default_rng(0))
    assert rank == 0
    assert len(set(picks.tolist())) == 4


def test_k_of_k_eigenvectors_are_all_chosen():
    assert choose_eigenvectors(np.array([1e-300, 1.0, 1e300]), 3, np.random.default_rng(0)).all()


@pytest.mark.parametrize("scale", [1e-30, 1e30])
def test_scale_does_not_matter(scale):
    X = np.random.default_rng(5).standard_normal((60, 8)).astype(np.float32)
    one = k_dpp(feature_rows(X)[0], 8, np.random.default_rng(1))[0]
    assert (
        one.tolist()
        == k_dpp(feature_rows(X * np.float32(2.0 ** round(np.log2(scale))))[0], 8, np.random.default_rng(1))[0].tolist()
    )


def test_what_is_out_of_reach_is_refused_with_a_way_out(monkeypatch):
    monkeypatch.setattr(kdpp, "MOST", 50)
    X = np.random.default_rng(0).standard_normal((51, 60))
    with pytest.raises(DataError, match=r"51 rows is out of reach.*50.*--candidates 50"):
        k_dpp(feature_rows(X)[0], 5, np.random.default_rng(0))
    with pytest.raises(DataError, match="out of reach"):
        k_dpp(Rows(SoftmaxJacobian(np.log(np.full((51, 3), 1 / 3)))), 5, np.random.default_rng(0))
    assert len(k_dpp(feature_rows(X[:50])[0], 5, np.random.default_rng(0))[0]) == 5
    assert len(k_dpp(feature_rows(X[:, :50])[0], 5, np.random.default_rng(0))[0]) == 5
