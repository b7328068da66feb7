"""Inner products with one row at a time, computed for the rows that are likely to be asked for next at once.

A greedy choice asks for one column of the Gram matrix after another, and a product with 32 columns costs about as much as six with
one. A wrong guess costs nothing but the column: the answer is the exact one.
Cost: one product of 2 N D 32 flops for each miss; memory 32 N numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.numerics.blocks import Spread
from alcli.numerics.rows import Rows

WIDTH = 32


class Columns:
    """Columns of the Gram matrix of `rows`, 32 of them kept."""

    def __init__(self, rows: Rows, spread: Spread) -> None:
        self._rows, self._spread = rows, spread
        self._place: dict[int, int] = {}
        self._inner_NM: Array = np.empty((0, 0))

    def of(self, i: int, guess: Callable[[], Int64]) -> Array:
        """Inner products of all rows with row i, [N]. guess: names rows that may be asked for next; it is called after a miss."""
        if i not in self._place:
            index = batch_of(i, guess())
            self._inner_NM = self._rows.inner_with(self._rows, index, self._spread)
            self._place = {int(row): m for m, row in enumerate(index)}
        return self._inner_NM[:, self._place[i]]


def batch_of(i: int, others: Int64) -> Int64:
    """Row i and the first others, WIDTH in all; row i again where there are too few, for a product of always the same width."""
    others = others[others != i][: WIDTH - 1]
    return np.concatenate([others, np.full(WIDTH - len(others), i)])


def largest(values_N: Float64) -> Int64:
    """The rows of the WIDTH largest values, in any order; all rows where there are no more."""
    return np.argpartition(-values_N, WIDTH)[:WIDTH] if len(values_N) > WIDTH else np.arange(len(values_N))
