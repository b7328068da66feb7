"""Looks at a target: their chance of error together, and the labels that would decide."""

import numpy as np
import pytest
from scipy.stats import norm

from alcli.numerics.audit.looks import CHANCE, deviation_of_look, labels_to_decide, labels_to_halve


def test_the_chances_of_all_looks_sum_to_that_of_one():
    chances = norm.sf([deviation_of_look(look) for look in range(1, 2001)])
    assert chances.sum() == pytest.approx(CHANCE * (1 - 1 / 2001), rel=1e-6)
    assert (np.diff(chances) < 0).all()


def test_the_labels_to_decide_bring_the_deviation_to_what_the_next_look_asks():
    more = labels_to_decide(100, 1.5, look=2)
    assert 1.5 * ((100 + more) / 100) ** 0.5 >= deviation_of_look(3)
    assert 1.5 * ((100 + more - 1) / 100) ** 0.5 < deviation_of_look(3)
    assert labels_to_decide(100, -1.5, look=2) == more


def test_an_estimate_at_the_target_is_never_decided():
    assert labels_to_decide(100, 0.0, look=1) is None
    assert labels_to_decide(100, 0.01, look=1) is None


def test_half_an_interval_takes_four_times_the_labels():
    assert labels_to_halve(100) == 300
