import numpy as np
import pytest

from alcli.numerics.blocks import thread_limit
from alcli.numerics.diversity import balls
from alcli.numerics.diversity.balls import are_within, ball_cover


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


def covered_by(centres, targets, radius):
    return (gaps(targets, centres) < radius).any(axis=1)


@pytest.mark.parametrize(("n", "M", "radius"), [(60, 60, 1.0), (2500, 700, 0.8), (300, 900, 0.3)])
@pytest.mark.parametrize("L", [0, 4])
def test_covers_as_counting_anew_at_every_pick_does(n, M, radius, L):
    X, targets, centres = points(n), points(M, seed=1), points(L, seed=2)
    found = ball_cover(X, n, targets, centres, radius)
    expected, values = by_brute_force(gaps(X, targets) < radius, n, covered_by(centres, targets, radius))
    assert found.radius == radius
    assert found.picks.tolist() == expected
    assert found.counts.tolist() == values


def test_rows_that_are_the_targets_are_covered_as_a_copy_of_them():
    X = points(7000, 6, dtype=np.float32)
    own, plain = ball_cover(X, 30, X, X[:0], 1.1), ball_cover(X, 30, X.copy(), X[:0], 1.1)
    assert own.picks.tolist() == plain.picks.tolist()
    assert own.counts.tolist() == plain.counts.tolist()


def test_the_last_rows_have_balls_too():
    # The published code drops the last n mod 500 rows.
    X = np.concatenate([10.0 * np.arange(500)[:, None], np.full((7, 1), -50.0)])
    assert ball_cover(X, 1, X, X[:0], 1.0).picks.tolist() == [500]


def test_nothing_is_picked_once_all_is_covered():
    X = points(30)
    assert len(ball_cover(X, 5, X, X[:0], 100.0).picks) == 1
    assert len(ball_cover(X, 5, X, X, 1.0).picks) == 0


@pytest.mark.parametrize("times", [1.1, 1.5, 30.0])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_a_radius_of_too_many_pairs_is_lowered_as_little_as_need_be(monkeypatch, own, times, dtype):
    # So many times too many: 1.1 is found out at the end, 30 again and again on the way.
    monkeypatch.setattr(balls, "MOST_PAIRS", 12_000)
    X = points(5000, dtype=dtype)
    targets = X if own else X[:300]
    within = gaps(X, targets)
    radius = np.quantile(within, times * 12_000 / within.size)
    found = ball_cover(X, 40, targets, X[:2], radius)
    assert found.radius < radius
    n_pairs = np.count_nonzero(within < found.radius)
    assert 0.99 * 12_000 <= n_pairs <= 12_002  # rounding decides on the border
    if dtype is np.float64:
        expected, values = by_brute_force(within < found.radius, 40, covered_by(X[:2], targets, found.radius))
        assert found.picks.tolist() == expected
        assert found.counts.tolist() == values


def test_where_copies_alone_are_too_many_pairs_no_ball_is_left(monkeypatch):
    monkeypatch.setattr(balls, "MOST_PAIRS", 1000)
    X = np.ones((3000, 2))
    found = ball_cover(X, 5, X, X[:0], 0.5)
    assert found.radius == 0.0
    assert len(found.picks) == 0


def test_the_number_of_threads_does_not_matter(monkeypatch):
    monkeypatch.setattr(balls, "MOST_PAIRS", 200_000)
    X = points(9000, 8, dtype=np.float32)
    answers = []
    for threads in (1, 2):
        with thread_limit(threads):
            found = ball_cover(X, 50, X[:700], X[:0], 2.5)
            answers.append((found.picks.tobytes(), found.counts.tobytes(), found.radius))
    assert answers[0] == answers[1]
    assert answers[0][2] < 2.5


def test_targets_near_any_centre():
    X, centres = points(200), points(9, seed=1)
    assert (are_within(X, centres, 0.7) == (gaps(X, centres).min(axis=1) < 0.7)).all()
    assert not are_within(X, centres[:0], 0.7).any()
