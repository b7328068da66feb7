import itertools

import numpy as np
import pytest

from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import kdpp
from tests.helpers import view_of

STRATEGY = strategy_of(kdpp)


def choose(X, k, seed=0, labelled=(), **options):
    return select(STRATEGY, view_of(X, labelled=labelled), k, seed=seed, options=options)


def test_a_batch_of_one_is_drawn_by_the_squared_norm():
    X = np.diag([1.0, 2.0, 3.0]) @ np.ones((3, 2))
    counts = np.bincount([choose(X, 1, seed=s).rows_K[0] for s in range(600)], minlength=3)
    expected = 600 * np.array([1, 4, 9]) / 14
    assert ((counts - expected) ** 2 / expected).sum() < 13.8  # chi-square, 2 degrees of freedom, 0.999


def test_pairs_are_drawn_by_their_squared_area():
    X = np.array([[1.0, 0.0], [1.0, 0.2], [0.0, 1.0], [-1.0, 0.5]])
    counts = {}
    for seed in range(1200):
        pair = tuple(sorted(choose(X, 2, seed=seed).rows_K.tolist()))
        counts[pair] = counts.get(pair, 0) + 1
    pairs = list(itertools.combinations(range(4), 2))
    areas = np.array([np.linalg.det(X[list(p)]) ** 2 for p in pairs])
    expected = 1200 * areas / areas.sum()
    assert (expected > 5).all()
    assert (
        sum((counts.get(p, 0) - e) ** 2 / e for p, e in zip(pairs, expected)) < 20.5
    )  # chi-square, 5 degrees of freedom, 0.999


def test_the_likeliest_batch_by_hand():
    # The longest row, then the one that sticks out most of its direction, (1, 0): not the second longest.
    X = np.array([[3.0, 0.0], [2.9, 0.5], [0.0, 1.0], [-2.0, 0.9]], np.float32)
    chosen = choose(X, 2, selection="map")
    assert chosen.rows_K.tolist() == [0, 2]
    assert np.allclose(chosen.scores_K, [3, 1])


@pytest.mark.parametrize("selection", ["sample", "map"])
def test_a_batch_beyond_the_rank_is_filled_and_this_is_said(selection):
    X = np.random.default_rng(0).standard_normal((30, 4)).astype(np.float32)
    chosen = choose(X, 9, selection=selection)
    assert len(set(chosen.rows_K.tolist())) == 9
    assert np.linalg.matrix_rank(X[chosen.rows_K[:4]]) == 4
    assert "rank 4" in chosen.notes[0]
    assert choose(X, 4, selection=selection).notes == ()


def test_the_seed_matters_to_draws_only():
    X = np.random.default_rng(0).standard_normal((60, 8))
    for selection, distinct in (("sample", 4), ("map", 1)):
        assert len({tuple(choose(X, 6, seed=s, selection=selection).rows_K.tolist()) for s in range(4)}) == distinct


def test_labelled_rows_play_no_part():
    X = np.random.default_rng(0).standard_normal((60, 8))
    far = np.concatenate([X, 100 + X[:5]])
    assert choose(X, 6).rows_K.tolist() == choose(far, 6, labelled=range(60, 65)).rows_K.tolist()
