import numpy as np
import pytest

from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import lcmd
from tests.helpers import view_of
from tests.numerics.diversity.test_lcmd import naive

STRATEGY = strategy_of(lcmd)


def choose(X_ND, k, labelled=()):
    return select(STRATEGY, view_of(X_ND, labelled=labelled), k, seed=0, options={})


def test_by_hand_on_a_line():
    # Labelled 0 and 100. Around 0: 3, 4, 5 (sum 50); around 100: 106 (sum 36), farther. The pick is 5; it then owns 3
    # (4 < 9) and 4: sums 0, 36, 5, so 106 follows, then 3.
    X = np.array([[0], [3], [4], [5], [100], [106]], np.float32)
    chosen = choose(X, 4, labelled=[0, 4])
    assert chosen.rows_K.tolist() == [3, 5, 1, 2]
    assert chosen.scores_K.tolist() == [5, 6, 2, 1]


@pytest.mark.parametrize("labelled", [[], [4, 70, 200], list(range(0, 300, 4))])
def test_equals_the_naive_algorithm(labelled):
    X = np.random.default_rng(2).standard_normal((300, 17)).astype(np.float32)
    free = np.setdiff1d(np.arange(300), labelled)
    picks, distances = naive(X[free].astype(np.float64), 60, X[labelled].astype(np.float64))
    chosen = choose(X, 60, labelled)
    assert chosen.rows_K.tolist() == free[picks].tolist()
    assert np.allclose(chosen.scores_K, distances, rtol=1e-5)
