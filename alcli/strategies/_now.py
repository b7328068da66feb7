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


class Now(View):
    """What a batch strategy sees in the middle of a loop: the followed logits in place of a new product with the weights."""

    def __init__(self, held: HeldRows, places: Int64, labelled: Int64, head: Model | None, logits: PoolLogits | None) -> None:
        super().__init__(held, held.rows_M[places], labelled, head)
        self._held, self._places, self._logits = held, places, logits
        self._cache["rows"] = held.rows_M[places]

    def blocks(self, *needs: str) -> Iterator[tuple[Any, ...]]:
        yield (self.rows, *(self.row_keys() if need == "row_key" else self.matrix(need) for need in needs))

    def row_keys(self) -> Array:
        return self._held.row_keys(self.rows)

    def _whole(self, need: str) -> Array:
        if need == "features":
            return self._held.X_MD[self._places]
        if need not in ("logits", "log_probs") or self._logits is None:
            return super()._whole(need)
        out: Floats = np.empty((len(self._places), self._logits.Z_NC.shape[1]), self._logits.Z_NC.dtype)
        for a in range(0, len(out), BLOCK_ROWS):
            logits_BC = self._logits.logits_of(self._places[a : a + BLOCK_ROWS])
            out[a : a + BLOCK_ROWS] = logits_BC if need == "logits" else log_softmax(logits_BC)
        return out


def last_hidden(model: Model, X_ND: Floats) -> Floats:
    """The inputs of the last layer without the bias column, in the dtype of X_ND; X_ND itself where there is no hidden layer."""
    H_ND: Floats | None = None
    for a in range(0, len(X_ND), 1024):
        X_BD = X_ND[a : a + 1024]
        H_BD = model.head.last_layer(X_BD)[:, :-1]
        if H_ND is None and np.array_equal(H_BD, X_BD):
            continue
        if H_ND is None:
            H_ND = np.empty((len(X_ND), H_BD.shape[1]), X_ND.dtype)
            H_ND[:a] = X_ND[:a]  # rows before it that the hidden layers left as they were
        H_ND[a : a + 1024] = H_BD
    return X_ND if H_ND is None else H_ND
