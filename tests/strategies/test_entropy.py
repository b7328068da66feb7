import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alcli.strategies.entropy import entropy


def test_by_hand():
    assert np.allclose(entropy(np.log([[0.5, 0.5, 1e-300], [0.5, 0.25, 0.25]])), [np.log(2), 1.5 * np.log(2)])


def test_impossible_classes_add_nothing():
    assert np.allclose(
        entropy(np.array([[0.0, -np.inf, -np.inf], [np.log(0.5), np.log(0.5), -np.inf]])), [0, np.log(2)]
    )


@given(st.lists(st.lists(st.floats(-30, 30), min_size=5, max_size=5), min_size=1, max_size=8))
def test_is_between_zero_and_the_logarithm_of_the_classes(logits):
    z = np.array(logits)
    log_probs = z - np.log(np.exp(z - z.max(1, keepdims=True)).sum(1, keepdims=True)) - z.max(1, keepdims=True)
    scores = entropy(log_probs)
    assert (scores >= -1e-12).all()
    assert (scores <= np.log(5) + 1e-12).all()
    assert np.allclose(scores, -(np.exp(log_probs) * log_probs).sum(1))
