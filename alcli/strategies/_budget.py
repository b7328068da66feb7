"""Spending a budget on items that have prices, whatever the strategy.

Source: own rule; score per cost is the greedy order of the knapsack problem (Dantzig 1957, "Discrete-variable extremum problems").
Cost: that of ranking all candidates for a strategy that scores rows; of one selection or a few, each twice as large, for another.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64
from alcli.errors import UsageError
from alcli.strategies._contract import Selection, Strategy, finite32, select
from alcli.strategies._view import View


def select_within(
    strategy: Strategy, name: str, view: View, budget: float, costs_N: Float64, *, seed: int, options: Mapping[str, Any]
) -> Selection:
    """Items that cost at most `budget` together. Scores of a strategy that scores rows are divided by costs, and the best come first.

    Strategies that draw or choose whole batches are asked for about as many items as the budget buys, and their picks are taken in their order.
    An item that costs more than what is left is passed over. Raises UsageError where a score to be divided is negative.
    """
    if strategy.pointwise and not strategy.random:
        ranked = select(strategy, view, view.n, seed=seed, options=options)
        if (ranked.scores_K < 0.0).any():
            raise UsageError(f"scores of '{name}' can be negative, so a score per cost says nothing", hint="leave out -p cost-col")
        per_cost_K = finite32(ranked.scores_K.astype(np.float64) / costs_N[ranked.rows_K])
        order_K = np.argsort(-per_cost_K, kind="stable")
        rows_K, scores_K = ranked.rows_K[order_K], per_cost_K[order_K]
    else:
        k = min(view.n, int(np.ceil(budget / costs_N[view.rows].mean()))) if view.n else 0
        while True:
            ranked = select(strategy, view, k, seed=seed, options=options)
            rows_K, scores_K = ranked.rows_K, ranked.scores_K
            left = budget - costs_N[rows_K[affordable(costs_N[rows_K], budget)]].sum()
            others = costs_N[np.setdiff1d(view.rows, rows_K)]
            if k >= view.n or not len(others) or others.min() > left:
                break
            k = min(view.n, 2 * k)
    taken = affordable(costs_N[rows_K], budget)
    spent = float(costs_N[rows_K[taken]].sum())
    weights_K = None if ranked.weights_K is None else ranked.weights_K[taken]
    note = f"{int(taken.sum())} items cost {spent:g} of {budget:g}"
    return Selection(rows_K[taken], scores_K[taken], weights_K, notes=(*ranked.notes, note), record={**ranked.record, "cost": spent})


def affordable(costs_K: Float64, budget: float) -> Array:
    """A mask of what is bought when items are taken in order and those that cost more than what is left are passed over."""
    taken, left = np.zeros(len(costs_K), bool), budget * (1.0 + 1e-12)
    for i, cost in enumerate(costs_K.tolist()):
        if cost <= left:
            taken[i] = True
            left -= cost
    return taken
