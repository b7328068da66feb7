"""Needs of one number a row that a loop over single labels keeps from one label to the next.

`ROW_VALUES` lists the needs that are kept, each with its class. A class is made once, when the need is first read. It
is then told of each row that becomes labelled, so that its numbers stay equal to the numbers that a new view would
compute. A place is an index into `HeldRows.rows_M`; N is the number of held rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.heads._model import Model
from alcli.live.held import HeldRows, last_hidden
from alcli.numerics.diversity.kcenter import CentreDistances
from alcli.numerics.rows import sq_norms


class RowValue(Protocol):
    """One number for each held row, kept up to date while rows are labelled."""

    def of(self, places: Int64 | slice) -> Float64:
        """The numbers of the held rows at `places`, float64."""

    def error(self, value: float) -> float:
        """A bound on the rounding error at `value`.

        Where a new view would compute at least `value` for a row, the number kept here is at least `value` minus the
        bound.
        """

    def tell(self, row: int) -> None:
        """Take note that a row of the source was labelled. row: its number in the source."""


class SqNorm:
    """The squared norm of the features, which no label changes. Memory: N numbers."""

    def __init__(self, held: HeldRows, labelled: Int64, model: Model | None) -> None:
        self._sq_norms_M = sq_norms(held.X_MD)

    def of(self, places: Int64 | slice) -> Float64:
        return self._sq_norms_M[places]

    def error(self, value: float) -> float:
        return 0.0

    def tell(self, row: int) -> None:
        pass


class HiddenSqNorm(SqNorm):
    """The squared norm of the inputs of the last layer, which no label changes: updates move only the last layer."""

    def __init__(self, held: HeldRows, labelled: Int64, model: Model | None) -> None:
        assert model is not None
        self._sq_norms_M = sq_norms(last_hidden(model, held.X_MD))


class LabelledDistance:
    """The distance to the nearest labelled row. Cost: one matrix-vector product for each label. Memory: O(N)."""

    def __init__(self, held: HeldRows, labelled: Int64, model: Model | None) -> None:
        self._held = held
        self._distances = CentreDistances(held.X_MD, held.take(held.sorted_by_id(labelled)))

    def of(self, places: Int64 | slice) -> Float64:
        return self._distances.of(places)

    def error(self, value: float) -> float:
        return self._distances.error(value)

    def tell(self, row: int) -> None:
        place = self._held.place(row)
        if place is None:
            self._distances.add(self._held.take(np.array([row]))[0])
        else:
            self._distances.add_row(place)


# By need: the class that is called with the held rows, the labelled rows and the model.
ROW_VALUES: Mapping[str, Callable[[HeldRows, Int64, Model | None], RowValue]] = {
    "sq_norm": SqNorm,
    "hidden_sq_norm": HiddenSqNorm,
    "labelled_distance": LabelledDistance,
}
# The needs of ROW_VALUES that no label changes.
LASTING = frozenset({"sq_norm", "hidden_sq_norm"})
