"""The sample that drawn rows make, against every draw that a small pool allows."""

import itertools

import numpy as np
import pytest

from alcli.numerics.audit.draw import chances
from alcli.numerics.audit.sample import drawn_probabilities, sampled


def every_draw(q_N, m):
    """Yield (rows in the order of their draw, probability) of all draws of m rows without replacement."""
    for rows in itertools.permutations(range(len(q_N)), m):
        probability, left = 1.0, 1.0
        for row in rows:
            probability, left = probability * q_N[row] / left, left - q_N[row]
        yield list(rows), probability


def test_the_probability_to_be_drawn_is_that_of_all_draws_together():
    q_N = chances(np.array([0.0, 0.2, 0.5, 1.0, 1.0, 2.0, 4.0]))
    exact_N, mean_N = np.zeros(7), np.zeros(7)
    for rows, probability in every_draw(q_N, 4):
        exact_N[rows] += probability
        mean_N[rows] += probability * drawn_probabilities(1.0 / (7 * q_N[rows]), 7)
    assert exact_N.sum() == pytest.approx(4)
    np.testing.assert_allclose(mean_N / exact_N, exact_N, atol=0.06)


def test_the_sum_over_the_sample_is_nearly_that_of_the_pool_over_all_draws():
    q_N, value_N = chances(np.array([0.0, 0.2, 0.5, 1.0, 1.0, 2.0, 4.0])), np.array([1.0, 1, 0, 1, 0, 1, 0])
    mean = 0.0
    for rows, probability in every_draw(q_N, 4):
        mean += probability * float(sampled(1.0 / (7 * q_N[rows]), 7).shares_M @ value_N[rows])
    assert mean == pytest.approx(value_N.mean(), abs=0.03)
    assert abs(np.average(value_N, weights=q_N) - value_N.mean()) > 0.1, "the unweighted mean would be far off"


def test_rows_of_equal_chance_are_a_random_sample():
    sample = sampled(np.ones(20), 80)
    np.testing.assert_allclose(sample.shares_M, 0.05)
    np.testing.assert_allclose(sample.left_M, 0.75)
    assert sample.variance(np.ones(20)) == pytest.approx(0.75 / 20)


def test_a_sample_that_holds_every_row_is_the_pool():
    sample = sampled(np.array([0.5, 2.0, 1.0]), 3)
    np.testing.assert_allclose(sample.shares_M, 1 / 3)
    assert sample.variance(np.ones(3)) == 0.0


def test_a_part_of_the_sample_is_a_sample_of_a_part():
    part = sampled(np.array([0.5, 2.0, 1.0, 1.0]), 100).only(np.array([True, True, False, False]))
    assert part.shares_M.sum() == pytest.approx(1.0)
    assert part.shares_M[1] / part.shares_M[0] == pytest.approx(4.0, rel=0.1)
    assert len(part) == 2
