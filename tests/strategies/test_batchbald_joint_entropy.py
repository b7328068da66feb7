import itertools

import numpy as np
import pytest

from alcli.numerics.blocks import thread_limit, workers
from alcli.numerics.information.committee import information
from alcli.strategies.batchbald import Configurations, _distinct, _inverse
from tests.committees import information_by_entropies, members, of_probs


def after(picked, most=10_000, seed=0):
    known, rng = Configurations(picked.shape[1], most), np.random.default_rng(seed)
    for row in picked:
        known.add(row, rng)
    return known


def gains(known, rows, threads=1):
    with thread_limit(threads), workers() as spread:
        return known.gains(rows, spread)[0]


def joint_information(rows):
    """a(S): the K rows as one variable of C^K values, written out."""
    K, _, C = rows.shape
    joint = np.stack(
        [sum(rows[i, :, c] for i, c in enumerate(labels)) for labels in itertools.product(range(C), repeat=K)], axis=1
    )
    return information_by_entropies(joint[None])[0]


@pytest.mark.parametrize(("K", "C"), [(1, 2), (3, 2), (5, 2), (1, 7), (3, 4), (2, 8), (4, 1)])
def test_complete_gains_are_steps_of_the_joint_information_written_out(K, C):
    rows = members(K + 3, 6, C)
    before = joint_information(rows[:K])
    expected = [joint_information(np.concatenate([rows[:K], rows[i : i + 1]])) - before for i in range(K, K + 3)]
    known = after(rows[:K])
    assert known.exact
    assert np.allclose(gains(known, rows[K:]), expected, atol=1e-13)


def test_by_hand():
    # Four members, two bits: the first row tells {0,1} from {2,3}, the second {0,2} from {1,3}, the third is a copy
    # of the first.
    bits = np.array([[0, 0, 1, 1], [0, 1, 0, 1], [0, 0, 1, 1]])
    rows = of_probs(np.eye(2)[bits])
    assert np.allclose(gains(after(rows[:1]), rows), [0, np.log(2), 0])
    assert np.allclose(gains(after(rows[:2]), rows), 0)


def test_with_nothing_picked_the_gain_is_bald():
    rows = members(50, 20, 5)
    assert np.allclose(gains(Configurations(20, 100), rows), information(rows), atol=1e-14)


def test_a_copy_says_less_than_its_original_did():
    rows = members(8, 12, 3)
    for row in rows:
        assert gains(after(row[None]), row[None])[0] < information(row[None])[0]


@pytest.mark.parametrize("most", [10_000, 40])
def test_gains_are_never_negative_and_never_above_bald_while_complete(most):
    rows = members(40, 10, 3, scale=4.0)
    for K in range(1, 8):
        known = after(rows[:K], most)
        found = gains(known, rows)
        assert (found >= 0).all()
        assert not known.exact or (found <= information(rows) + 1e-14).all()
    assert known.exact == (most > 3**7)


def test_labels_that_no_draw_expects_take_no_room():
    sure = of_probs(np.tile(np.eye(3)[[0, 1, 2, 0]], (12, 1, 1)))  # 12 copies: three configurations ever have weight
    known = after(sure, most=20)
    assert known.exact
    assert np.allclose(np.sort(known.shares_J), [0.25, 0.25, 0.5])
    assert np.allclose(gains(known, sure[:1]), 0)


def test_sampled_gains_are_unbiased():
    rows = members(9, 5, 4, scale=1.0)
    exact = gains(after(rows[:5]), rows[5:])
    runs = np.array([gains(after(rows[:5], most=100, seed=s), rows[5:]) for s in range(200)])
    assert not after(rows[:5], most=100).exact
    error = runs.std(axis=0) / np.sqrt(200)
    assert (np.abs(runs.mean(axis=0) - exact) < 4 * error).all()
    assert (error < 0.01 * exact).all()


def test_many_samples_come_near_the_exact_gain():
    rows = members(9, 5, 4)
    exact = gains(after(rows[:5], most=4**5), rows[5:])
    assert np.allclose(gains(after(rows[:5], most=4**5 - 1), rows[5:]), exact, rtol=0.05)


def test_more_rows_than_labellings_can_be_numbered():
    rows = members(45, 6, 3, scale=0.3)
    known = after(rows, most=60)
    assert len(known.shares_J) == 60
    found = gains(known, rows)
    assert np.isfinite(found).all()
    assert (found < information(rows)).all()


def test_the_seed_and_not_the_threads_decides():
    rows = members(60, 8, 5)
    known = after(rows[:9], most=300, seed=3)
    assert (
        gains(known, rows, 1).tobytes()
        == gains(known, rows, 2).tobytes()
        == gains(after(rows[:9], most=300, seed=3), rows).tobytes()
    )
    assert (gains(after(rows[:9], most=300, seed=4), rows) != gains(known, rows)).any()


def test_fewer_configurations_than_draws_still_sample_each_draw():
    assert len(after(members(4, 20, 3), most=1).shares_J) <= 20


def test_equal_labellings_are_counted():
    labels, counts = _distinct(np.array([[0, 2, 0, 1], [1, 0, 1, 1]]), 3)
    assert sorted(zip(*labels.tolist(), counts.tolist())) == [(0, 1, 2), (1, 1, 1), (2, 0, 1)]


def test_labels_follow_the_distribution_of_their_draw():
    cumulated = np.cumsum([[0.2, 0.3, 0.5], [0.0, 1.0, 0.0]], axis=1)
    uniforms = np.array([[0.1, 0.2, 0.499, 0.5, 0.999], [0.0, 0.2, 0.5, 0.9, 1 - 1e-9]])
    assert _inverse(cumulated, uniforms).tolist() == [0, 1, 1, 2, 2, 1, 1, 1, 1, 1]


def test_bounds_are_the_exact_gains_and_lie_above_sampled_ones_by_their_scatter():
    rows = members(9, 5, 4, scale=1.0)
    with workers() as spread:
        exact, bounds = after(rows[:5]).gains(rows[5:], spread)
        assert exact.tolist() == bounds.tolist()
        runs = np.array([after(rows[:5], most=100, seed=s).gains(rows[5:], spread) for s in range(200)])
    found, bounds = runs[:, 0], runs[:, 1]
    error = (bounds - found).mean(axis=0) / 5
    # Equally many labellings under each draw scatter somewhat less than the plain sampling that the error is of.
    assert (found.std(axis=0) < 1.1 * error).all()
    assert (found.std(axis=0) > 0.5 * error).all()
    assert (bounds > exact).all()
