import numpy as np
import pytest

from alcli.numerics.blocks import BLOCK_ROWS, thread_limit, workers
from alcli.numerics.diversity.near_pairs import Nearness, PairLists, Tiles, _met
from alcli.numerics.rows import sq_norms


def points(n, D=3, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((n, D)).astype(dtype)


def nearness(X, Y, scale=1.0):
    return -scale * (np.square(X).sum(axis=1)[:, None] + np.square(Y).sum(axis=1) - 2.0 * X @ Y.T)


def found(X, targets, limits_M, scale=1.0):
    """Pairs nearer than the limits of their targets, as (rows, targets, nearness) in order."""
    lists = PairLists(len(X))

    def see(a, c, near_BC, both):
        lists.add(a, c, near_BC, limits_M[c : c + near_BC.shape[1]])
        if both:
            lists.add_mirrored(a, c, near_BC, limits_M[a : a + near_BC.shape[0]])

    with workers() as spread:
        Tiles(X, sq_norms(X), Nearness(targets, scale), targets is X).see_all(spread, see)
    n = len(lists)
    blocks = list(lists.by_row())
    assert sum(len(targets) for _, targets, _ in blocks) == n
    rows = np.concatenate(
        [
            np.repeat(b * BLOCK_ROWS + np.arange(len(starts) - 1), np.diff(starts))
            for b, (starts, _, _) in enumerate(blocks)
        ]
    )
    return rows, *(np.concatenate([block[i] for block in blocks]) for i in (1, 2))


@pytest.mark.parametrize("n", [1, 700, 2048, 4100, 6200])
@pytest.mark.parametrize("own", [False, True])
def test_pairs_are_those_of_the_whole_product_in_order(n, own):
    X = points(n)
    targets = X if own else points(1300, seed=1)
    limits_M = -1e-6 - np.random.default_rng(2).random(len(targets)) ** 4
    whole_NM = nearness(X, targets, 1.5)
    rows, columns, near = found(X, targets, limits_M, 1.5)
    expected = np.nonzero(whole_NM > limits_M)
    assert np.array_equal(rows, expected[0])
    assert np.array_equal(columns, expected[1])
    assert np.allclose(near, whole_NM[expected], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n_blocks", range(1, 12))
def test_every_two_blocks_meet_once_and_all_meet_as_many(n_blocks):
    met = [_met(b, n_blocks) for b in range(n_blocks)]
    pairs = [frozenset((b, c)) for b in range(n_blocks) for c in met[b]]
    assert len(pairs) == len(set(pairs)) == n_blocks * (n_blocks + 1) // 2
    assert max(map(len, met)) - min(map(len, met)) <= 1


def test_pairs_that_are_not_near_enough_any_more_are_left_out():
    lists, near_BC = PairLists(40), nearness(points(40), points(30, seed=1))
    lists.add(0, 0, near_BC, -4.0)
    lists.keep_nearer(-1.0)
    assert len(lists) == sum(map(len, lists.nearness())) == (near_BC > -1.0).sum()
    ((starts, targets, near),) = lists.by_row()
    assert np.array_equal(np.diff(starts), (near_BC > -1.0).sum(axis=1))
    assert np.array_equal(near, near_BC[near_BC > -1.0])
    assert np.array_equal(targets, np.nonzero(near_BC > -1.0)[1])


def test_the_nearest_of_other_rows():
    X, others = points(300), points(5000, seed=1)
    near = Nearness(X).nearest(others, slice(50, 90))
    assert np.allclose(near, nearness(X[50:90], others).max(axis=1), rtol=1e-9)
    assert np.array_equal(Nearness(X).nearest(others[:0], slice(0, 3)), np.full(3, -np.inf))


def test_the_number_of_threads_does_not_change_a_bit():
    X, answers = points(9000, 8, dtype=np.float32), []
    for threads in (1, 2):
        with thread_limit(threads):
            answers.append([part.tobytes() for part in found(X, X, np.full(9000, -0.5, np.float32))])
    assert answers[0] == answers[1]
