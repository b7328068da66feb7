"""The mixture against a slow one, and its degenerate cases."""

import numpy as np
import pytest

from alcli.numerics.blocks import thread_limit, workers
from alcli.numerics.mixture.von_mises_fisher import fit_mixture, fixed_sums, taking_part, unit


def directions(n, D, dtype=np.float64, seed=0):
    X = np.random.default_rng(seed).normal(size=(n, D))
    return (X / np.linalg.norm(X, axis=1, keepdims=True)).astype(dtype)


def fitted(U, fixed, kappa, passes=4, pull=3.0, cuts=()):
    with workers() as spread:
        blocks = np.split(U, list(cuts))
        return fit_mixture(lambda: [blocks], len(U), fixed, kappa, spread, passes=passes, pull=pull)


def slow(U, fixed, kappa, passes, pull):
    M, beta = unit(fixed), min(1.0, pull * len(fixed) / len(U))
    for _ in range(passes):
        sums, mass = fixed.copy(), np.zeros(len(fixed))
        for u in U:
            r = np.exp(kappa * (M @ u))
            r /= r.sum()
            sums += beta * r[:, None] * u
            mass += r
        M = sums / np.linalg.norm(sums, axis=1, keepdims=True)
    return M, mass


@pytest.mark.parametrize(("n", "D", "C"), [(30, 4, 3), (10, 40, 2), (7, 3, 1), (1, 5, 4)])
def test_it_is_the_slow_one(n, D, C):
    U, fixed = directions(n, D), directions(C, D, seed=1) * 2.0
    found = fitted(U, fixed, 5.0)
    means, mass = slow(U, fixed, 5.0, 4, 3.0)
    np.testing.assert_allclose(found.means_PD, means, atol=1e-12)
    np.testing.assert_allclose(found.mass_P, mass, atol=1e-12)
    assert found.mass_P.sum() == pytest.approx(n)


def test_float32_rows_are_close_to_float64_rows():
    U, fixed = directions(500, 16), directions(5, 16, seed=1)
    single, double = fitted(U.astype(np.float32), fixed, 8.0), fitted(U, fixed, 8.0)
    np.testing.assert_allclose(single.means_PD, double.means_PD, atol=1e-5)


def test_threads_do_not_change_a_bit():
    U, fixed = directions(9000, 8, np.float32), directions(3, 8, seed=1)
    cuts = (2048, 4096, 6144, 8192)
    found = []
    for threads in (1, 3):
        with thread_limit(threads):
            found.append(fitted(U, fixed, 6.0, cuts=cuts).means_PD)
    np.testing.assert_array_equal(*found)


def test_without_a_pool_the_means_are_those_of_the_labels():
    fixed = np.array([[3.0, 4.0], [0.0, 2.0]])
    found = fitted(np.empty((0, 2)), fixed, 5.0)
    np.testing.assert_allclose(found.means_PD, [[0.6, 0.8], [0.0, 1.0]])
    assert not found.mass_P.any()
    assert found.length == 0.0


def test_the_pool_weighs_as_much_as_pull_labels_a_class_whatever_its_size():
    U, fixed = directions(400, 6), directions(2, 6, seed=1)
    once, five_times = fitted(U, fixed, 5.0), fitted(np.tile(U, (5, 1)), fixed, 5.0)
    np.testing.assert_allclose(once.means_PD, five_times.means_PD, atol=1e-10)


def test_frequent_classes_stay_frequent():
    """Nine rows in ten lie at one centre: no balance is forced on the masses."""
    rng = np.random.default_rng(0)
    U = unit(np.vstack([rng.normal([4, 0, 0], 0.5, (90, 3)), rng.normal([0, 4, 0], 0.5, (10, 3))]))
    np.testing.assert_allclose(fitted(U, np.eye(3)[:2], 20.0).mass_P, [90.0, 10.0], atol=0.1)


def test_a_function_of_the_length_is_asked_for_the_concentration():
    asked = []

    def of_length(length):
        asked.append(length)
        return 5.0

    U, fixed = directions(30, 4), directions(3, 4, seed=1)
    found = fitted(U, fixed, of_length, passes=2)
    np.testing.assert_array_equal(found.means_PD, fitted(U, fixed, 5.0, passes=2).means_PD)
    assert asked[0] == 0.5
    assert asked[1] == pytest.approx((U @ unit(fixed).T).max(axis=1).mean())


def test_the_fixed_part_adds_labels_and_names():
    U, names = np.eye(3), np.array([[0.0, 0, 1], [0, 0, 0], [0, 0, 0]])
    sums = fixed_sums(U, np.array([0, 0, 1]), np.array([1.0, 2.0, 1.0]), names)
    np.testing.assert_array_equal(sums, [[1, 2, 1], [0, 0, 1], [0, 0, 0]])
    np.testing.assert_array_equal(taking_part(np.array([1]), names), [True, True, False])
