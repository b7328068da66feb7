import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alcli.strategies.least_confident import least_confident


def test_by_hand():
    log_probs = np.log([[0.5, 0.3, 0.2], [0.9, 0.05, 0.05], [1 / 3, 1 / 3, 1 / 3]])
    assert np.allclose(least_confident(log_probs), [0.5, 0.1, 2 / 3])


@given(st.lists(st.lists(st.floats(-30, 30), min_size=3, max_size=3), min_size=1, max_size=8))
def test_equals_one_minus_the_largest_probability(logits):
    z = np.array(logits)
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    assert np.allclose(least_confident(np.log(p)), 1 - p.max(1), atol=1e-15)


def test_keeps_the_order_where_the_probability_rounds_to_one():
    tiny = np.array([1e-18, 1e-20])
    scores = least_confident(np.stack([np.log1p(-tiny), np.log(tiny)], axis=1))
    assert scores[0] > scores[1] > 0


def test_certain_rows_score_zero():
    assert least_confident(np.array([[0.0, -np.inf]])).tolist() == [0.0]
