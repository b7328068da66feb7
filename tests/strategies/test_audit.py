"""audit: chances follow the confidence of the head, or the variance of a number; weights are their inverse."""

from __future__ import annotations

import numpy as np
import pytest

from alcli.numerics.audit.draw import arrivals
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.strategies import audit
from tests.helpers import normal_rows, random_head, view_of

STRATEGY = strategy_of(audit)
X_ND, HEAD = normal_rows(50, 4), random_head(4, 3)


def test_the_weights_are_those_of_the_formula():
    chosen = select(STRATEGY, view_of(X_ND, head=HEAD), 50, seed=1, options={})
    c_N = np.exp(HEAD.predictive(X_ND).max(axis=1))
    spread_N = np.sqrt(c_N * (1 - c_N))
    q_N = 0.5 / 50 + 0.5 * spread_N / spread_N.sum()
    np.testing.assert_allclose(chosen.weights_K, 1 / (50 * q_N[chosen.rows_K]), rtol=1e-6)
    np.testing.assert_allclose(chosen.scores_K, 50 * q_N[chosen.rows_K], rtol=1e-6)


def test_labelled_rows_are_drawn_where_they_are_candidates():
    view = view_of(X_ND, head=HEAD, labelled=np.arange(20), candidates=np.arange(50))
    assert sorted(select(STRATEGY, view, 50, seed=1, options={}).rows_K) == list(range(50))


def test_rows_come_in_the_order_of_their_arrival():
    chosen = select(STRATEGY, view_of(X_ND, head=HEAD), 50, seed=1, options={})
    seed = int(np.random.default_rng(np.random.SeedSequence(1)).integers(1 << 62))
    view = view_of(X_ND, head=HEAD)
    times_K = arrivals(view.row_keys(chosen.rows_K), chosen.scores_K.astype(float) / 50, seed)
    assert (np.diff(times_K) > 0).all()


class Numbers:
    """A head that predicts numbers; its variance is the square of the first feature."""

    n_classes = None

    def label_variance(self, X_BD):
        return X_BD[:, 0].astype(np.float64) ** 2


def test_numbers_follow_the_variance():
    chosen = select(STRATEGY, view_of(X_ND, head=Numbers()), 50, seed=2, options={})
    variance_N = X_ND[:, 0].astype(np.float64) ** 2
    q_N = 0.5 / 50 + 0.5 * variance_N / variance_N.sum()
    np.testing.assert_allclose(chosen.weights_K, 1 / (50 * q_N[chosen.rows_K]), rtol=1e-5)


@pytest.mark.parametrize("certain", [0.0, 1000.0])
def test_a_head_that_doubts_all_rows_alike_draws_at_random(certain):
    head = random_head(4, 2, scale=certain, spread=0.0)
    chosen = select(STRATEGY, view_of(np.abs(X_ND) + 1, head=head), 50, seed=1, options={})
    np.testing.assert_allclose(chosen.weights_K, 1.0, rtol=1e-6)
