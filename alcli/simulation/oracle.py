"""The annotator of a simulation: it knows every label, gives the labels it is asked for, and counts them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from alcli.arrays import Array, Float32, Float64, Int64

# In the place of a class number: the row belongs to no class.
NO_CLASS = -1


class Oracle:
    """Labels behind a counter.

    y_N: the labels of all rows; NO_CLASS for a row that belongs to no class. askable: the numbers of the items that may
    be asked for, each once. rows_of(items): the rows of items, whose labels are given together; None where every row is
    an item.
    weighted: labels have the weights that `ask` was given with them; otherwise every weight is 1.
    """

    def __init__(
        self,
        y_N: Array,
        askable: Int64,
        rows_of: Callable[[Int64], Int64] | None = None,
        *,
        weighted: bool = False,
    ) -> None:
        self._y_N = y_N
        self._weights_N = np.ones(len(y_N)) if weighted else None
        self.rows_of: Callable[[Int64], Int64] = rows_of or (lambda items: items)
        self._open_N = np.zeros(len(y_N), bool)
        self._open_N[askable] = True
        self._answered: list[Int64] = []
        self._has_none = no_class_N(y_N)[self.rows_of(np.asarray(askable, np.int64))].any()

    @property
    def queries(self) -> int:
        """The number of items that have been labelled."""
        return sum(len(items) for items in self._answered)

    @property
    def answered(self) -> Int64:
        """The items that have been labelled, in the order of the answers."""
        return np.concatenate([np.empty(0, np.int64), *self._answered])

    @property
    def labelled(self) -> Int64:
        """The rows whose labels have been given, in the order of the answers; without rows of no class."""
        rows = self.rows_of(self.answered)
        return rows[~no_class_N(self._y_N[rows])] if self._has_none else rows

    @property
    def none(self) -> Int64:
        """The rows that turned out to belong to no class, in the order of the answers."""
        rows = self.rows_of(self.answered)
        return rows[no_class_N(self._y_N[rows])]

    @property
    def candidates(self) -> Int64:
        """The items that can still be asked for, ascending."""
        return np.flatnonzero(self._open_N)

    def ask(self, items: Int64, weights: Float32 | None = None) -> None:
        """Give the labels of `items`. Raises LookupError for an item that is not askable or was asked for before.

        weights: of the items, for the fits that follow; the rows of a group have the weight of the group.
        """
        if len(np.unique(items)) < len(items) or not self._open_N[items].all():
            raise LookupError("a strategy picked a row twice, or one that is not a candidate")
        self._open_N[items] = False
        self._answered.append(np.asarray(items, np.int64))
        if weights is not None and self._weights_N is not None:
            for item, weight in zip(items, weights):
                self._weights_N[self.rows_of(np.array([item]))] = weight

    def labels(self) -> Array:
        """Return the labels given so far, in the order of `labelled`."""
        return self._y_N[self.labelled]

    def labels_of(self, rows: Int64) -> Array:
        """Return the labels of rows that were asked for. Raises LookupError for another row."""
        if not np.isin(rows, self.labelled).all():
            raise LookupError("a label was read that was not asked for")
        return self._y_N[rows]

    def weights_of(self, rows: Int64) -> Float64:
        """Return the weights of the labels of rows, float64."""
        return np.ones(len(rows)) if self._weights_N is None else self._weights_N[rows]

    def have_class(self, rows: Int64) -> Int64:
        """Return the rows that belong to a class."""
        return rows[~no_class_N(self._y_N[rows])]

    def truth(self, rows: Int64) -> Array:
        """Return the labels of any rows, for baselines that are told the answers; the labels are not counted."""
        return self._y_N[rows]


def no_class_N(y_N: Array) -> Array:
    """Return a mask of the labels that say that a row belongs to no class. Numbers never do."""
    return y_N == NO_CLASS if y_N.dtype.kind == "i" else np.zeros(len(y_N), bool)
