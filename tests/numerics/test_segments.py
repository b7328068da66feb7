from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics.segments import aggregated, runs, segment_log_sums, segment_means, segment_mixtures, segment_sums

SIZES = np.array([1, 4, 2, 7])
STARTS = np.cumsum(SIZES) - SIZES
X = np.random.default_rng(0).standard_normal((SIZES.sum(), 3))


def pieces(values):
    return np.split(values, STARTS[1:])


def test_sums_and_log_sums_against_a_loop():
    assert np.allclose(segment_sums(X, STARTS), [p.sum(axis=0) for p in pieces(X)], rtol=1e-14)
    assert np.allclose(segment_log_sums(X, STARTS), [np.log(np.exp(p).sum(axis=0)) for p in pieces(X)], rtol=1e-14)
    assert np.array_equal(segment_log_sums(X, np.arange(len(X))), X)


def test_log_sums_neither_underflow_nor_turn_into_nan():
    logs = np.array([[-1000.0, -np.inf], [-1001.0, -np.inf], [-np.inf, 0.0]])
    found = segment_log_sums(logs, np.array([0, 2]))
    assert found[0, 0] == pytest.approx(-1000 + np.log1p(np.exp(-1)))
    assert found[0, 1] == found[1, 0] == -np.inf
    assert found[1, 1] == 0


@pytest.mark.parametrize("logs", [False, True])
def test_means_of_a_long_segment_taken_in_parts(logs):
    seen = []

    def function(rows):
        seen.append(len(rows))
        return rows[:, :2] - 700

    whole = segment_means(function, X, np.array([0]), logs=logs, most=100)
    parts = segment_means(function, X, np.array([0]), logs=logs, most=5)
    assert seen == [14, 5, 5, 4]
    expected = np.log(np.exp(X[:, :2]).mean(axis=0)) - 700 if logs else X[:, :2].mean(axis=0) - 700
    assert np.allclose(whole, expected[None], rtol=1e-14)
    assert np.allclose(parts, whole, rtol=1e-14)


def test_means_of_draws_keep_their_axes():
    log_probs_RSC = np.log(np.random.default_rng(1).dirichlet(np.ones(3), (len(X), 2)))
    found = segment_means(lambda rows: log_probs_RSC, X, STARTS, logs=True, most=2)
    assert np.allclose(np.exp(found), [p.mean(axis=0) for p in pieces(np.exp(log_probs_RSC))], rtol=1e-13)
    assert np.allclose(np.exp(found).sum(axis=2), 1)


@given(st.lists(st.integers(1, 9), max_size=20), st.integers(1, 12))
def test_runs_cover_the_segments_and_hold_no_more_than_they_may(sizes, most):
    found = runs(np.array(sizes, np.int64), most)
    assert [i for a, b in found for i in range(a, b)] == list(range(len(sizes)))
    assert all(b - a == 1 or sum(sizes[a:b]) <= most for a, b in found)
    assert all(sum(sizes[a:c]) > most for (a, _), (_, c) in itertools.pairwise(found)), (
        "no two neighbours would fit together"
    )


@pytest.mark.parametrize("how", ["mean", "max", "sum"])
def test_aggregates_against_a_loop_whatever_the_order(how):
    rng = np.random.default_rng(2)
    groups, scores = rng.integers(0, 9, 200) * 3, np.exp(20 * rng.standard_normal(200)) - 1
    found, values = aggregated(scores, groups, how)
    assert found.tolist() == sorted(set(groups.tolist()))
    assert np.allclose(values, [getattr(scores[groups == g], how)() for g in found], rtol=1e-13)
    for _ in range(5):
        order = rng.permutation(200)
        assert aggregated(scores[order], groups[order], how)[1].tobytes() == values.tobytes()
    assert aggregated(scores, np.arange(200), how)[1].tobytes() == scores.tobytes()


def test_a_mixture_has_the_variance_of_its_parts_and_of_their_means():
    mean_R, variance_R = np.array([1.0, 3.0, 5.0, 1e9, 1e9 + 2e-3]), np.array([0.5, 0.5, 2.0, 1e-6, 3e-6])
    mean_B, variance_B = segment_mixtures(mean_R, variance_R, np.array([0, 2, 3]))
    assert mean_B == pytest.approx([2.0, 5.0, 1e9 + 1e-3], rel=1e-15)
    # A large offset of all means costs no digits of the variance but those of the means themselves.
    assert variance_B == pytest.approx([0.5 + 1.0, 2.0, 2e-6 + 1e-6], rel=1e-3)


def test_a_mixture_against_the_second_moment(rng):
    mean_R, variance_R, starts_B = rng.normal(size=20), rng.random(20), np.array([0, 1, 7, 15])
    mean_B, variance_B = segment_mixtures(mean_R, variance_R, starts_B)
    for i, rows in enumerate(np.split(np.arange(20), starts_B[1:])):
        second = (variance_R[rows] + mean_R[rows] ** 2).mean()
        assert variance_B[i] == pytest.approx(second - mean_B[i] ** 2)
