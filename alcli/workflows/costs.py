"""`-p cost-col=C`: items have prices, and N is what may be spent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa

from alcli.arrays import Float64
from alcli.data.pool import Pool
from alcli.errors import DataError, UsageError, printable
from alcli.strategies._contract import Selection, Strategy, finite32, select
from alcli.strategies._view import View
from alcli.workflows.items import Items


def costs_of(pool: Pool, items: Items, column: str) -> Float64:
    """What each item costs, float64 by its number; a group what its rows cost together. Rows without a usable vector cost nothing.

    Raises DataError for a column that is missing, holds no numbers, or has a null, or what is not a positive finite number, at a usable row.
    """
    values = pool.column(column)
    if values is None:
        raise DataError(f"{pool.name}: no column '{printable(column)}' to read costs from", hint="-p cost-col names a column of numbers")
    if not (pa.types.is_integer(values.type) or pa.types.is_floating(values.type)):
        raise DataError(f"{pool.name}: column '{printable(column)}' is of type {values.type}, costs are numbers")
    costs_N = np.asarray(values.cast(pa.float64()).to_numpy(zero_copy_only=False))
    wrong = np.flatnonzero(~((costs_N > 0.0) & (costs_N < np.inf)) & ~pool.is_bad)
    if len(wrong):
        what = "no value" if not values[int(wrong[0])].is_valid else f"{costs_N[wrong[0]]:g}"
        raise DataError(f"{pool.describe(int(wrong[0]))}: column '{printable(column)}' has {what}, a cost is a positive number")
    costs_N = np.where(pool.is_bad, 0.0, costs_N)
    return costs_N if items.groups is None else np.bincount(items.of_rows(np.arange(pool.n)), costs_N, len(items.ids)).astype(np.float64)


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


def affordable(costs_K: Float64, budget: float) -> Any:
    """A mask of what is bought when items are taken in order and those that cost more than what is left are passed over."""
    taken, left = np.zeros(len(costs_K), bool), budget * (1.0 + 1e-12)
    for i, cost in enumerate(costs_K.tolist()):
        if cost <= left:
            taken[i] = True
            left -= cost
    return taken
