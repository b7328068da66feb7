"""The draw of an audit: its chances, its order, and the share of the times that a row comes first."""

import numpy as np

from alcli.numerics.audit.draw import LARGEST_WEIGHT, arrivals, chances


def test_half_of_the_chance_is_the_same_for_all():
    q_N = chances(np.array([0.0, 1.0, 3.0]))
    np.testing.assert_allclose(q_N, [1 / 6, 1 / 6 + 1 / 8, 1 / 6 + 3 / 8])
    assert (1.0 / (3 * q_N)).max() <= LARGEST_WEIGHT


def test_rows_of_no_spread_have_equal_chances():
    np.testing.assert_array_equal(chances(np.zeros(4)), np.full(4, 0.25))
    assert len(chances(np.empty(0))) == 0


def test_the_draw_follows_the_ids_and_not_their_order():
    keys, q_N = np.arange(10, 60, dtype=np.uint64), chances(np.linspace(0.0, 1.0, 50))
    times_N, order = arrivals(keys, q_N, 3), np.random.default_rng(0).permutation(50)
    np.testing.assert_array_equal(arrivals(keys[order], q_N[order], 3), times_N[order])
    assert not np.array_equal(np.argsort(times_N), np.argsort(arrivals(keys, q_N, 4)))


def test_a_row_comes_first_with_its_chance():
    q_N, keys, seeds = chances(np.array([0.0, 0.1, 1.0, 3.0])), np.arange(4, dtype=np.uint64), 4000
    firsts = np.bincount([np.argmin(arrivals(keys, q_N, seed)) for seed in range(seeds)], minlength=4) / seeds
    assert (np.abs(firsts - q_N) < 4 * np.sqrt(q_N * (1 - q_N) / seeds)).all()
