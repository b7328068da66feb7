"""What strategies share that start from the labelled rows and go by distances."""

import numpy as np
import pytest

from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import coreset, lcmd
from tests.helpers import view_of


@pytest.fixture(params=[coreset, lcmd], ids=["coreset", "lcmd"])
def choose(request):
    def chosen(X_ND, k, labelled=()):
        return select(strategy_of(request.param), view_of(X_ND, labelled=labelled), k, seed=0, options={})

    return chosen


def test_without_labels_the_longest_row_comes_first(choose):
    chosen = choose(np.array([[1, 0], [0, -3], [2, 2]], np.float32), 2)
    assert chosen.rows_K.tolist() == [1, 2]
    assert np.allclose(chosen.scores_K, [3, np.sqrt(29)])


def test_copies_of_labelled_rows_come_last(choose):
    X = np.random.default_rng(4).standard_normal((40, 8)).astype(np.float32) + 100
    chosen = choose(np.concatenate([X, X]), 40, labelled=np.arange(20))
    assert sorted(chosen.rows_K[:20] % 40) == list(range(20, 40))
    assert (chosen.scores_K[20:] == 0).all()
    assert chosen.rows_K[20:].tolist() == sorted(chosen.rows_K[20:])
