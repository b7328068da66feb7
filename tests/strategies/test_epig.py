import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from alcli.errors import UsageError
from alcli.numerics.blocks import workers
from alcli.numerics.information.committee import information
from alcli.numerics.information.pairs import Targets
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import epig
from tests.committees import draws_of, fitted, members
from tests.helpers import TableHead, view_of

STRATEGY = strategy_of(epig)


def written_out(rows, targets):
    """Mean over targets of sum J log(J / (p p')), from the joint of every pair."""
    P, Q = np.exp(rows), np.exp(targets)
    joint = np.einsum("bsi,tsj->btij", P, Q) / P.shape[1]
    apart = P.mean(1)[:, None, :, None] * Q.mean(1)[None, :, None, :]
    return (joint * np.log(joint / apart)).sum((2, 3)).mean(1)


def test_by_hand_only_what_bears_on_the_targets_counts():
    # Columns are independent of each other under the posterior, and the target lies along the first: the second says
    # nothing of it.
    X = np.array([[3.0, 0.0], [0.0, 50.0], [1.0, 0.0]])
    view = view_of(X, head=TableHead(np.zeros((2, 2)), spread=1.0), targets=np.array([[2.0, 0.0]]))
    chosen = select(STRATEGY, view, 3, seed=0, options={"samples": 4000})
    assert chosen.rows_K.tolist() == [0, 2, 1]
    assert chosen.scores_K[2] < 1e-3 < chosen.scores_K[1]


def test_a_laplace_posterior_and_named_targets_give_what_the_arrays_give():
    targets = np.random.default_rng(1).standard_normal((30, 5)).astype(np.float32) + 3
    model, view = fitted(targets=targets)
    chosen = select(STRATEGY, view, 12, seed=4, options={})
    theirs = view.sampling(100, 4).evaluate("sample_log_probs", targets)
    scores = written_out(draws_of(model, view, 100, seed=4), theirs).astype(np.float32)
    assert chosen.rows_K.tolist() == view.rows[np.argsort(-scores, kind="stable")[:12]].tolist()
    assert np.allclose(chosen.scores_K, np.sort(scores)[::-1][:12], rtol=1e-5)
    assert chosen.notes == ()


@given(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 5))
@settings(max_examples=40)
def test_never_more_than_bald(seed, S, C):
    rows, targets = members(6, S, C, seed=seed), members(9, S, C, seed=seed + 1)
    with workers() as spread:
        scores = Targets(targets).information(rows, spread).mean(axis=1)
    assert (scores >= 0).all()
    assert (scores <= information(rows) + 1e-13).all()


def test_targets_are_drawn_from_the_candidates_when_none_are_named():
    _, view = fitted()
    many, few = (select(STRATEGY, view, 5, seed=0, options={"n_targets": n}) for n in (388, 3))
    everyone = draws_of(None, view, 100)
    assert np.allclose(many.scores_K, np.sort(written_out(everyone, everyone))[::-1][:5], rtol=1e-5)
    assert many.rows_K.tolist() != few.rows_K.tolist() or not np.allclose(many.scores_K, few.scores_K)


def test_the_rows_of_highest_bald_are_enough_when_the_note_says_so():
    model, view = fitted(targets=np.random.default_rng(0).standard_normal((20, 5)))
    whole = select(STRATEGY, view, 6, seed=0, options={"samples": 40})
    bald = np.sort(information(draws_of(model, view, 40)))[::-1]
    for candidates in (6, 50, 300, 387):
        part = select(STRATEGY, view, 6, seed=0, options={"samples": 40, "candidates": candidates})
        sure = int(np.cumprod(part.scores_K > bald.astype(np.float32)[candidates]).sum())
        assert part.rows_K[:sure].tolist() == whole.rows_K[:sure].tolist()
        assert {0: "no pick is", 6: "all picks are"}.get(sure, f"the first {sure} of 6 picks are") in part.notes[0]
    assert part.rows_K.tolist() == whole.rows_K.tolist()


def test_options_out_of_range_are_refused():
    _, view = fitted(n=30)
    for name, word in (("n_targets", "n-targets"), ("candidates", "candidates")):
        with pytest.raises(UsageError, match=word):
            select(STRATEGY, view, 2, seed=0, options={name: 0})
