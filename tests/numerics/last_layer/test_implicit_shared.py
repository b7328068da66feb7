from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics.last_layer.implicit_shared import implicit_shared
from alcli.numerics.logistic import one_hot, softmax


@given(st.integers(0, 10_000), st.integers(2, 300), st.floats(-12, 10), st.floats(0, 4), st.floats(0.1, 5))
def test_the_residual_solves_its_equation(seed, c, log_variance, log_scale, weight):
    rng = np.random.default_rng(seed)
    z, t = 10**log_scale * rng.standard_normal((4, c)), one_hot(rng.integers(c, size=4), c)
    v = 10**log_variance * rng.uniform(0.5, 2, 4)
    residual = implicit_shared(z, t, v, weight)
    assert np.abs(residual.sum(axis=1)).max() < 1e-12
    # As a fixed point of the probabilities, where a large variance does not blow rounding up.
    probs = t - residual / weight
    logits = z + v[:, None] * residual
    gap = np.log(np.maximum(probs, 1e-300)) - logits
    big = probs > 1e-3
    for row in range(4):
        spread = np.ptp(gap[row][big[row]])
        assert spread < 1e-9 * (1 + np.abs(logits[row]).max() + v[row])


@pytest.mark.parametrize("variance", [0.0, 1e-300, 1e-8])
def test_without_variance_it_is_the_plain_residual(variance):
    z, t = np.array([[0.3, -1.0, 2.0]]), one_hot(np.array([1]), 3)
    assert implicit_shared(z, t, np.array([variance])) == pytest.approx(t - softmax(z), abs=1e-7)


def test_rows_do_not_see_each_other():
    rng = np.random.default_rng(0)
    z, t, v = rng.standard_normal((5, 3)), one_hot(rng.integers(3, size=5), 3), rng.uniform(0, 9, 5)
    whole = implicit_shared(z, t, v)
    for i in range(5):
        assert implicit_shared(z[i : i + 1], t[i : i + 1], v[i : i + 1])[0] == pytest.approx(whole[i], abs=1e-13)


@pytest.mark.parametrize("log_variance", [0.0, 2.0, 2.8, 4.0, 6.0])
def test_many_classes_far_apart_are_solved(log_variance):
    """Logits in the thousands, where a step that trusts the curvature goes astray."""
    rng = np.random.default_rng(0)
    z, t, v = (
        2000.0 * rng.standard_normal((200, 300)),
        one_hot(rng.integers(300, size=200), 300),
        np.full(200, 10.0**log_variance),
    )
    probs = t - implicit_shared(z, t, v)
    logits = z + v[:, None] * (t - probs)
    assert np.allclose(probs, softmax(logits), atol=1e-8)
