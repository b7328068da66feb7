import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import bald
from tests.committees import draws_of, fitted, information_by_entropies, members, of_probs

STRATEGY = strategy_of(bald)


def test_by_hand():
    # Draws that are sure and opposed (one bit), unsure but agreed (nothing), and half-way: H(3/4, 1/4) - (log 2) / 2.
    log_probs = of_probs([[[1, 0], [0, 1]], [[0.5, 0.5], [0.5, 0.5]], [[0.5, 0.5], [1, 0]]])
    assert np.allclose(
        bald.bald(log_probs), [np.log(2), 0, -0.75 * np.log(0.75) - 0.25 * np.log(0.25) - 0.5 * np.log(2)]
    )


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 6))
def test_lies_between_0_and_the_log_of_the_classes(seed, S, C):
    scores = bald.bald(members(5, S, C, seed=seed, scale=5.0))
    assert (scores >= 0).all()
    assert (scores <= np.log(C) + 1e-12).all()
    assert (scores <= np.log(S) + 1e-12).all()


def test_a_laplace_posterior_is_asked_for_the_draws_of_the_seed():
    model, view = fitted()
    chosen = select(STRATEGY, view, 10, seed=3, options={})
    scores = information_by_entropies(draws_of(model, view, 100, seed=3))
    assert chosen.rows_K.tolist() == view.rows[np.argsort(-scores, kind="stable")[:10]].tolist()
    assert np.allclose(chosen.scores_K, np.sort(scores)[::-1][:10], rtol=1e-6)


def test_more_draws_are_looked_at_on_demand():
    model, view = fitted()
    chosen = select(STRATEGY, view, 5, seed=0, options={"samples": 7})
    assert np.allclose(
        chosen.scores_K, np.sort(information_by_entropies(draws_of(model, view, 7)))[::-1][:5], rtol=1e-6
    )
