import numpy as np
import pytest

from alcli.errors import UsageError
from alcli.numerics.hashing import hash_integers, uniforms
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import power_bald
from alcli.strategies.bald import bald
from tests.committees import draws_of, fitted, members

STRATEGY = strategy_of(power_bald)


def test_score_is_the_power_of_bald_with_gumbel_noise_of_the_id():
    log_probs, keys = members(20, 6, 3), hash_integers(np.arange(20))
    noise = -np.log(-np.log(uniforms(keys, 5, 1)))
    assert np.allclose(power_bald.power_bald(log_probs, keys, seed=5, beta=2.5), 2.5 * np.log(bald(log_probs)) + noise)
    assert np.allclose(power_bald.power_bald(log_probs, keys, seed=5, beta=0.0), noise)


@pytest.mark.parametrize("beta", [0.5, 1.0, 2.0])
def test_a_row_is_drawn_in_proportion_to_its_bald_to_the_power(beta):
    log_probs, keys, counts = members(6, 5, 3), hash_integers(np.arange(6)), np.zeros(6)
    for seed in range(3000):
        counts[power_bald.power_bald(log_probs, keys, seed=seed, beta=beta).argmax()] += 1
    expected = bald(log_probs) ** beta
    expected *= 3000 / expected.sum()
    # Chi-square with 5 degrees of freedom is below 20.5 with odds 0.999.
    assert ((counts - expected) ** 2 / expected).sum() < 20.5


def test_large_powers_rank_as_bald_does():
    log_probs, keys = members(20, 6, 3), hash_integers(np.arange(20))
    scores = power_bald.power_bald(log_probs, keys, seed=0, beta=1e6)
    assert np.argsort(-scores).tolist() == np.argsort(-bald(log_probs)).tolist()


def test_rows_without_information_come_last_and_finite():
    log_probs = np.concatenate([np.zeros((3, 4, 1)), np.zeros((3, 4, 1))])
    assert np.isfinite(power_bald.power_bald(log_probs, hash_integers(np.arange(6)), seed=0)).all()


@pytest.mark.parametrize("beta", [-1.0, np.inf, np.nan])
def test_a_power_that_is_none_is_refused(beta):
    with pytest.raises(UsageError, match="'beta' must be a finite number of at least 0"):
        power_bald.power_bald(members(2, 2, 2), hash_integers(np.arange(2)), seed=0, beta=beta)


def test_a_laplace_posterior_gives_what_the_arrays_give():
    model, view = fitted()
    chosen = select(STRATEGY, view, 8, seed=2, options={"beta": 3.0})
    scores = power_bald.power_bald(draws_of(model, view, 100, seed=2), hash_integers(view.rows), seed=2, beta=3.0)
    assert chosen.rows_K.tolist() == view.rows[np.argsort(-scores, kind="stable")[:8]].tolist()
