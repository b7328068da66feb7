import numpy as np

from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import kmeans
from tests.helpers import view_of

STRATEGY = strategy_of(kmeans)


def blobs(sizes, seed=0):
    rng = np.random.default_rng(seed)
    centres = 20.0 * np.eye(len(sizes))
    return np.concatenate([c + 0.1 * rng.standard_normal((n, len(sizes))) for n, c in zip(sizes, centres)]).astype(
        np.float32
    )


def test_picks_the_row_nearest_to_the_mean_of_each_blob_largest_first():
    sizes = [30, 50, 20]
    X = blobs(sizes)
    chosen = select(STRATEGY, view_of(X), 3, seed=0, options={})
    parts = np.split(np.arange(100), [30, 80])
    nearest = [part[((X[part] - X[part].mean(0)) ** 2).sum(1).argmin()] for part in parts]
    assert chosen.rows_K.tolist() == [nearest[1], nearest[0], nearest[2]]
    assert chosen.scores_K.tolist() == [50, 30, 20]


def test_labelled_rows_play_no_part():
    X = blobs([20, 20])
    far = np.concatenate([X, np.full((5, 2), 900, np.float32)])
    alone = select(STRATEGY, view_of(X), 4, seed=3, options={})
    beside = select(STRATEGY, view_of(far, labelled=range(40, 45)), 4, seed=3, options={})
    assert alone.rows_K.tolist() == beside.rows_K.tolist()


def test_fewer_distinct_rows_than_picks():
    X = np.repeat(np.eye(3, dtype=np.float32), 5, axis=0)
    chosen = select(STRATEGY, view_of(X), 10, seed=0, options={})
    assert len(set(chosen.rows_K.tolist())) == 10
    assert set(chosen.rows_K // 5) == {0, 1, 2}
