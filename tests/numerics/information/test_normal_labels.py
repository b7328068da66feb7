"""Greedy information of normal labels, against log determinants written out and all batches by brute force."""

import itertools

import numpy as np
import pytest

from alcli.numerics.information.normal_labels import greedy_labels


def root(R=9, Q=4, seed=0):
    return np.random.default_rng(seed).standard_normal((R, Q)) * np.linspace(0.3, 2.0, R)[:, None]


def information(root_RQ, rows, noise):
    """1/2 log det(I + C / noise) over the given rows."""
    C = root_RQ[list(rows)] @ root_RQ[list(rows)].T
    return 0.5 * np.linalg.slogdet(np.eye(len(C)) + C / noise)[1]


def rows_of(items, starts, R):
    ends = np.append(starts[1:], R)
    return [row for i in items for row in range(starts[i], ends[i])]


@pytest.mark.parametrize("noise", [1e-3, 0.5, 40.0])
@pytest.mark.parametrize("starts", [np.arange(9), np.array([0, 1, 4, 6])], ids=["rows", "groups"])
def test_picks_and_gains_are_those_of_determinants_written_out(noise, starts):
    X, k = root(), len(starts)
    picks, gains = greedy_labels(X, starts, noise, k)
    assert sorted(picks.tolist()) == list(range(k))
    known = []
    for i, gain in zip(picks.tolist(), gains):
        before = information(X, rows_of(known, starts, 9), noise)
        each = [information(X, rows_of([*known, j], starts, 9), noise) - before for j in range(k) if j not in known]
        assert np.isclose(gain, max(each), rtol=1e-5, atol=1e-9)
        assert np.isclose(gain, information(X, rows_of([*known, i], starts, 9), noise) - before, rtol=1e-5, atol=1e-9)
        known.append(i)


def test_the_batch_is_near_the_best_of_all_batches_and_its_gains_add_up():
    X, noise = root(), 0.3
    picks, gains = greedy_labels(X, np.arange(9), noise, 3)
    best = max(information(X, batch, noise) for batch in itertools.combinations(range(9), 3))
    assert np.isclose(gains.sum(), information(X, picks, noise), rtol=1e-5)
    # Nemhauser's bound for greedy choice of a submodular function.
    assert best * (1 + 1e-6) >= gains.sum() > (1 - 1 / np.e) * best


def test_copies_count_once_and_zeros_come_last():
    X = root()
    X[3], X[8] = X[7], 0.0
    picks, gains = greedy_labels(X, np.arange(9), 1e-6, 9)
    places = {row: place for place, row in enumerate(picks.tolist())}
    assert abs(gains[max(places[3], places[7])]) < abs(gains[min(places[3], places[7])]) / 10
    assert gains[places[8]] == 0.0
    assert (np.diff(gains) <= 1e-6).all()


def test_everything_zero_takes_the_lowest():
    picks, gains = greedy_labels(np.zeros((4, 2)), np.arange(4), 1.0, 3)
    assert picks.tolist() == [0, 1, 2]
    assert (gains == 0).all()
