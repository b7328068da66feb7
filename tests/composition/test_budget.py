"""Batches that a budget buys, for any strategy."""

from __future__ import annotations

import numpy as np
import pytest

from alcli import plugins
from alcli.composition.budget import affordable, select_within
from alcli.composition.modifiers import modified
from alcli.errors import UsageError
from alcli.selection.select import select
from tests.helpers import random_head, view_of

N, D, C = 60, 4, 3
X = np.random.default_rng(0).standard_normal((N, D)).astype(np.float32)
COSTS = np.random.default_rng(1).uniform(1.0, 5.0, N)


def seen(**view):
    return view_of(X, **{"labelled": range(5), "labels": np.zeros(5, int), "head": random_head(D, C), **view})


def within(name, budget, costs=COSTS, **view):
    return select_within(plugins.strategy(name), name, seen(**view), budget, costs, seed=0, options={})


def test_scores_are_divided_by_costs_and_items_taken_while_they_fit():
    chosen = within("margin", 30.0)
    scores = select(
        plugins.strategy("margin"), view_of(X, labelled=range(5), head=random_head(D, C)), N, seed=0, options={}
    )
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


@pytest.mark.parametrize("name", ["margin:0.5,random:0.5", "kmeans", "badge", "typiclust", "cluster-margin"])
def test_the_batch_is_one_that_the_budget_buys_as_a_whole(name):
    chosen = within(name, 40.0)
    sizes = [
        k
        for k in range(1, N)
        if select(plugins.strategy(name), seen(), k, seed=0, options={}).rows_K.tolist() == chosen.rows_K[:k].tolist()
    ]
    assert sizes
    whole = COSTS[chosen.rows_K[: max(sizes)]].sum()
    assert 0.7 * 40.0 <= whole <= 40.0
    added = len(chosen.rows_K) - max(sizes)
    assert (f"items added to a batch of {max(sizes)} with the rest of the budget: {added}" in chosen.notes) == (
        added > 0
    )


def test_parts_of_a_mix_keep_their_shares_where_a_dear_batch_has_to_shrink():
    margins = select(plugins.strategy("margin"), seen(), N, seed=0, options={}).rows_K
    costs = np.ones(N)
    costs[margins[:20]] = 4.0  # what margin wants is dear
    chosen = within("margin:0.5,random:0.5", 40.0, costs)
    by_margin, by_random = (
        int(note.split(f" by {part}")[0].split()[-1])
        for part in ("margin", "random")
        for note in chosen.notes
        if " by " in note
    )
    assert abs(by_margin - by_random) <= 1
    assert by_margin + by_random >= 10
    assert set(margins[:by_margin]) <= set(chosen.rows_K)


@pytest.mark.parametrize("name", ["kmeans", "badge", "margin:0.5,random:0.5", "auto", "margin", "random"])
@pytest.mark.parametrize("budget", [1.2, 25.0])
def test_what_is_bought_follows_the_ids_wherever_rows_lie(name, budget):
    order, labelled = np.random.default_rng(2).permutation(N), np.arange(5)
    moved = view_of(
        X[order], labelled=np.argsort(order)[labelled], labels=np.zeros(5, int), head=random_head(D, C), ids=order
    )
    there = select_within(plugins.strategy(name), name, moved, budget, COSTS[order], seed=0, options={})
    here = within(name, budget)
    assert order[there.rows_K].tolist() == here.rows_K.tolist()
    assert len(here.rows_K) > 0
    assert there.notes == here.notes


def test_a_budget_for_less_than_the_first_pick_still_says_how_the_batch_came_about():
    chosen = within("auto", 1.2)
    assert len(chosen.rows_K) == 1
    assert chosen.notes[0].startswith("auto takes")
    assert chosen.record["chosen"] == "uherding"
    assert chosen.notes[-1] == f"spent {COSTS[chosen.rows_K[0]]:g} of 1.2; items bought: 1"


def test_modifiers_hold_within_a_budget():
    for options, kept in (({"prefilter": 0.3}, 17), ({"balance": "predicted"}, 55)):
        strategy, own = modified(plugins.strategy("random"), options)
        chosen = select_within(strategy, "random", seen(), 12.0, COSTS, seed=0, options=own)
        margins = select(plugins.strategy("margin"), seen(), kept, seed=0, options={}).rows_K
        whole = next(
            (int(note.split()[6]) for note in chosen.notes if note.startswith("items added")), len(chosen.rows_K)
        )
        assert whole >= 2
        assert set(chosen.rows_K[:whole]) <= set(margins)
        if "balance" in options:
            assert np.bincount(random_head(D, C).log_probs(X[chosen.rows_K[:whole]]).argmax(1)).max() <= -(-whole // C)


def test_equal_costs_are_a_count():
    chosen = within("coreset", 12.0, np.full(N, 2.0))
    assert (
        chosen.rows_K.tolist()
        == select(plugins.strategy("coreset"), view_of(X, labelled=range(5)), 6, seed=0, options={}).rows_K.tolist()
    )
    assert chosen.notes == ("spent 12 of 12; items bought: 6",)


def test_no_candidates_and_a_budget_of_tenths():
    assert len(within("coreset", 5.0, candidates=[]).rows_K) == 0
    assert affordable(np.full(10, 0.1), 1.0).sum() == 10
    assert affordable(np.array([3.0, 9.0, 1.0]), 4.0).tolist() == [True, False, True]


def test_scores_that_can_be_negative_are_refused():
    strategy = plugins.strategy("margin")
    negative = type(strategy)(
        lambda log_probs_BC: log_probs_BC.max(axis=1), strategy.needs, pointwise=True, random=False
    )
    with pytest.raises(UsageError, match="'x' can be negative"):
        select_within(negative, "x", view_of(X, head=random_head(D, C)), 5.0, COSTS, seed=0, options={})
