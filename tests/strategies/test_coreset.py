import numpy as np
import pytest

from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import coreset
from tests.helpers import view_of

STRATEGY = strategy_of(coreset)


def naive(X_ND, labelled, k):
    """k-centre greedy in float64, all distances written out."""
    X_ND = X_ND.astype(np.float64)
    distance = np.sqrt(((X_ND[:, None] - X_ND[None]) ** 2).sum(-1))
    picks, radii = [], []
    for _ in range(k):
        centres = [*labelled, *picks]
        reach = distance[:, centres].min(1) if centres else np.sqrt((X_ND**2).sum(1))
        reach[centres] = -1
        picks.append(int(reach.argmax()))
        radii.append(reach.max())
    return picks, radii


def choose(X_ND, k, labelled=()):
    return select(STRATEGY, view_of(X_ND, labelled=labelled), k, seed=0, options={})


def test_by_hand_on_a_line():
    # Labelled at 0: farthest is 10, then 5 (5 from both), then 2 or 7 (2 away; 2 has the lower id).
    X = np.array([[0], [2], [5], [7], [10]], np.float32)
    chosen = choose(X, 4, labelled=[0])
    assert chosen.rows_K.tolist() == [4, 2, 1, 3]
    assert chosen.scores_K.tolist() == [10, 5, 2, 2]


@pytest.mark.parametrize("labelled", [[], [4, 70, 200], list(range(0, 300, 4))])
def test_equals_the_naive_algorithm(labelled):
    X = np.random.default_rng(2).standard_normal((300, 17)).astype(np.float32)
    picks, radii = naive(X, labelled, 60)
    chosen = choose(X, 60, labelled)
    assert chosen.rows_K.tolist() == picks
    assert np.allclose(chosen.scores_K, radii, rtol=1e-5)


def test_scores_never_rise_after_the_first():
    scores = choose(np.random.default_rng(3).standard_normal((400, 5)).astype(np.float32), 100).scores_K
    assert (np.diff(scores[1:]) <= 0).all()


def test_huge_labelled_rows_beside_small_candidates():
    X = np.array([[1e30, 0], [1, 0], [0, 1]], np.float32)
    assert np.isfinite(choose(X, 2, labelled=[0]).scores_K).all()
