"""Columns of a Gram matrix, computed ahead of time for the rows that a greedy choice will probably ask for next.

A greedy choice asks for one column of the Gram matrix after another, and a product with 32 columns costs about as
much as six products with one column. A wrong guess only wastes the column; the result is exact in any case.
Letters: M columns that are kept.
Cost: one product of 2 N D 32 flops for each row that was not guessed; memory 32 N numbers.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Int64
from alcli.numerics.blocks import Spread
from alcli.numerics.rows import Rows

WIDTH = 32


class GramColumns:
    """A cache of 32 columns of the Gram matrix of `rows`."""

    def __init__(self, rows: Rows, spread: Spread) -> None:
        self._rows, self._spread = rows, spread
        self._place: dict[int, int] = {}
        self._inner_NM: Array = np.empty((0, 0))

    def of(self, i: int, guess: Callable[[], Int64]) -> Array:
        """Return the inner products of all rows with row i, [N].

        guess: returns the rows that will probably be asked for next. It is called when row i is not in the cache.
        """
        if i not in self._place:
            index = batch_of(i, guess())
            self._inner_NM = self._rows.inner_with(self._rows, index, self._spread)
            self._place = {int(row): m for m, row in enumerate(index)}
        return self._inner_NM[:, self._place[i]]


def batch_of(i: int, others: Int64) -> Int64:
    """Return WIDTH row numbers: the first of `others`, then row i.

    Row i is repeated where there are too few others, so that every product has the same width.
    """
    others = others[others != i][: WIDTH - 1]
    return np.concatenate([others, np.full(WIDTH - len(others), i)])
