"""What a batch strategy sees in the middle of a loop over single labels."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from alcli.arrays import Array, Floats, Int64
from alcli.heads._model import Model
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.logistic import log_softmax
from alcli.numerics.pool_logits import PoolLogits
from alcli.strategies._held import HeldRows
from alcli.strategies._view import View

FOLLOWED = frozenset({"logits", "log_probs"})  # needs that moves of the model are followed for


class Now(View):
    """What a batch strategy sees in the middle of a loop: the followed logits in place of a new product with the weights."""

    def __init__(
        self, held: HeldRows, places: Int64, labelled: Int64, head: Model | None, logits: PoolLogits | None, labels: Array | None = None
    ) -> None:
        super().__init__(held, held.rows_M[places], labelled, head, labels=labels)
        self._held, self._places, self._logits = held, places, logits
        self._cache["rows"] = held.rows_M[places]

    def among(self, rows: Int64) -> Now:
        view: Now = super().among(rows)  # type: ignore[assignment]
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
        self._check_allowed(need)
        return self._answers.of(need, rows_B, X_BD) if self._logits is None or need not in FOLLOWED else self._followed(need, places)

    def _followed(self, need: str, places: Int64) -> Floats:
        assert self._logits is not None
        logits_BC = self._logits.logits(places)
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
    """`model.hidden` with no more than its answer in memory."""
    if not model.head.layers:
        return X_ND
    H_ND: Floats = np.empty((len(X_ND), model.head.W_CD1.shape[1] - 1), X_ND.dtype)
    for a in range(0, len(X_ND), BLOCK_ROWS):
        H_ND[a : a + BLOCK_ROWS] = model.hidden(X_ND[a : a + BLOCK_ROWS])
    return H_ND
