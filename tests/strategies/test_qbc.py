import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.numerics.hashing import uniforms
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import bald, qbc
from tests.committees import draws_of, fitted, members, of_probs


def test_vote_entropy_by_hand():
    # Votes 2 : 1 of three members, and unanimous.
    log_probs = of_probs([[[0.9, 0.1], [0.6, 0.4], [0.2, 0.8]], [[0.9, 0.1], [0.6, 0.4], [0.7, 0.3]]])
    assert np.allclose(qbc.qbc(log_probs), [-(2 / 3) * np.log(2 / 3) - (1 / 3) * np.log(1 / 3), 0])


def test_kl_by_hand():
    # Members (1, 0) and (1/2, 1/2), mean (3/4, 1/4): half of log(4/3) and of (log(2/3) + log 2) / 2.
    log_probs = of_probs([[[1, 0], [0.5, 0.5]]])
    assert np.allclose(qbc.qbc(log_probs, method="kl"), 0.5 * np.log(4 / 3) + 0.25 * (np.log(2 / 3) + np.log(2)))


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 6))
def test_kl_is_bald_of_the_same_members_and_vote_entropy_at_most_their_number(seed, S, C):
    log_probs = members(5, S, C, seed=seed, scale=4.0)
    assert qbc.qbc(log_probs, method="kl").tolist() == bald.bald(log_probs).tolist()
    votes = qbc.qbc(log_probs)
    assert (votes >= 0).all()
    assert (votes <= np.log(min(S, C)) + 1e-12).all()


@pytest.mark.parametrize("method", ["vote-entropy", "kl"])
def test_a_laplace_posterior_gives_five_members(method):
    model, view = fitted()
    chosen = select(strategy_of(qbc), view, 10, seed=1, options={"method": method})
    scores = qbc.qbc(draws_of(model, view, 5, seed=1), method=method).astype(np.float32)
    drawn = uniforms(view.row_keys(view.rows), 1, 2)  # what rows of equal score go by
    assert chosen.rows_K.tolist() == view.rows[np.lexsort((drawn, -scores))[:10]].tolist()
