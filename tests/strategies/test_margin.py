import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alcli.strategies.entropy import entropy
from alcli.strategies.least_confident import least_confident
from alcli.strategies.margin import margin


def test_by_hand():
    log_probs = np.log([[0.5, 0.3, 0.2], [0.1, 0.8, 0.1], [0.4, 0.4, 0.2]])
    assert np.allclose(margin(log_probs), [0.8, 0.3, 1.0])


def test_an_equal_top_two_scores_one_to_the_last_bit_of_float32():
    for C in (2, 3, 10, 77):
        assert margin(np.full((1, C), -np.log(C))).astype(np.float32)[0] == np.float32(1)


@given(st.lists(st.lists(st.floats(-30, 30), min_size=4, max_size=4), min_size=1, max_size=8))
def test_equals_a_full_sort(logits):
    z = np.array(logits)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    top = np.sort(p, axis=1)
    assert np.allclose(margin(np.log(p)), 1 - (top[:, -1] - top[:, -2]), atol=1e-12)


@given(st.lists(st.integers(-4000, 4000), min_size=2, max_size=20, unique_by=abs))
def test_two_classes_give_one_ranking_for_margin_entropy_and_least_confident(lead):
    z = np.array(lead)[:, None] * [[0.0, 0.005]]
    log_probs = z - np.logaddexp(z[:, :1], z[:, 1:])
    orders = {tuple(np.argsort(-score(log_probs)).tolist()) for score in (margin, entropy, least_confident)}
    assert len(orders) == 1


def test_keeps_the_order_where_the_lead_rounds_to_one():
    tiny = np.array([1e-18, 1e-20])
    scores = margin(np.stack([np.log1p(-tiny), np.log(tiny)], axis=1))
    assert scores[0] > scores[1] > 0


def test_a_single_class_has_no_runner_up():
    assert margin(np.zeros((3, 1))).tolist() == [0, 0, 0]
