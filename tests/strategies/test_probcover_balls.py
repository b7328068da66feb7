import numpy as np
import pytest

from alcli.numerics.blocks import thread_limit
from alcli.strategies import probcover as balls
from alcli.strategies.probcover import Balls, are_within, pure_radius


def points(n, D=3, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal((n, D)).astype(dtype)


def gaps(X, Y):
    return np.sqrt(((X[:, None].astype(np.float64) - Y[None].astype(np.float64)) ** 2).sum(-1))


def by_brute_force(within_NM, k, covered_M):
    left, picks, counts = ~covered_M, [], []
    while len(picks) < k and (within_NM & left).any():
        degrees = (within_NM & left).sum(axis=1)
        picks.append(int(degrees.argmax()))
        counts.append(int(degrees.max()))
        left = left & ~within_NM[picks[-1]]
    return picks, counts


@pytest.mark.parametrize(("n", "M", "radius"), [(60, 60, 1.0), (2500, 700, 0.8), (300, 900, 0.3)])
def test_covers_as_counting_anew_at_every_pick_does(n, M, radius):
    X, targets = points(n), points(M, seed=1)
    covered = np.random.default_rng(2).random(M) < 0.3
    within = gaps(X, targets) < radius
    found = Balls(X, targets, radius)
    assert (found.within_NM.toarray() == within).all()
    assert found.radius == radius
    picks, counts = found.cover(25, covered)
    expected, values = by_brute_force(within, 25, covered)
    assert picks.tolist() == expected
    assert counts.tolist() == values


def test_rows_that_are_the_targets_are_found_as_in_a_copy_of_them():
    X = points(7000, 6, dtype=np.float32)
    own, plain = Balls(X, X, 1.1), Balls(X, X.copy(), 1.1)
    assert abs(own.within_NM - plain.within_NM).nnz <= 4  # of those on the border, which rounding decides
    assert (own.within_NM != own.within_NM.T).nnz == 0
    covered = np.zeros(7000, bool)
    assert own.cover(30, covered)[0].tolist() == plain.cover(30, covered)[0].tolist()


def test_the_last_rows_have_balls_too():
    # The published code drops the last n mod 500 rows.
    X = np.concatenate([10.0 * np.arange(500)[:, None], np.full((7, 1), -50.0)])
    assert Balls(X, X, 1.0).cover(1, np.zeros(507, bool))[0].tolist() == [500]


def test_nothing_is_picked_once_all_is_covered():
    X = points(30)
    assert len(Balls(X, X, 100.0).cover(5, np.zeros(30, bool))[0]) == 1
    assert len(Balls(X, X, 1.0).cover(5, np.ones(30, bool))[0]) == 0


@pytest.mark.parametrize("times", [1.5, 30.0])
@pytest.mark.parametrize("own", [False, True])
def test_a_radius_of_too_many_pairs_is_lowered_and_its_balls_are_whole(monkeypatch, own, times):
    # So many times too many: 1.5 is found out on the way, 30 beforehand.
    monkeypatch.setattr(balls, "MOST_PAIRS", 12_000)
    monkeypatch.setattr(balls, "_AT_ONCE", 2048)
    X = points(5000)
    targets = X if own else X[:300]
    within = gaps(X, targets)
    radius = np.quantile(within, times * 12_000 / within.size)
    found = Balls(X, targets, radius)
    assert found.radius < radius
    assert 4000 <= found.within_NM.nnz <= 12_000
    sure = np.abs(within - found.radius) > 1e-6
    assert ((found.within_NM.toarray() > 0) == (within < found.radius))[sure].all()


def test_the_number_of_threads_does_not_matter():
    X = points(9000, 8, dtype=np.float32)
    answers = []
    for threads in (1, 2):
        with thread_limit(threads):
            found = Balls(X, X[:700], 1.2).within_NM
            answers.append((found.indices.tobytes(), found.indptr.tobytes()))
    assert answers[0] == answers[1]


def test_targets_near_any_centre():
    X, centres = points(200), points(9, seed=1)
    assert (are_within(X, centres, 0.7) == (gaps(X, centres).min(axis=1) < 0.7)).all()
    assert not are_within(X, centres[:0], 0.7).any()


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
