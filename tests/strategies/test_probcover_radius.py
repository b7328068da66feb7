import numpy as np
import pytest

from alcli.numerics.rows import unit_rows
from alcli.strategies import probcover
from alcli.strategies.probcover import pure_radius
from tests.strategies.test_probcover import choose


def points(n, D=3, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((n, D)).astype(dtype)


def gaps(X, Y):
    return np.sqrt(((X[:, None].astype(np.float64) - Y[None].astype(np.float64)) ** 2).sum(-1))


@pytest.mark.parametrize("purity", [0.5, 0.95, 1.0])
def test_the_radius_is_the_largest_of_that_purity(purity):
    X, labels = points(300), np.random.default_rng(1).integers(3, size=300)
    X[:, 0] += 4.0 * labels
    radius = pure_radius(X, labels, np.arange(300), purity)

    def share(r):
        within = gaps(X, X) < r
        return np.mean([len(set(labels[w])) == 1 for w in within])

    assert share(radius - 1e-9) >= purity
    assert share(radius + 1e-9) < purity


def test_one_cluster_is_pure_at_any_radius():
    assert pure_radius(points(20), np.zeros(20, np.int64), np.arange(20), 0.95) == np.inf


def test_many_rows_are_clustered_by_a_random_part_of_them(monkeypatch):
    X = unit_rows(np.repeat(np.eye(3), 100, axis=0) + 0.02 * points(300))
    whole = choose(X, 3, classes=3).record["radius"]
    monkeypatch.setattr(probcover, "_CLUSTERED_ROWS", 120)
    chosen = choose(X, 3, classes=3)
    assert chosen.record["radius"] != whole
    assert chosen.record["radius"] == pytest.approx(whole, rel=0.1)
    assert np.sort(chosen.rows_K // 100).tolist() == [0, 1, 2]
