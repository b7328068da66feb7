import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import pdist

from alcli.strategies.cluster_margin import _pair_distances, average_clusters, in_turns


def points(n, D=3, seed=0):
    return np.random.default_rng(seed).standard_normal((n, D))


def partition(labels):
    return {frozenset(np.flatnonzero(labels == c).tolist()) for c in np.unique(labels)}


def by_definition(X, n_clusters):
    """Merge the two clusters of least mean distance until so many are left."""
    clusters = [[i] for i in range(len(X))]
    D = np.linalg.norm(X[:, None] - X[None], axis=-1)
    while len(clusters) > n_clusters:
        pairs = [
            (D[np.ix_(a, b)].mean(), i, j) for i, a in enumerate(clusters) for j, b in enumerate(clusters) if i < j
        ]
        _, i, j = min(pairs)
        clusters[i] += clusters.pop(j)
    return {frozenset(c) for c in clusters}


@pytest.mark.parametrize("n_clusters", [1, 2, 5, 20, 25, 90])
def test_clusters_are_those_of_the_definition(n_clusters):
    X = points(25)
    assert partition(average_clusters(X, at_least=n_clusters, eps=None)) == by_definition(X, min(n_clusters, 25))


def test_a_threshold_cuts_the_tree_and_leaves_enough_clusters():
    X = points(300)
    expected = fcluster(linkage(pdist(X), "average"), 1.5, "distance")
    assert partition(average_clusters(X, at_least=1, eps=1.5)) == partition(expected)
    assert len(partition(average_clusters(X, at_least=40, eps=1e9))) == 40
    assert len(partition(average_clusters(X * 1e-30, at_least=1, eps=1.5e-30))) == len(partition(expected))


def test_pair_distances_are_those_of_scipy():
    X = points(700, 5)
    assert np.allclose(_pair_distances(X), pdist(X), rtol=1e-9, atol=1e-7)


def test_one_row_is_one_cluster():
    assert average_clusters(points(1), at_least=1, eps=None).tolist() == [0]


def test_turns_go_round_small_clusters_first():
    labels = np.repeat([0, 1, 2], [5, 2, 3])
    for seed in range(5):
        picks = in_turns(labels, 10, np.random.default_rng(seed))
        assert sorted(picks) == list(range(10))
        assert labels[picks].tolist() == [1, 2, 0, 1, 2, 0, 2, 0, 0, 0]
    assert len({tuple(in_turns(labels, 3, np.random.default_rng(s))) for s in range(9)}) > 1


def test_every_row_of_a_cluster_may_come_first():
    labels = np.repeat([0, 1], [4, 6])
    firsts = [in_turns(labels, 1, np.random.default_rng(s))[0] for s in range(200)]
    assert set(firsts) == {0, 1, 2, 3}
