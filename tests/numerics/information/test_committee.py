import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from alcli.numerics.information.committee import deviation, entropy, excess, information, votes
from alcli.numerics.logistic import log_softmax
from tests.committees import information_by_entropies, members, of_probs

LOGITS = st.tuples(st.integers(1, 4), st.integers(1, 6), st.integers(1, 5)).flatmap(
    lambda shape: hnp.arrays(np.float64, shape, elements=st.floats(-40, 40))
)


def test_information_by_hand():
    # Sure and opposed: one bit. In agreement: nothing. (1/2, 1/2) and (1, 0): H(3/4, 1/4) - (log 2) / 2.
    log_probs = of_probs([[[1, 0], [0, 1]], [[0.3, 0.7], [0.3, 0.7]], [[0.5, 0.5], [1, 0]]])
    third = -0.75 * np.log(0.75) - 0.25 * np.log(0.25) - 0.5 * np.log(2)
    assert np.allclose(information(log_probs), [np.log(2), 0, third], atol=1e-15)


@given(LOGITS)
def test_information_is_the_difference_of_entropies_between_0_and_log_classes(logits):
    log_probs = log_softmax(logits)
    found = information(log_probs)
    assert np.allclose(found, information_by_entropies(log_probs), atol=1e-13)
    assert (found >= 0).all()
    assert (found <= np.log(logits.shape[2]) + 1e-12).all()


@pytest.mark.parametrize("size", [1e-3, 1e-5, 1e-7])
def test_small_disagreement_keeps_its_digits(size):
    rng = np.random.default_rng(0)
    log_probs = log_softmax(rng.standard_normal((5, 1, 4)) + size * rng.standard_normal((5, 30, 4)))
    # Second order: half the variance of the logits under the mean prediction; the next term is smaller by `size`.
    p = np.exp(log_probs).mean(axis=1)
    gaps = log_probs - log_probs.mean(axis=1, keepdims=True)
    second = 0.5 * ((gaps**2).mean(axis=1) * p).sum(axis=1)
    assert np.allclose(information(log_probs), second, rtol=20 * size + 1e-8, atol=0)


def test_members_in_agreement_say_nothing_and_one_class_leaves_nothing_to_say():
    same = np.repeat(members(20, 1, 7), 9, axis=1)
    assert (information(same) < 1e-30).all()
    assert (deviation(same) < 1e-15).all()
    alone = np.zeros((3, 4, 1))
    assert information(alone).tolist() == deviation(alone).tolist() == [0, 0, 0]
    assert votes(alone).tolist() == [[4]] * 3


def test_probabilities_that_underflow_count_as_zero():
    log_probs = np.array([[[0.0, -900.0, -1000.0], [-900.0, 0.0, -1000.0]]])
    with np.errstate(all="raise", under="ignore"):
        assert np.allclose(information(log_probs), np.log(2))


def test_deviation_by_hand():
    # Class one: 0.2, 0.4 (deviation 0.1); class two: 0.8, 0.6 (0.1).
    assert np.allclose(deviation(of_probs([[[0.2, 0.8], [0.4, 0.6]]])), 0.1)
    assert np.allclose(deviation(of_probs([[[1, 0], [0, 1]]])), 0.5)


def test_votes_by_hand_with_ties_for_the_lowest_class():
    log_probs = of_probs([[[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.1, 0.2, 0.7], [0.1, 0.8, 0.1]]])
    assert votes(log_probs).tolist() == [[1, 2, 1]]


def test_entropy_takes_zero_log_zero_for_zero():
    assert np.allclose(entropy(np.array([[1.0, 0.0], [0.5, 0.5]])), [0, np.log(2)])


@pytest.mark.parametrize("function", [information, deviation, votes])
@pytest.mark.parametrize("layout", [(0, 1, 2), (0, 2, 1)])
def test_rows_do_not_see_their_block(function, layout):
    log_probs = np.ascontiguousarray(members(400, 50, 10).transpose(layout)).transpose(
        layout
    )  # four pieces, in two layouts
    whole = function(log_probs)
    parts = np.concatenate([function(log_probs[i : i + 7]) for i in range(0, 400, 7)])
    assert np.allclose(whole, parts, rtol=1e-14, atol=0)
    assert function(log_probs[:0]).shape == whole[:0].shape


def test_excess_is_smallest_at_one():
    R = np.array([1e-300, 0.5, 1 - 1e-9, 1.0, 1 + 1e-9, 2.0])
    assert np.allclose(
        excess(R.copy()), [1, 0.5 * np.log(0.5) + 0.5, 5e-19, 0, 5e-19, 2 * np.log(2) - 1], rtol=1e-6, atol=0
    )
