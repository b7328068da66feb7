"""Held-out cosines: labels of held-out rows are not looked at, and rows that cannot be judged are left out."""

import numpy as np

from alcli.numerics.blocks import thread_limit, workers
from alcli.numerics.mixture.held_out import held_out_cosines
from alcli.numerics.mixture.von_mises_fisher import unit


def cosines_of(U, y, names, sample=None):
    sample = np.empty((0, U.shape[1])) if sample is None else sample
    with workers() as spread:
        return held_out_cosines(sample, U, y, np.ones(len(y)), names, 5.0, spread, passes=3, pull=15.0)


def test_without_a_pull_they_are_cosines_with_the_mean_of_the_other_rows():
    """Two classes of two rows each, in opposite corners: each row is judged by the other one of its class."""
    U = unit(np.array([[1.0, 0.1], [1.0, -0.1], [-1.0, 0.1], [-1.0, -0.1]]))
    with workers() as spread:
        cosines, y = held_out_cosines(
            U[:0], U, np.array([0, 0, 1, 1]), np.ones(4), np.zeros((3, 2)), 5.0, spread, passes=3, pull=0.0
        )
    assert len(y) == 4
    np.testing.assert_allclose(cosines[np.arange(4), y], U[0] @ U[1])
    assert (cosines[:, 2] == -np.inf).all()


def test_a_row_that_is_alone_in_its_class_is_judged_only_where_the_class_has_a_name():
    rng = np.random.default_rng(0)
    U, y = unit(rng.normal(size=(5, 4))), np.array([0, 0, 1, 1, 2])
    assert sorted(cosines_of(U, y, np.zeros((3, 4)))[1]) == [0, 0, 1, 1]
    named = np.zeros((3, 4))
    named[2] = U[4]
    assert sorted(cosines_of(U, y, named)[1]) == [0, 0, 1, 1, 2]


def test_too_few_rows_to_hold_out_give_none():
    names = np.zeros((2, 3))
    for n in (0, 1):
        cosines, y = cosines_of(np.eye(3)[:n], np.zeros(n, np.int64), names)
        assert cosines.shape == (0, 2)
        assert len(y) == 0


def test_threads_do_not_change_a_bit():
    rng = np.random.default_rng(0)
    U, sample, y = unit(rng.normal(size=(23, 6))), unit(rng.normal(size=(300, 6))), rng.integers(3, size=23)
    found = []
    for threads in (1, 4):
        with thread_limit(threads):
            found.append(cosines_of(U, y, np.zeros((3, 6)), sample)[0])
    np.testing.assert_array_equal(*found)
