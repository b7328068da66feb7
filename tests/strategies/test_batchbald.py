import itertools

import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import bald, batchbald
from alcli.strategies.batchbald import greedy
from tests.committees import draws_of, fitted, information_by_entropies, members, of_probs

STRATEGY = strategy_of(batchbald)


def picked(log_probs, k, configurations=10_000, seed=0):
    scores = bald.bald(log_probs).astype(np.float32)
    return greedy(log_probs, scores, k, configurations, np.random.default_rng(seed))[:2]


def joint_information(log_probs, rows):
    """I(labels of the rows together; draws), written out over all C^K labellings."""
    _, _, C = log_probs.shape
    labels = itertools.product(range(C), repeat=len(rows))
    joint = np.stack([sum(log_probs[r, :, c] for r, c in zip(rows, every)) for every in labels], axis=1)
    return information_by_entropies(joint[None])[0]


def by_brute_force(log_probs, k):
    rows, left = [], list(range(len(log_probs)))
    for _ in range(k):
        best = max(left, key=lambda r: (np.float32(joint_information(log_probs, [*rows, r])), -r))
        rows.append(best)
        left.remove(best)
    return rows


def test_by_hand():
    # Four draws. Rows 0 and 1 tell {0,1} from {2,3} (copies), row 2 tells {0,2} from {1,3} less surely: it completes
    # row 0.
    sharp, soft = np.eye(2)[[0, 0, 1, 1]], np.array([[0.9, 0.1], [0.1, 0.9], [0.9, 0.1], [0.1, 0.9]])
    rows, gains = picked(of_probs([sharp, sharp, soft]), 3)
    assert rows.tolist() == [0, 2, 1]
    assert np.allclose(gains, [np.log(2), np.log(2) + 0.9 * np.log(0.9) + 0.1 * np.log(0.1), 0], atol=1e-7)


@pytest.mark.parametrize(("C", "k"), [(2, 6), (4, 3), (3, 3), (8, 2), (1, 4)])
@pytest.mark.parametrize("seed", range(3))
def test_exact_batches_are_those_of_brute_force(C, k, seed):
    log_probs = members(15, 6, C, seed=seed)
    rows, gains = picked(log_probs, k)
    assert rows.tolist() == by_brute_force(log_probs, k)
    assert np.allclose(np.cumsum(gains), [joint_information(log_probs, rows[: i + 1]) for i in range(k)], atol=1e-6)


def test_a_batch_of_one_is_balds_and_two_copies_of_a_row_say_less_than_twice():
    log_probs = members(30, 8, 3)
    best = bald.bald(log_probs).argmax()
    rows, gains = picked(np.repeat(log_probs[best : best + 1], 2, axis=0), 2)
    assert rows.tolist() == [0, 1]
    assert gains[0] == bald.bald(log_probs)[best].astype(np.float32)
    assert 0 < gains[1] < gains[0]
    assert picked(log_probs, 1)[0].tolist() == [best]


def test_gains_never_rise_while_configurations_are_complete_and_are_never_negative_later():
    log_probs = members(40, 8, 2)
    exact = picked(log_probs, 12)[1]
    assert (np.diff(exact) <= 0).all()
    assert (picked(log_probs, 30, configurations=50)[1] >= 0).all()


def test_many_samples_pick_a_batch_as_good_as_the_exact_one():
    log_probs = members(25, 6, 3)
    exact, sampled = picked(log_probs, 7)[0], picked(log_probs, 7, configurations=700)[0]
    assert joint_information(log_probs, sampled) > 0.99 * joint_information(log_probs, exact)


def test_the_picks_of_complete_configurations_are_counted():
    log_probs = members(25, 6, 3)
    for configurations, exact in ((10_000, 7), (3**4, 5), (3**4 - 1, 4), (1, 1)):
        assert (
            greedy(log_probs, bald.bald(log_probs).astype(np.float32), 7, configurations, np.random.default_rng(0))[2]
            == exact
        )


def test_rows_that_are_passed_over_would_not_have_been_picked(monkeypatch):
    log_probs = members(300, 10, 3, scale=1.0)
    lazy = picked(log_probs, 9, configurations=500)
    looked_at = []
    monkeypatch.setattr(
        batchbald, "best_rows", lambda bounds, k, score: looked_at.append(1) or _every_row(bounds, score)
    )
    every = picked(log_probs, 9, configurations=500)
    assert len(looked_at) == 8
    assert lazy[0].tolist() == every[0].tolist()
    assert lazy[1].tolist() == every[1].tolist()


def _every_row(bounds, score):
    scores = score(np.arange(len(bounds))).astype(np.float32)
    return np.array([scores.argmax()]), np.array([scores.max()]), np.arange(len(bounds))


def test_bald_fills_a_batch_with_copies_and_batchbald_does_not():
    rng = np.random.default_rng(0)
    log_probs = np.concatenate(
        [np.repeat(members(1, 10, 3, scale=9.0), 10, axis=0), members(30, 10, 3, seed=1, scale=6.0)]
    )
    log_probs = log_probs[rng.permutation(40)]
    rows = picked(log_probs, 5)[0]
    assert len(np.unique(bald.bald(log_probs)[rows].round(9))) == 5


def test_a_laplace_posterior_gives_what_the_arrays_give():
    model, view = fitted(n=120)
    chosen = select(STRATEGY, view, 4, seed=5, options={})
    rows, gains = picked(draws_of(model, view, 50, seed=5), 4)
    assert chosen.rows_K.tolist() == view.rows[rows].tolist()
    assert np.allclose(chosen.scores_K, gains, rtol=1e-5)
    assert chosen.notes == ()


def test_the_rows_of_highest_bald_are_enough_when_the_note_says_so():
    _, view = fitted(n=300)
    whole = select(STRATEGY, view, 5, seed=0, options={"samples": 20})
    sure = []
    for candidates in (10, 60, 280):
        part = select(STRATEGY, view, 5, seed=0, options={"samples": 20, "candidates": candidates})
        left_out = select(strategy_of(bald), view, 288, seed=0, options={"samples": 20}).scores_K[candidates]
        sure.append(int((np.cumprod(part.scores_K > left_out)).sum()))
        assert part.rows_K[: sure[-1]].tolist() == whole.rows_K[: sure[-1]].tolist()
        assert f"looked at the {candidates} of 288 candidates" in part.notes[0]
        said = {0: "no pick is", 5: "all picks are"}.get(sure[-1], f"the first {sure[-1]} of 5 picks are")
        assert said in part.notes[0]
    assert sure == sorted(sure)
    assert sure[-1] == 5


def test_more_rows_are_looked_at_than_asked_for_when_the_batch_is_larger():
    _, view = fitted(n=60)
    chosen = select(STRATEGY, view, 20, seed=0, options={"candidates": 3, "samples": 5, "configurations": 50})
    assert len(set(chosen.rows_K.tolist())) == 20


def test_options_out_of_range_are_refused():
    _, view = fitted(n=30)
    for name in ("configurations", "candidates"):
        with pytest.raises(UsageError, match=name):
            select(STRATEGY, view, 2, seed=0, options={name: 0})
