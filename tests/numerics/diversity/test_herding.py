import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.numerics import blocks
from alcli.numerics.diversity import herding
from alcli.numerics.diversity.herding import max_herding, smallest_distance
from alcli.numerics.rows import unit_rows


def points(n, D=5, seed=0, dtype=np.float64):
    return unit_rows(np.random.default_rng(seed).standard_normal((n, D)).astype(dtype))


def kernel(X, Y, h=1.0):
    return np.exp(-((X[:, None].astype(np.float64) - Y[None].astype(np.float64)) ** 2).sum(-1) / h**2)


def by_brute_force(X, k, targets, centres, h=1.0, weights=None):
    """Every gain anew at every pick, from the kernel written out."""
    K, weights = kernel(X, targets, h), np.ones(len(targets)) if weights is None else weights
    covered = kernel(centres, targets, h).max(axis=0) if len(centres) else np.zeros(len(targets))
    open_N, picks, gains = np.ones(len(X), bool), [], []
    for _ in range(k):
        gain_N = (weights * np.maximum(K - covered, 0.0)).mean(axis=1)
        picks.append(int(np.argmax(np.where(open_N, gain_N.astype(np.float32), -1.0))))
        gains.append(gain_N[picks[-1]])
        covered, open_N[picks[-1]] = np.maximum(covered, K[picks[-1]]), False
    return picks, gains


@pytest.mark.parametrize(
    ("n", "M", "L", "h"), [(40, 40, 0, 1.0), (700, 120, 3, 0.7), (300, 1100, 20, 0.3), (150, 150, 150, 1.0)]
)
@pytest.mark.parametrize("weighted", [False, True])
def test_lazy_greedy_picks_what_looking_at_every_gain_picks(n, M, L, h, weighted):
    X, targets, centres = points(n), points(M, seed=1), points(L, seed=2)
    weights = np.random.default_rng(3).random(M) if weighted else None
    picks, gains = max_herding(X, 30, targets, centres, bandwidth=h, weights_M=weights)
    expected, values = by_brute_force(X, 30, targets, centres, h, weights)
    assert picks.tolist() == expected
    assert np.allclose(gains, values, rtol=1e-9, atol=1e-15)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(n=st.integers(2, 60), L=st.integers(0, 3), seed=st.integers(0, 99), h=st.floats(0.2, 3.0))
def test_gains_never_rise_and_sum_to_the_coverage_of_the_batch(n, L, seed, h):
    X, centres, k = points(n, 3, seed), points(L, 3, seed + 1), max(1, n // 3)
    picks, gains = max_herding(X, k, X, centres, bandwidth=h)
    assert len(set(picks.tolist())) == k
    assert (np.diff(gains) <= 0.0).all()
    before = kernel(centres, X, h).max(axis=0).mean() if L else 0.0
    after = kernel(np.concatenate([X[picks], centres]), X, h).max(axis=0).mean()
    assert np.isclose(gains.sum(), after - before, rtol=1e-9, atol=1e-12)


def test_the_greedy_coverage_is_at_least_the_share_of_the_best_that_submodularity_promises():
    from itertools import combinations

    X = points(12, 2, seed=5)
    K = kernel(X, X, 0.5)
    best = max(K[list(batch)].max(axis=0).mean() for batch in combinations(range(12), 3))
    assert max_herding(X, 3, X, X[:0], bandwidth=0.5)[1].sum() >= (1 - 1 / np.e) * best


def test_by_hand():
    # Five rows at angle 0, two at a right angle (squared distance 2): the first pick covers five and e^-2 of two, the
    # second the rest.
    X = np.array([[0.0, 1.0]] * 2 + [[1.0, 0.0]] * 5)
    picks, gains = max_herding(X, 4, X, X[:0])
    assert picks.tolist() == [2, 0, 1, 3]  # then nothing gains, and the lowest follow
    assert np.allclose(gains, [(5 + 2 * np.exp(-2)) / 7, 2 * (1 - np.exp(-2)) / 7, 0, 0])


def test_weights_of_zero_leave_the_order_of_the_rows():
    assert max_herding(points(30), 5, points(9), points(2), weights_M=np.zeros(9))[0].tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("kept", [0, 2000, 20_000])
@pytest.mark.parametrize("L", [0, 9])
@pytest.mark.parametrize("own", [False, True])
def test_few_pairs_kept_give_the_same_picks(monkeypatch, kept, L, own):
    # 0: never those of all rows; 2,000: after many picks; 20,000: after a few.
    X, centres, weights = points(900, 4), points(L, 4, seed=2), np.random.default_rng(3).random(900)
    targets, weights = (X, weights) if own else (points(60, 4, seed=1), None)
    whole = max_herding(X, 60, targets, centres, weights_M=weights)
    monkeypatch.setattr(herding, "KEPT", kept)
    few = max_herding(X, 60, targets, centres, weights_M=weights)
    assert whole[0].tolist() == few[0].tolist()
    assert np.allclose(whole[1], few[1], rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize(("kept", "dense"), [(0, 16), (0, 1), (herding.KEPT, 16)])
@pytest.mark.parametrize("L", [0, 50])
def test_rows_that_are_the_targets_are_covered_as_by_a_copy_of_them(monkeypatch, kept, dense, L):
    # Four blocks of rows, the last one not whole: tiles serve their rows and their columns. dense=1: pairs one by one
    # wherever all do not gain.
    monkeypatch.setattr(herding, "KEPT", kept)
    monkeypatch.setattr(herding, "_DENSE", dense)
    X, weights = points(6500, 16, dtype=np.float32), np.random.default_rng(3).random(6500)
    weights[::7] = 0.0
    own = max_herding(X, 6, X, X[:L], weights_M=weights)
    plain = max_herding(X, 6, X.copy(), X[:L], weights_M=weights)
    assert own[0].tolist() == plain[0].tolist()
    assert np.allclose(own[1], plain[1], rtol=1e-6, atol=0.0)


@pytest.mark.parametrize(("kept", "L"), [(0, 0), (0, 300), (herding.KEPT, 300)])
@pytest.mark.parametrize("own", [False, True])
def test_the_number_of_threads_does_not_change_a_bit(monkeypatch, kept, L, own):
    monkeypatch.setattr(herding, "KEPT", kept)
    X, targets = points(6300, 16, dtype=np.float32), points(5000, 16, seed=1, dtype=np.float32)
    answers = []
    for threads in (1, 2, 3):
        monkeypatch.setattr(blocks, "n_threads", lambda threads=threads: threads)
        picks, gains = max_herding(X, 6, X if own else targets, X[:L])
        answers.append((picks.tobytes(), gains.tobytes()))
    assert answers[0] == answers[1] == answers[2]


def test_smallest_distance_above_zero():
    X = np.array([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0], [3.0, 5.0]])
    assert smallest_distance(X) == pytest.approx(1.0)
    assert smallest_distance(X[[0, 2]]) == np.inf
    assert smallest_distance(X[:0]) == np.inf
    Y = points(2500, 3)
    gaps = kernel(Y[:500], Y[:500])
    assert smallest_distance(Y[:500]) == pytest.approx(
        np.sqrt(-np.log(np.where(gaps < 1.0, gaps, 0.0).max())), rel=1e-6
    )
