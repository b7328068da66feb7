import numpy as np
import pytest

from alcli.numerics.diversity.lcmd import lcmd
from alcli.numerics.rows import Rows, feature_rows


def naive(E, k, centres=()):
    """Largest cluster, maximum distance, with all distances in float64; ties to the lowest cluster and row."""
    centres, picks, distances = list(centres), [], []
    for _ in range(k):
        if not centres:
            i, distance = int((E**2).sum(1).argmax()), np.sqrt((E**2).sum(1).max())
        else:
            sq = ((E[:, None] - np.array(centres)[None]) ** 2).sum(-1)
            labels, nearest = sq.argmin(1), sq.min(1)
            sums = [nearest[labels == c].sum() for c in range(len(centres))]
            members = np.where(labels == np.argmax(sums), nearest, -1.0)
            i = int(members.argmax()) if max(sums) > 0 else min(set(range(len(E))) - set(picks))
            distance = np.sqrt(nearest[i])
        picks.append(i)
        distances.append(distance)
        centres.append(E[i])
    return picks, distances


@pytest.mark.parametrize("n_centres", [0, 60])
def test_guessed_columns_change_nothing(n_centres):
    rng = np.random.default_rng(0)
    X, C = rng.standard_normal((800, 10)), rng.standard_normal((n_centres, 10))
    picks, distances = lcmd(*feature_rows(X)[:1], 100, feature_rows(C)[0])
    expected, expected_distances = naive(X, 100, C)
    assert picks.tolist() == expected
    assert np.allclose(distances, expected_distances)


def test_most_picks_are_guessed(monkeypatch):
    products = []
    whole = Rows.inner_with
    monkeypatch.setattr(Rows, "inner_with", lambda self, *rest: products.append(1) or whole(self, *rest))
    lcmd(feature_rows(np.random.default_rng(0).standard_normal((1000, 20)))[0], 100)
    assert len(products) <= 40


def test_a_dense_cluster_comes_before_a_lone_outlier():
    # Around 0: a crowd of 100 at distance 2, sum 400. Around 100: one row at distance 6, sum 36, which k-centre would
    # take.
    crowd = np.column_stack([2 * np.cos(np.arange(100)), 2 * np.sin(np.arange(100))])
    rows, centres = feature_rows(np.concatenate([crowd, [[100.0, 6.0]]]), np.array([[0.0, 0.0], [100.0, 0.0]]))
    assert lcmd(rows, 1, centres)[0][0] < 100
