import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics.blocks import thread_limit
from alcli.numerics.diversity.maxdet import max_det, pivoted_cholesky
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows, feature_rows


def greedy(L, k):
    """Add the row that makes the log-determinant largest, all determinants anew."""
    picks, gains = [], []
    for _ in range(k):
        dets = [
            -np.inf if i in picks else np.linalg.slogdet(L[np.ix_([*picks, i], [*picks, i])])[1] for i in range(len(L))
        ]
        before = np.linalg.slogdet(L[np.ix_(picks, picks)])[1] if picks else 0.0
        picks.append(int(np.argmax(dets)))
        gains.append(max(dets) - before)
    return picks, gains


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 25), st.integers(1, 8), st.integers(0, 99))
def test_equals_the_greedy_search_over_determinants(n, k, seed):
    X = np.random.default_rng(seed).standard_normal((n, 12))
    k = min(n, k)
    picks, distances = max_det(feature_rows(X)[0], k)
    expected, gains = greedy(X @ X.T, k)
    assert picks.tolist() == expected
    assert np.allclose(2 * np.log(distances), gains)


def test_distances_are_those_to_the_span_of_the_earlier_picks():
    X = np.random.default_rng(0).standard_normal((300, 60))
    picks, distances = max_det(feature_rows(X)[0], 60)
    for t in range(60):
        Q = np.linalg.qr(X[picks[:t]].T)[0] if t else np.zeros((60, 1))
        left = X - X @ Q @ Q.T
        assert np.isclose(distances[t], np.linalg.norm(left[picks[t]]))
        assert distances[t] >= np.linalg.norm(left, axis=1).max() * (1 - 1e-9)


def test_the_factor_restores_the_gram_matrix_of_rows_of_small_rank():
    rng = np.random.default_rng(1)
    A, B = rng.standard_normal((80, 3)), rng.standard_normal((80, 2))
    pivots = pivoted_cholesky(Rows(Factor(A), Factor(B, offset=1.0)), 40)
    assert len(pivots.picks_R) == 9
    assert np.allclose(pivots.F_NR @ pivots.F_NR.T, (A @ A.T) * (B @ B.T + 1))


def test_rows_in_the_span_come_by_norm_then_in_order():
    X = np.array([[1, 0], [3, 0], [0, 2], [2, 0], [3, 0], [0, 0], [2, 0]], np.float32)
    picks, distances = max_det(feature_rows(X)[0], 7)
    assert picks.tolist() == [1, 2, 4, 3, 6, 0, 5]
    assert distances.tolist() == [3, 2, 0, 0, 0, 0, 0]


@pytest.mark.parametrize("scale", [1e-30, 1e-5, 1e30])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scale_does_not_matter(scale, dtype):
    X = np.random.default_rng(2).standard_normal((50, 6)).astype(dtype)
    one, distances = max_det(feature_rows(X)[0], 6)
    other, scaled = max_det(feature_rows(X * dtype(scale))[0], 6)
    assert one.tolist() == other.tolist()
    assert np.allclose(scaled / scale, distances, rtol=1e-4)


def test_float32_picks_as_float64_does():
    X = np.random.default_rng(3).standard_normal((3000, 80)).astype(np.float32)
    assert max_det(feature_rows(X)[0], 40)[0].tolist() == max_det(feature_rows(X.astype(np.float64))[0], 40)[0].tolist()


def test_threads_do_not_matter():
    rows = feature_rows(np.random.default_rng(4).standard_normal((5000, 40)).astype(np.float32))[0]
    answers = set()
    for threads in (1, 2):
        with thread_limit(threads):
            answers.add(max_det(rows, 60)[1].tobytes())
    assert len(answers) == 1


def test_the_first_pair_is_within_the_greedy_bound_of_the_best():
    """Greedy is no optimum, yet its volume is at least 1/k! of the largest (Civril & Magdon-Ismail 2009)."""
    X = np.random.default_rng(5).standard_normal((10, 5))
    volume = lambda picks: np.sqrt(np.linalg.det(X[list(picks)] @ X[list(picks)].T))  # noqa: E731
    picks, _ = max_det(feature_rows(X)[0], 3)
    assert volume(picks) >= max(map(volume, itertools.combinations(range(10), 3))) / 6
