import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import typiclust
from alcli.strategies.typiclust import _visits
from tests.helpers import view_of

STRATEGY = strategy_of(typiclust)


def choose(X_ND, k, labelled=(), seed=0, **options):
    return select(STRATEGY, view_of(X_ND, labelled=labelled), k, seed=seed, options=options)


def blobs(sizes, seed=0):
    rng = np.random.default_rng(seed)
    centres = 50.0 * np.eye(len(sizes))
    return np.concatenate([c + rng.standard_normal((n, len(sizes))) for n, c in zip(sizes, centres)]).astype(np.float32)


def most_typical(X_MD):
    """Place and typicality of the most typical row: 1 / (mean squared distance to the k nearest others + 1e-5),
    float64.
    """
    X_MD = X_MD.astype(np.float64)
    k = min(20, len(X_MD) // 2)
    nearest = np.sort(((X_MD[:, None] - X_MD[None]) ** 2).sum(-1), axis=1)[:, 1 : k + 1]
    typicality = 1 / (nearest.mean(1) + 1e-5)
    return int(typicality.argmax()), typicality.max()


def test_picks_the_most_typical_row_of_each_blob_largest_first():
    sizes = [30, 60, 12, 45]
    X, starts = blobs(sizes), np.cumsum([0, 30, 60, 12])
    chosen = choose(X, 4, seed=1)
    expected = [(starts[i] + most_typical(X[starts[i] : starts[i] + sizes[i]])[0]) for i in (1, 3, 0, 2)]
    assert chosen.rows_K.tolist() == expected
    assert np.allclose(
        chosen.scores_K, [most_typical(X[starts[i] : starts[i] + sizes[i]])[1] for i in (1, 3, 0, 2)], rtol=1e-5
    )


def test_squared_distances_by_hand():
    # Rows 0, 1, 2, 6 on a line, k = 2: squared means (1+4)/2, (1+1)/2, (1+4)/2, (16+25)/2; row 1 wins with 1 / (1 +
    # 1e-5).
    chosen = choose(np.array([[0], [1], [2], [6]], np.float32), 1)
    assert chosen.rows_K.tolist() == [1]
    assert np.allclose(chosen.scores_K, 1 / (1 + 1e-5))


def test_clusters_with_labels_wait_for_those_without():
    sizes = [40, 20]
    X = blobs(sizes)
    chosen = choose(X, 1, labelled=[0])
    assert chosen.rows_K[0] >= 40


def test_visits_go_round_by_labels_then_size():
    labels = np.repeat([0, 1, 2, 3], [10, 8, 7, 3])
    is_labelled = np.zeros(28, bool)
    is_labelled[[0, 10, 11]] = True
    visits = list(_visits(labels, is_labelled, min_size=5))
    assert visits[:6] == [2, 0, 1, 2, 0, 1]  # cluster 3 is too small and waits
    assert visits[-3:] == [3, 3, 3]
    assert np.bincount(visits).tolist() == [9, 6, 7, 3]


def test_a_cluster_of_exactly_the_limit_waits():
    assert list(_visits(np.repeat([0, 1], [5, 6]), np.zeros(11, bool), min_size=5)) == [1] * 6 + [0] * 5


def test_small_clusters_serve_when_all_are_small():
    X = blobs([4, 3, 2])
    chosen = choose(X, 3, seed=2)
    assert sorted(np.digitize(chosen.rows_K, [4, 7])) == [0, 1, 2]


def test_in_a_small_pool_clusters_of_few_rows_are_not_small():
    """12 clusters of 4 rows and 2 of 8: the limit of 5 would leave all but the two large ones out."""
    X = blobs([8, 8] + [4] * 12, seed=4)
    chosen = choose(X, 14)
    assert np.unique(np.digitize(chosen.rows_K, np.cumsum([8, 8] + [4] * 12))).tolist() == list(range(14))


def test_later_rounds_take_the_next_typical_row_of_those_left():
    X = blobs([25, 25], seed=3)
    chosen = choose(X, 6, max_clusters=2)
    for blob in (np.arange(25), np.arange(25, 50)):
        mine, left = [r for r in chosen.rows_K if r in blob], blob
        for pick in mine:
            assert pick == left[most_typical(X[left])[0]]
            left = np.setdiff1d(left, pick)
        assert len(mine) == 3


def test_options_out_of_range_are_refused():
    with pytest.raises(UsageError, match="neighbours"):
        choose(blobs([9, 9]), 2, neighbours=0)
