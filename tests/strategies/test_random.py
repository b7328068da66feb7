import numpy as np

from alcli.numerics.hashing import hash_integers, uniforms
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import random
from tests.helpers import view_of

STRATEGY = strategy_of(random)


def test_picks_the_rows_of_the_smallest_draws():
    draws = uniforms(hash_integers(np.arange(50)), 3)
    chosen = select(STRATEGY, view_of(np.zeros((50, 2), np.float32)), 10, seed=3, options={})
    assert chosen.rows_K.tolist() == np.argsort(draws)[:10].tolist()
    assert np.allclose(chosen.scores_K, -np.sort(draws)[:10])


def test_every_row_is_picked_equally_often():
    view, counts = view_of(np.zeros((20, 1), np.float32)), np.zeros(20)
    for seed in range(2000):
        counts[select(STRATEGY, view, 5, seed=seed, options={}).rows_K] += 1
    # 20 cells of mean 500; chi-square with 19 degrees of freedom (shrunk by sampling without replacement) is below
    # 43.8 with odds 0.999.
    assert ((counts - 500) ** 2 / 500).sum() < 43.8


def test_a_row_keeps_its_place_when_others_leave_the_pool():
    X = np.zeros((100, 1), np.float32)
    everyone = select(STRATEGY, view_of(X), 100, seed=1, options={}).rows_K
    half = select(STRATEGY, view_of(X, labelled=np.arange(0, 100, 2)), 50, seed=1, options={}).rows_K
    assert half.tolist() == [row for row in everyone if row % 2]
