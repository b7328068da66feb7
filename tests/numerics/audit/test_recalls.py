"""The balanced accuracy of an audit: plain recalls, and simulated audits."""

import numpy as np
import pytest

from alcli.numerics.audit.draw import chances
from alcli.numerics.audit.recalls import balanced_accuracy, too_rare
from alcli.numerics.audit.sample import sampled


def test_the_mean_of_the_recalls():
    y_M = np.repeat([0, 1, 2], [8, 8, 4])
    right_M = np.concatenate([np.ones(8), np.repeat([1, 0], 4), [1, 1, 1, 0]])
    value, (low, high) = balanced_accuracy(right_M, y_M, sampled(np.ones(20), 10**6), 3)
    assert value == pytest.approx((1.0 + 0.5 + 0.75) / 3)
    assert 0.5 < low < value < high < 0.95


def test_classes_with_too_few_rows_are_counted():
    assert too_rare(np.repeat([0, 1, 3], [5, 4, 20]), 4) == 2


def test_perfect_recalls_are_not_known_to_be_perfect():
    value, (low, high) = balanced_accuracy(np.ones(10), np.repeat([0, 1], 5), sampled(np.ones(10), 1000), 2)
    assert (value, high) == (1.0, 1.0)
    assert 0.5 < low < 0.95


def test_an_audit_of_every_row_is_the_truth():
    value, interval = balanced_accuracy(np.array([1, 0, 1, 1]), np.array([0, 0, 1, 1]), sampled(np.ones(4), 4), 2)
    assert (value, interval) == (0.75, (0.75, 0.75))


def test_five_hundred_audits():
    rng, n, m = np.random.default_rng(0), 2000, 120
    y_N = rng.integers(5, size=n)
    p_N = np.array([0.99, 0.95, 0.9, 0.8, 0.6])[y_N]
    right_N, q_N = rng.random(n) < p_N, chances(np.sqrt(p_N * (1 - p_N)))
    truth, found = np.mean([right_N[y_N == k].mean() for k in range(5)]), []
    for _ in range(500):
        rows = np.argsort(rng.exponential(size=n) / q_N)[:m]
        if not too_rare(y_N[rows], 5):
            value, interval = balanced_accuracy(right_N[rows], y_N[rows], sampled(1.0 / (n * q_N[rows]), n), 5)
            found.append((value, *interval))
    value, low, high = np.array(found).T
    assert abs(value.mean() - truth) < 0.01
    assert 0.92 <= ((low <= truth) & (truth <= high)).mean() <= 0.99
