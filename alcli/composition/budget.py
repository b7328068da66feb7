"""The choice of items that have costs, so that they fit a budget together; for every strategy.

An item is a row, or a group where rows make groups.

- A pointwise strategy that does not draw: its scores are divided by the costs, and items are bought in the order of
  score per cost.
- A strategy that draws or chooses whole batches: it is asked for a batch that the budget buys as a whole, so that the
  make-up of the batch (parts of a mix, classes in turn, clusters) is kept. The money left over buys items of further
  batches, in their order, while any item is cheap enough.

Source: own rule; score per cost is the greedy order of the knapsack problem (Dantzig 1957, "Discrete-variable extremum
problems").
Cost: a pointwise strategy ranks all candidates once. Another strategy makes a few selections, each of about as many
items as the budget buys.
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

# A budget may be exceeded by rounding errors: ten items at 0.1 cost 1.
_ROUNDING = 1.0 + 1e-12
# The number of batch sizes that are tried
_TRIES = 6

Choose = Callable[[View, int], Selection]


def select_within(
    strategy: Strategy, name: str, view: View, budget: float, costs_N: Float64, *, seed: int, options: Mapping[str, Any]
) -> Selection:
    """Choose items that cost at most `budget` together.

    name: of the strategy, for messages. costs_N: float64, the cost of every item of the pool, by its number; positive.
    The record of the selection has the total `cost`, and a note tells it to the user.
    Raises UsageError where a pointwise strategy has a negative score, which cannot be divided by a cost.
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
    """Buy items in the order of score per cost; the scores of the selection are scores per cost."""
    ranked = select(strategy, view, view.n, seed=seed, options=options)
    if (ranked.scores_K < 0.0).any():
        raise UsageError(
            f"scores of '{name}' can be negative, so a score per cost says nothing", hint="leave out -p cost-col"
        )
    per_cost_K = finite32(ranked.scores_K.astype(np.float64) / costs_N[ranked.rows_K])
    order_K = np.argsort(-per_cost_K, kind="stable")
    rows_K = ranked.rows_K[order_K]
    taken = affordable(costs_N[rows_K], budget)
    names_K = tuple(ranked.taken_K[i] for i in order_K[taken]) if ranked.taken_K else ()
    return Selection(
        rows_K[taken], per_cost_K[order_K][taken], notes=ranked.notes, record=ranked.record, taken_K=names_K
    )


def _asked(strategy: Strategy, seed: int, options: Mapping[str, Any], view: View, k: int) -> Selection:
    return select(strategy, view, k, seed=seed, options=options)


def _by_batches(choose: Choose, view: View, budget: float, costs_N: Float64) -> Selection:
    """Buy a batch that fits as a whole, then items of further batches with the money left over."""
    whole = _largest_batch(choose, view, budget, costs_N)
    # The second batch is twice as large as the first: a greedy strategy then goes on from its earlier picks. Later
    # batches are chosen among the items that are cheap enough.
    parts, wanted, within = [whole], 2 * len(whole.rows_K) + 1, view
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
    added = len(taken) - len(first.rows_K)
    more = f"items added to a batch of {len(first.rows_K)} with the rest of the budget: {added}"
    return replace(joined(parts), notes=(*first.notes, more), record=first.record)


def _largest_batch(choose: Choose, view: View, budget: float, costs_N: Float64) -> Selection:
    """Find a batch that costs at most the budget and is about as large as possible.

    Several sizes are tried. Each size would spend the budget at the mean cost of the batch before.
    """
    best = Selection(np.empty(0, np.int64), np.empty(0, np.float32))
    # The smallest size that is known to cost too much.
    least = view.n + 1
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
    """The items of a batch that are new and fit the budget, in the order of the batch."""
    is_new_K = ~np.isin(batch.rows_K, taken)
    is_new_K[is_new_K] = affordable(costs_N[batch.rows_K[is_new_K]], budget)
    weights_K = None if batch.weights_K is None else batch.weights_K[is_new_K]
    return replace(
        batch,
        rows_K=batch.rows_K[is_new_K],
        scores_K=batch.scores_K[is_new_K],
        weights_K=weights_K,
        features_KD=None,
        taken_K=tuple(name for name, is_new in zip(batch.taken_K, is_new_K) if is_new),
    )


def affordable(costs_K: Float64, budget: float) -> Array:
    """A mask of the items that are bought in order; an item that costs more than the money left is passed over."""
    taken, left = np.zeros(len(costs_K), bool), budget * _ROUNDING
    for i, cost in enumerate(costs_K.tolist()):
        if cost <= left:
            taken[i] = True
            left -= cost
    return taken
