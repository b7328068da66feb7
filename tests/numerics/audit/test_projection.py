"""The labels to a target: exact power laws, curves that do not fall, and simulated curves."""

import numpy as np
import pytest

from alcli.numerics.audit.projection import projected

LABELS = np.array([100.0, 200.0, 400.0, 800.0, 1600.0])


def test_a_power_law_is_followed_to_the_target():
    accuracy_R = 1.0 - 3.0 * LABELS**-0.5
    found = projected(LABELS, accuracy_R, np.full(5, 0.01), 0.95)
    assert found.labels == pytest.approx(3600.0)
    assert found.low < 3600.0 < found.high


def test_fewer_than_four_rounds_are_refused():
    assert projected(LABELS[:3], np.array([0.5, 0.6, 0.7]), np.full(3, 0.01), 0.9) is None
    same = np.array([100.0, 100.0, 200.0, 400.0])
    assert projected(same, np.array([0.5, 0.5, 0.6, 0.7]), np.full(4, 0.01), 0.9) is None


def test_a_curve_that_does_not_rise_never_gets_there():
    found = projected(LABELS, np.full(5, 0.7), np.full(5, 0.02), 0.9)
    assert found.high == np.inf
    falling = projected(LABELS, np.array([0.9, 0.8, 0.7, 0.6, 0.5]), np.full(5, 0.02), 0.95)
    assert falling.labels == np.inf


def test_a_perfect_round_is_no_end_of_the_world():
    found = projected(LABELS, np.array([0.9, 0.95, 0.98, 0.99, 1.0]), np.full(5, 0.01), 0.99)
    assert 100.0 < found.labels < 1600.0


def test_the_interval_covers_the_truth_of_simulated_curves():
    rng, wrong_R, inside = np.random.default_rng(0), 3.0 * LABELS**-0.4, []
    truth = (0.1 / 3.0) ** (-1 / 0.4)
    for _ in range(400):
        error_R = np.full(5, 0.02)
        found = projected(LABELS, 1.0 - wrong_R + rng.normal(0.0, error_R), error_R, 0.9)
        inside.append(found.low <= truth <= found.high)
    assert 0.92 <= np.mean(inside) <= 1.0
