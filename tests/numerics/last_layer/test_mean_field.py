"""The averaged softmax in closed form: laws that hold for all logits and variances, and Monte Carlo."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics.last_layer.mean_field import mean_field
from alcli.numerics.logistic import log_softmax, softmax


@st.composite
def cases(draw):
    B, C = draw(st.integers(1, 4)), draw(st.integers(2, 6))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    logits = draw(st.sampled_from([0.1, 3.0, 100.0])) * rng.normal(size=(B, C))
    width = draw(st.sampled_from([1, C]))
    return logits, draw(st.sampled_from([0.0, 1e-3, 1.0, 1e4])) * rng.uniform(0.1, 2.0, size=(B, width)), rng


@given(cases())
def test_it_is_a_distribution_that_keeps_the_class_and_is_never_surer(case):
    logits, variance, _ = case
    got, plain = mean_field(logits, variance), log_softmax(logits)
    np.testing.assert_allclose(np.exp(got).sum(axis=1), 1.0)
    assert (got.argmax(axis=1) == plain.argmax(axis=1)).all()
    assert (got.max(axis=1) <= plain.max(axis=1) + 1e-12).all()
    np.testing.assert_allclose(mean_field(logits, 0.0 * variance), plain, atol=1e-12)


@given(cases())
def test_it_depends_on_differences_of_logits_only_and_not_on_the_order_of_classes(case):
    logits, variance, rng = case
    got = mean_field(logits, variance)
    shift = 10.0 * rng.normal(size=(len(logits), 1))
    np.testing.assert_allclose(mean_field(logits + shift, variance), got, rtol=1e-9, atol=1e-9)
    order = rng.permutation(logits.shape[1])
    reordered = variance if variance.shape[1] == 1 else variance[:, order]
    np.testing.assert_allclose(mean_field(logits[:, order], reordered), got[:, order], rtol=1e-9, atol=1e-12)


@given(cases())
def test_more_variance_gives_less_confidence(case):
    logits, variance, _ = case
    less = mean_field(logits, variance).max(axis=1)
    assert (mean_field(logits, 2.0 * variance).max(axis=1) <= less + 1e-12).all()


@given(cases())
def test_a_shared_variance_is_the_same_number_for_every_class(case):
    logits, variance, _ = case
    shared = variance[:, :1]
    wide = np.broadcast_to(shared, logits.shape)
    np.testing.assert_allclose(mean_field(logits, wide), mean_field(logits, shared), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("C", [2, 3, 10])
def test_of_independent_logits_it_is_near_monte_carlo(C):
    rng = np.random.default_rng(C)
    logits, noise = 2.0 * rng.normal(size=(20, C)), rng.normal(size=(20_000, 1, C))
    exact = softmax(logits + np.concatenate([noise, -noise])).mean(axis=0)
    got = np.exp(mean_field(logits, np.full((20, 1), C / (C - 1))))
    assert np.abs(got - exact).max() < 0.02
    assert np.abs(got - exact).mean() < 0.3 * np.abs(softmax(logits) - exact).mean()


def test_by_hand():
    got = np.exp(mean_field(np.array([[np.log(3.0), 0.0]]), np.array([[8 * 3 / np.pi]])))
    np.testing.assert_allclose(got, [[np.sqrt(3.0) / (1 + np.sqrt(3.0)), 1 / (1 + np.sqrt(3.0))]])
