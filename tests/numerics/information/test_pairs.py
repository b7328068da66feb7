import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics.blocks import thread_limit, workers
from alcli.numerics.information.committee import information
from alcli.numerics.information.pairs import Targets
from tests.committees import members, of_probs


def pairs(rows, targets, threads=1):
    with thread_limit(threads), workers() as spread:
        return Targets(targets).information(rows, spread)


def written_out(rows, targets):
    """sum of J log(J / (p p')) over the C x C joint of every pair."""
    P, Q = np.exp(rows), np.exp(targets)
    joint = np.einsum("bsi,tsj->btij", P, Q) / P.shape[1]
    apart = P.mean(1)[:, None, :, None] * Q.mean(1)[None, :, None, :]
    return (joint * np.log(joint / apart)).sum((2, 3))


def test_by_hand():
    # Two members. The row is sure of class 0 under one and of class 1 under the other, and so tells them apart.
    row = of_probs([[[1, 0], [0, 1]]])
    same, agreed = of_probs([[1, 0], [0, 1]]), of_probs([[0.3, 0.7], [0.3, 0.7]])
    half = of_probs([[0.5, 0.5], [1, 0]])
    expected = [np.log(2), 0, -0.75 * np.log(0.75) - 0.25 * np.log(0.25) - 0.5 * np.log(2)]
    assert np.allclose(pairs(row, np.stack([same, agreed, half])), [expected])


@pytest.mark.parametrize(
    ("B", "T", "S", "C"), [(1, 1, 1, 1), (3, 5, 7, 2), (70, 130, 9, 4), (5, 90, 6, 30), (2, 3, 4, 200), (2, 2, 3, 1500)]
)
def test_equals_the_joint_written_out(B, T, S, C):
    rows, targets = members(B, S, C), members(T, S, C, seed=1)
    assert np.allclose(pairs(rows, targets), written_out(rows, targets), atol=1e-13)


def test_more_classes_than_a_piece_is_wide():
    rows, targets = members(2, 3, 1100), members(2, 3, 1100, seed=1)
    assert np.allclose(pairs(rows, targets), written_out(rows, targets), atol=1e-13)


@given(st.integers(0, 10**6), st.integers(1, 6), st.integers(1, 5), st.floats(0.01, 10))
def test_never_more_than_either_row_says_of_the_draws_and_symmetric(seed, S, C, scale):
    rows, targets = members(4, S, C, seed=seed, scale=scale), members(3, S, C, seed=seed + 1, scale=scale)
    found = pairs(rows, targets)
    assert (found >= 0).all()
    assert (found <= np.minimum.outer(information(rows), information(targets)) + 1e-13).all()
    assert np.allclose(found, pairs(targets, rows).T, atol=1e-14)


def test_a_row_that_tells_the_draws_apart_says_all_there_is_to_say():
    targets = members(6, 3, 4)
    assert np.allclose(pairs(of_probs([np.eye(3, 4)]), targets), information(targets)[None])


def test_faint_information_keeps_its_digits():
    rng = np.random.default_rng(0)
    shift = 1e-5 * rng.standard_normal((2, 40, 2))
    rows = np.stack([-np.logaddexp(0, -shift), -np.logaddexp(0, shift)], axis=3).transpose(0, 2, 1, 3)  # two of each
    # P = 1/2 +- shift/4, so the joint is 1/4 +- covariance/16, and I = covariance^2 / 32 to leading order.
    a, b = rows[0, :, :, 0] - rows[0, :, :, 1], rows[1, :, :, 0] - rows[1, :, :, 1]
    covariance = ((a - a.mean(1, keepdims=True)) @ (b - b.mean(1, keepdims=True)).T) / 40
    assert np.allclose(pairs(rows[0], rows[1]), covariance**2 / 32, rtol=1e-2, atol=0)


def test_probabilities_that_underflow_are_no_trouble():
    rows = np.array([[[0.0, -900.0, -1000.0], [-900.0, 0.0, -1000.0]]])
    with np.errstate(all="raise", under="ignore"):
        assert np.allclose(pairs(rows, rows), np.log(2))


def test_threads_do_not_matter():
    rows, targets = members(200, 20, 5), members(50, 20, 5, seed=1)
    assert pairs(rows, targets, 1).tobytes() == pairs(rows, targets, 2).tobytes()
