"""Spending a budget on items that have prices, whatever the strategy.

Source: own rule; score per cost is the greedy order of the knapsack problem (Dantzig 1957, "Discrete-variable extremum problems").
Cost: that of ranking all candidates for a strategy that scores rows; of a few selections, of about as many items as the budget buys,
for another.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.composition.modifiers import joined
from alcli.errors import UsageError
from alcli.selection.order import finite32
from alcli.selection.select import select
from alcli.selection.strategy import Selection, Strategy
from alcli.selection.view import View

_ROUNDING = 1.0 + 1e-12  # of a budget: ten items at 0.1 cost 1
_TRIES = 6  # sizes of a batch that are tried

Choose = Callable[[View, int], Selection]


def select_within(
    strategy: Strategy, name: str, view: View, budget: float, costs_N: Float64, *, seed: int, options: Mapping[str, Any]
) -> Selection:
    """Items that cost at most `budget` together. Scores of a strategy that scores rows are divided by costs, and the best come first.

    A strategy that draws or chooses whole batches is asked for a batch that the budget buys as a whole, so that what a batch is made of
    (parts of a mix, classes in turn, clusters) is kept; what is left buys items of further batches, in their order, while any is cheap
    enough. Raises UsageError where a score to be divided is negative.
    """
    if strategy.pointwise and not strategy.random:
        chosen = _by_score(strategy, name, view, budget, costs_N, seed, options)
    else:
        chosen = _by_batches(partial(_asked, strategy, seed, options), view, budget, costs_N)
    spent = float(costs_N[chosen.rows_K].sum())
    note = f"spent {spent:g} of {budget:g}; items bought: {len(chosen.rows_K)}"
    return replace(chosen, notes=(*chosen.notes, note), record={**chosen.record, "cost": spent})


def _by_score(
    strategy: Strategy, name: str, view: View, budget: float, costs_N: Float64, seed: int, options: Mapping[str, Any]
) -> Selection:
    """The best scores per cost that fit."""
    ranked = select(strategy, view, view.n, seed=seed, options=options)
    if (ranked.scores_K < 0.0).any():
        raise UsageError(
            f"scores of '{name}' can be negative, so a score per cost says nothing", hint="leave out -p cost-col"
        )
    per_cost_K = finite32(ranked.scores_K.astype(np.float64) / costs_N[ranked.rows_K])
    order_K = np.argsort(-per_cost_K, kind="stable")
    rows_K = ranked.rows_K[order_K]
    taken = affordable(costs_N[rows_K], budget)
    return Selection(rows_K[taken], per_cost_K[order_K][taken], notes=ranked.notes, record=ranked.record)


def _asked(strategy: Strategy, seed: int, options: Mapping[str, Any], view: View, k: int) -> Selection:
    return select(strategy, view, k, seed=seed, options=options)


def _by_batches(choose: Choose, view: View, budget: float, costs_N: Float64) -> Selection:
    """A batch that fits as a whole; then what fits of one twice as large, and of batches of what is cheap enough for the rest."""
    whole = _largest_batch(choose, view, budget, costs_N)
    parts, wanted, within = (
        [whole],
        2 * len(whole.rows_K) + 1,
        view,
    )  # a greedy choice goes on from its earlier picks in a larger batch
    while True:
        taken = np.concatenate([part.rows_K for part in parts])
        left, others = budget - float(costs_N[taken].sum()), view.rows[~np.isin(view.rows, taken)]
        cheap = others[costs_N[others] <= left]
        if not len(cheap):
            break
        if len(parts) > 1:
            wanted, within = int(np.ceil(left / costs_N[cheap].mean())), view.among(cheap)
        parts.append(_fitting(choose(within, wanted), taken, left, costs_N))
    first = next((part for part in parts if len(part.rows_K)), whole)
    if len(taken) == len(first.rows_K):
        return first
    more = f"items added to a batch of {len(first.rows_K)} for what it left of the budget: {len(taken) - len(first.rows_K)}"
    return replace(joined(parts), notes=(*first.notes, more), record=first.record)


def _largest_batch(choose: Choose, view: View, budget: float, costs_N: Float64) -> Selection:
    """A batch that costs at most the budget, about as large as can be: sizes are tried that would spend it at the last one's prices."""
    best, least = (
        Selection(np.empty(0, np.int64), np.empty(0, np.float32)),
        view.n + 1,
    )  # least: a size that costs too much
    k = min(view.n, int(np.ceil(budget / costs_N[view.rows].mean()))) if view.n else 0
    for _ in range(_TRIES):
        if not len(best.rows_K) < k < least:
            break
        batch = choose(view, k)
        cost = float(costs_N[batch.rows_K].sum())
        if cost <= budget * _ROUNDING:
            best = batch
        else:
            least = k
        k = min(int(k * budget / cost), least - 1)
    return best


def _fitting(batch: Selection, taken: Int64, budget: float, costs_N: Float64) -> Selection:
    """What fits of a batch, in its order, without what was taken before."""
    is_new_K = ~np.isin(batch.rows_K, taken)
    is_new_K[is_new_K] = affordable(costs_N[batch.rows_K[is_new_K]], budget)
    weights_K = None if batch.weights_K is None else batch.weights_K[is_new_K]
    return replace(
        batch, rows_K=batch.rows_K[is_new_K], scores_K=batch.scores_K[is_new_K], weights_K=weights_K, features_KD=None
    )


def affordable(costs_K: Float64, budget: float) -> Array:
    """A mask of what is bought when items are taken in order and those that cost more than what is left are passed over."""
    taken, left = np.zeros(len(costs_K), bool), budget * _ROUNDING
    for i, cost in enumerate(costs_K.tolist()):
        if cost <= left:
            taken[i] = True
            left -= cost
    return taken
