"""Batches that a budget buys, for any strategy."""

from __future__ import annotations

import numpy as np
import pytest

from alcli import plugins
from alcli.errors import UsageError
from alcli.strategies._budget import affordable, select_within
from alcli.strategies._contract import select
from tests.helpers import random_head, view_of

N, D, C = 60, 4, 3
X = np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)
COSTS = np.random.default_rng(1).uniform(1.0, 5.0, N)


def within(name, budget, costs=COSTS, **view):
    view = {"labelled": range(5), "labels": np.zeros(5, int), "head": random_head(D, C), **view}
    return select_within(plugins.strategy(name), name, view_of(X, **view), budget, costs, seed=0, options={})


def test_scores_are_divided_by_costs_and_items_taken_while_they_fit():
    chosen = within("margin", 30.0)
    scores = select(plugins.strategy("margin"), view_of(X, labelled=range(5), head=random_head(D, C)), N, seed=0, options={})
    ratio = dict(zip(scores.rows_K.tolist(), scores.scores_K / COSTS[scores.rows_K]))
    left, expected = 30.0, []
    for row in sorted(ratio, key=lambda row: -ratio[row]):
        if COSTS[row] <= left:
            expected.append(row)
            left -= COSTS[row]
    assert chosen.rows_K.tolist() == expected
    assert np.allclose(chosen.scores_K, [ratio[row] for row in expected], rtol=1e-6)
    assert np.isclose(chosen.record["cost"], COSTS[chosen.rows_K].sum())
    assert chosen.record["cost"] <= 30.0


@pytest.mark.parametrize("name", ["badge", "coreset", "kmeans", "margin:0.5,random:0.5", "random"])
@pytest.mark.parametrize("budget", [0.5, 1.5, 20.0, 1000.0])
def test_the_budget_is_kept_and_nothing_that_fits_is_left_unless_it_was_not_picked(name, budget):
    chosen = within(name, budget)
    assert COSTS[chosen.rows_K].sum() <= budget
    assert len(set(chosen.rows_K.tolist())) == len(chosen.rows_K)
    rest = np.setdiff1d(np.arange(5, N), chosen.rows_K)
    assert len(rest) == 0 or COSTS[rest].min() > budget - COSTS[chosen.rows_K].sum()


def test_equal_costs_are_a_count():
    chosen = within("coreset", 12.0, np.full(N, 2.0))
    assert chosen.rows_K.tolist() == select(plugins.strategy("coreset"), view_of(X, labelled=range(5)), 6, seed=0, options={}).rows_K.tolist()
    assert chosen.notes == ("6 items cost 12 of 12",)


def test_no_candidates_and_a_budget_of_tenths():
    assert len(within("coreset", 5.0, candidates=[]).rows_K) == 0
    assert affordable(np.full(10, 0.1), 1.0).sum() == 10
    assert affordable(np.array([3.0, 9.0, 1.0]), 4.0).tolist() == [True, False, True]


def test_scores_that_can_be_negative_are_refused():
    strategy = plugins.strategy("margin")
    negative = type(strategy)(lambda log_probs_BC: log_probs_BC.max(axis=1), strategy.needs, pointwise=True, random=False)
    with pytest.raises(UsageError, match="'x' can be negative"):
        select_within(negative, "x", view_of(X, head=random_head(D, C)), 5.0, COSTS, seed=0, options={})
