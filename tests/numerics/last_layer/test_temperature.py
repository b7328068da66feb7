import numpy as np
import pytest

from alcli.numerics.last_layer.temperature import BOUNDS, best_temperature, fit_temperature
from alcli.numerics.logistic import cross_entropy, log_softmax, softmax


def sampled(temperature, n=20_000):
    rng = np.random.default_rng(0)
    logits = 3 * rng.normal(size=(n, 4))
    return logits, (softmax(logits / temperature).cumsum(axis=1) > rng.random((n, 1))).argmax(axis=1)


@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_the_temperature_that_made_the_labels_is_found(temperature):
    logits, y = sampled(temperature)
    assert fit_temperature(logits, y, np.ones(len(y))) == pytest.approx(temperature, rel=0.05)


def test_it_is_the_minimum_of_a_scan_and_follows_the_scale_of_logits():
    logits, y = sampled(2.0, 300)
    w = np.random.default_rng(1).uniform(0.5, 2, size=300)
    T = fit_temperature(logits, y, w)
    grid = np.geomspace(*BOUNDS, 2001)
    assert min(cross_entropy(logits / t, y, w) for t in grid) >= cross_entropy(logits / T, y, w) - 1e-6
    assert fit_temperature(7 * logits, y, w) == pytest.approx(7 * T, rel=1e-3)


def test_of_several_minima_it_finds_the_least():
    def loss(t):
        x = np.log(t)
        return np.sin(2.0 * x) + 0.02 * (x - 2.0) ** 2

    grid = np.geomspace(*BOUNDS, 20_001)
    assert best_temperature(loss) == pytest.approx(min(grid, key=loss), rel=1e-3)
    assert best_temperature(lambda t: -t) == pytest.approx(BOUNDS[1], rel=1e-3)
    assert best_temperature(lambda t: t) == pytest.approx(BOUNDS[0], rel=1e-3)


def test_labels_that_separate_or_contradict_stop_at_a_bound():
    logits = np.eye(3)
    assert fit_temperature(logits, np.arange(3), np.ones(3)) < 5 * BOUNDS[0]
    assert fit_temperature(logits, np.array([1, 2, 0]), np.ones(3)) == pytest.approx(BOUNDS[1], rel=0.01)


def test_extreme_logits_neither_overflow_nor_lose_the_rest():
    log_probs = log_softmax(np.array([[1e5, 0.0, -1e5], [-1e308, 0.0, 0.0]]))
    np.testing.assert_allclose(np.exp(log_probs), [[1, 0, 0], [0, 0.5, 0.5]])
