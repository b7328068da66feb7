"""What a strategy may need of each row that is worth keeping between one label and the next.

A need found in `KEPT` is made once, when it is first looked at, and told of each row that becomes labelled; what it keeps is what a
view of the moment would compute.
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


class Kept(Protocol):
    """One number for each held row."""

    def of(self, places: Int64 | slice) -> Float64:
        """Those of some of the rows, by their places in the held rows."""

    def error(self, value: float) -> float:
        """How far below `value` the number of a row may be that a view of the moment would call as large."""

    def tell(self, row: int) -> None:
        """This row of the source was labelled."""


class SqNorm:
    """The squared norms of the features, which no label changes. Memory: N numbers."""

    def __init__(self, held: HeldRows, labelled: Int64, model: Model | None) -> None:
        self._sq_norms_M = sq_norms(held.X_MD)

    def of(self, places: Int64 | slice) -> Float64:
        return self._sq_norms_M[places]

    def error(self, value: float) -> float:
        return 0.0

    def tell(self, row: int) -> None:
        pass


class HiddenSqNorm(SqNorm):
    """The squared norms of what the last layer sees, which no label changes either."""

    def __init__(self, held: HeldRows, labelled: Int64, model: Model | None) -> None:
        assert model is not None
        self._sq_norms_M = sq_norms(last_hidden(model, held.X_MD))


class LabelledDistance:
    """The distance to the nearest labelled row. Cost: one GEMV pass for each label. Memory: O(N)."""

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


KEPT: Mapping[str, Callable[[HeldRows, Int64, Model | None], Kept]] = {
    "sq_norm": SqNorm,
    "hidden_sq_norm": HiddenSqNorm,
    "labelled_distance": LabelledDistance,
}
LASTING = frozenset({"sq_norm", "hidden_sq_norm"})  # of these, what no label changes
