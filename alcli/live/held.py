"""The rows that a loop over single labels selects from, held in memory, and the view of them at one moment of the loop.

`HeldRows` is a source that keeps the features of the candidates in memory, because the loop reads them after every
label. `HeldView` is the view that a batch strategy gets at one moment: it takes logits from `PoolLogits`, which follow
the model from label to label, instead of a new product with the weights.

M is the number of held rows. The place of a held row is its index in `HeldRows.rows_M`.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from alcli.arrays import Array, Floats, Int64, Keys
from alcli.heads._model import Model
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.factors import Factor
from alcli.numerics.last_layer.pool_logits import PoolLogits
from alcli.numerics.logistic import log_softmax
from alcli.numerics.rows import Rows
from alcli.selection.source import Source, Uncut
from alcli.selection.view import View

FOLLOWED = frozenset({"logits", "log_probs"})  # needs that `PoolLogits` follows from label to label


class HeldRows(Uncut):
    """A `Source` with the row numbers of another source, which keeps the features of some rows in memory.

    rows: the rows to hold. rows_M: the same rows in ascending order of their ids. Their features are read together at
    the first use of X_MD. Rows that `take` needs before, and rows that are not held, are read one by one and kept.
    Memory: M D numbers beside the source, and one integer for each row of the source.
    """

    def __init__(self, source: Source, rows: Int64) -> None:
        self._source = source
        self.rows_M = source.sorted_by_id(np.asarray(rows, np.int64))
        self._place = np.full(source.n, -1)
        self._place[self.rows_M] = np.arange(len(self.rows_M))
        self._single: dict[int, Floats] = {}

    @cached_property
    def X_MD(self) -> Floats:
        """The features of rows_M, in the dtype of the source. Do not write to it."""
        return self._source.take(self.rows_M)

    @cached_property
    def first_equal_M(self) -> Int64:
        """The place of the first held row with the same features, for each held row, [M]."""
        return Rows(Factor(self.X_MD)).first_equal

    @property
    def n(self) -> int:
        return self._source.n

    @property
    def dim(self) -> int:
        return self._source.dim

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        return self._source.blocks()

    def take(self, rows: Int64) -> Floats:
        places = self._place[rows]
        if "X_MD" in self.__dict__ and (places >= 0).all():
            return self.X_MD[places]
        return np.stack([self._row(int(row)) for row in rows]) if len(rows) else self._source.take(rows)

    def _row(self, row: int) -> Floats:
        place = int(self._place[row])
        if place >= 0 and "X_MD" in self.__dict__:
            return self.X_MD[place]
        if row not in self._single:
            self._single[row] = self._source.take(np.array([row]))[0]
        return self._single[row]

    def place(self, row: int) -> int | None:
        """The place of a row of the source in rows_M; None for a row that is not held."""
        place = int(self._place[row])
        return place if place >= 0 else None

    def stored(self, rows: Int64) -> Floats:
        return self.take(rows)

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> None:
        return None

    def sort_keys(self, rows: Int64) -> Array:
        places = self._place[rows]
        return places if (places >= 0).all() else self._source.sort_keys(rows)

    def sorted_by_id(self, rows: Int64) -> Int64:
        return self._source.sorted_by_id(rows)

    def row_keys(self, rows: Int64) -> Keys:
        return self._source.row_keys(rows)

    def describe(self, row: int) -> str:
        return self._source.describe(row)


class HeldView(View):
    """A view of held rows at one moment of the loop.

    places: of the candidates among the held rows, ascending. labelled: row numbers of the source. head: the model of
    the moment. logits: the followed logits of all held rows, up to date; None computes them from the weights.
    labels: as in `View`. The `blocks` come in the order of the ids. `logits` and `log_probs` in blocks and matrices
    have the dtype of the features, where logits are followed.
    """

    def __init__(
        self,
        held: HeldRows,
        places: Int64,
        labelled: Int64,
        head: Model | None,
        logits: PoolLogits | None,
        labels: Array | None = None,
    ) -> None:
        super().__init__(held, held.rows_M[places], labelled, head, labels=labels)
        self._held, self._places, self._logits = held, places, logits
        self._cache["rows"] = held.rows_M[places]

    def among(self, rows: Int64) -> HeldView:
        view: HeldView = super().among(rows)  # type: ignore[assignment]
        view._places = self._places[np.isin(self.rows, rows)]
        return view

    def blocks(self, *needs: str) -> Iterator[tuple[Any, ...]]:
        for a in range(0, len(self._places), BLOCK_ROWS):
            places = self._places[a : a + BLOCK_ROWS]
            X_BD = self._held.X_MD[places]
            for part in self._answers.parts(len(places), needs):
                rows_B = self._held.rows_M[places[part]]
                yield (rows_B, *(self._at(need, rows_B, places[part], X_BD[part]) for need in needs))

    def _at(self, need: str, rows_B: Int64, places: Int64, X_BD: Floats) -> Any:
        """The array of a need for B held rows, given by row number, by place and with their features."""
        self._check_allowed(need)
        if self._logits is None or need not in FOLLOWED:
            return self._answers.of(need, rows_B, X_BD)
        return self._followed(need, places)

    def _followed(self, need: str, places: Int64) -> Floats:
        """The logits or log probabilities of some held rows, from the followed logits; equal for equal rows."""
        assert self._logits is not None
        # Moves round differently by the place of a row, and equal rows must tie.
        logits_BC = self._logits.logits(self._held.first_equal_M[places])
        return (logits_BC if need == "logits" else log_softmax(logits_BC)).astype(self._logits.Z_NC.dtype)

    def _whole(self, need: str) -> Array:
        if need == "features":
            return self._held.X_MD[self._places]
        if need not in FOLLOWED or self._logits is None:
            return super()._whole(need)
        out: Floats = np.empty((len(self._places), self._logits.Z_NC.shape[1]), self._logits.Z_NC.dtype)
        for a in range(0, len(out), BLOCK_ROWS):
            out[a : a + BLOCK_ROWS] = self._followed(need, self._places[a : a + BLOCK_ROWS])
        return out


def last_hidden(model: Model, X_ND: Floats) -> Floats:
    """Compute `model.hidden` in blocks, so that memory holds little more than the result."""
    if not model.head.layers:
        return X_ND
    H_ND: Floats = np.empty((len(X_ND), model.head.W_CD1.shape[1] - 1), X_ND.dtype)
    for a in range(0, len(X_ND), BLOCK_ROWS):
        H_ND[a : a + BLOCK_ROWS] = model.hidden(X_ND[a : a + BLOCK_ROWS])
    return H_ND
