"""The bound holds whatever moves, is as small as a case by hand says, and grows with nothing but moves."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics.last_layer.probability_drift import FARTHEST, MOST_MOVES, ProbabilityDrift
from alcli.numerics.logistic import log_softmax, softmax

N, ALL = 40, np.arange(40)


def noted(logits_NC, dtype=np.float64):
    drift = ProbabilityDrift(*logits_NC.shape, dtype)
    drift.note(np.arange(len(logits_NC)), log_softmax(logits_NC).astype(dtype))
    return drift


@given(
    seed=st.integers(0, 10_000),
    C=st.integers(1, 9),
    moves=st.integers(1, 5),
    size=st.sampled_from([1e-6, 0.01, 0.3, 3.0, 40.0]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_no_row_moves_farther_than_the_bound(seed, C, moves, size, dtype):
    rng = np.random.default_rng(seed)
    logits_NC = rng.choice([0.3, 3.0, 30.0]) * rng.standard_normal((N, C))
    before_NC, drift = softmax(logits_NC), noted(logits_NC, dtype)
    for _ in range(moves):
        U_NR, A_CR = (size * rng.standard_normal((N, 2))).astype(dtype), rng.standard_normal((C, 2)).astype(dtype)
        logits_NC = logits_NC + U_NR.astype(np.float64) @ A_CR.T.astype(np.float64)
        drift.move(0, N, U_NR, A_CR)
        l1_N = np.abs(softmax(logits_NC) - before_NC).sum(axis=1)
        assert (l1_N <= drift.l1_N * (1 + 1e-4) + 1e-12).all()
        assert not np.isnan(drift.l1_N).any()


def test_a_small_move_by_hand():
    """Two equal classes, one moves by e: p changes by e / 4 each, so l1 is e / 2; the bound is 2 |u| e^r 1/2 |a| = e
    e^e.
    """
    drift = noted(np.zeros((1, 2)))
    drift.move(0, 1, np.array([[0.01]]), np.array([[1.0], [0.0]]))
    assert drift.l1_N[0] == pytest.approx(2 * 0.01 * np.exp(0.01) * 0.5)
    # The same move of a class of probability e^-9 hardly counts.
    drift = noted(np.array([[-9.0, 0.0, 0.0]]))
    drift.move(0, 1, np.array([[0.01]]), np.array([[1.0], [0.0], [0.0]]))
    assert drift.l1_N[0] < 2e-6


def test_what_was_never_noted_or_moved_too_far_is_not_known():
    drift = ProbabilityDrift(N, 3, np.float64)
    assert np.isinf(drift.l1_N).all()
    drift.note(ALL[:10], np.log(np.full((10, 3), 1 / 3)))
    assert (drift.l1_N[:10] == 0).all()
    assert np.isinf(drift.l1_N[10:]).all()
    drift.move(0, 5, np.full((5, 1), 2 * FARTHEST), np.array([[1.0], [0.0], [0.0]]))
    drift.move(5, 8, np.zeros((3, MOST_MOVES + 1)), np.zeros((3, MOST_MOVES + 1)))
    assert np.isinf(drift.l1_N[:8]).all()
    assert (drift.l1_N[8:10] == 0).all()
    drift.move(0, N, np.zeros((N, 1)), np.ones((3, 1)))
    assert not np.isnan(drift.l1_N).any()


def test_a_row_that_is_noted_starts_anew():
    rng = np.random.default_rng(0)
    logits_NC = rng.standard_normal((N, 4))
    drift, fresh = noted(logits_NC), noted(logits_NC)
    drift.move(0, N, 5 * rng.standard_normal((N, 1)), rng.standard_normal((4, 1)))
    drift.note(ALL, log_softmax(logits_NC))
    U_N1, A_C1 = rng.standard_normal((N, 1)), rng.standard_normal((4, 1))
    for one in (drift, fresh):
        one.move(0, N, U_N1, A_C1)
    assert np.array_equal(drift.l1_N, fresh.l1_N)


def test_new_classes_make_all_unknown_until_it_is_noted():
    drift = noted(np.zeros((N, 3)))
    drift.add_classes(2)
    assert np.isinf(drift.l1_N).all()
    drift.note(ALL, np.log(np.full((N, 5), 0.2)))
    drift.move(0, N, np.full((N, 1), 0.1), np.eye(5)[:, :1])
    assert (drift.l1_N < 0.1).all()
