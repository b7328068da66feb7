import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import mean_std
from tests.committees import draws_of, fitted, members, of_probs


def test_by_hand():
    # Class one: 0.2 and 0.4, class two: 0.8 and 0.6; both deviate by 0.1 from their means.
    log_probs = of_probs([[[0.2, 0.8], [0.4, 0.6]], [[1, 0], [0, 1]], [[0.3, 0.7], [0.3, 0.7]]])
    assert np.allclose(mean_std.mean_std(log_probs), [0.1, 0.5, 0])


@given(st.integers(0, 10**6), st.integers(1, 9), st.integers(1, 6))
def test_equals_numpys_deviation_of_the_population(seed, S, C):
    log_probs = members(5, S, C, seed=seed)
    assert np.allclose(mean_std.mean_std(log_probs), np.exp(log_probs).std(axis=1).mean(axis=1), atol=1e-15)
    assert (mean_std.mean_std(log_probs) <= 0.5).all()


def test_a_laplace_posterior_gives_what_the_arrays_give():
    model, view = fitted()
    chosen = select(strategy_of(mean_std), view, 10, seed=0, options={})
    scores = np.exp(draws_of(model, view, 100)).std(axis=1).mean(axis=1)
    assert chosen.rows_K.tolist() == view.rows[np.argsort(-scores, kind="stable")[:10]].tolist()
