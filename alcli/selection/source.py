"""What a view is made of: a source of rows, and a head that says something of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64, Keys, check_shape
from alcli.numerics.hashing import hash_integers, hash_strings


class Source(Protocol):
    """Rows of features by number, `n` of them with `dim` columns. Blocks are float32 or float64, finite, read-only by custom."""

    @property
    def n(self) -> int: ...
    @property
    def dim(self) -> int: ...
    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """(number of the first row, X_BD) in row order; can be called again."""

    def take(self, rows: Int64) -> Floats:
        """The features of `rows`, in the order given; a memory map when they are larger than the memory limit."""

    def sort_keys(self, rows: Int64) -> Array:
        """The ids of `rows` in a form that numpy can sort (int64, or str objects)."""

    def sorted_by_id(self, rows: Int64) -> Int64:
        """`rows` in ascending order of their ids."""

    def row_keys(self, rows: Int64) -> Keys:
        """A 64-bit hash of each row's id."""

    def describe(self, row: int) -> str:
        """Where a row comes from, for messages: file, row and id."""


class Predictor(Protocol):
    """What a view asks of a head. n_classes: None where labels are numbers."""

    @property
    def n_classes(self) -> int | None: ...
    def hidden(self, X_BD: Floats) -> Floats:
        """In the dtype of X_BD; X_BD itself where there is no hidden layer."""

    def logits(self, X_BD: Floats) -> Floats: ...
    def log_probs(self, X_BD: Floats) -> Floats: ...
    def trained_log_probs(self, X_BD: Floats) -> Floats: ...
    def predictive(self, X_BD: Floats) -> Floats: ...
    def logit_variance(self, X_BD: Floats) -> Floats: ...
    def predicted_loss(self, X_BD: Floats) -> Floats: ...
    def label_variance(self, X_BD: Floats) -> Floats: ...
    @property
    def head(self) -> Any:
        """The head itself, which has W_CD1, and layers where it has hidden ones."""

    def draw(self, n_samples: int, *, seed: int) -> Float64:
        """Last layers drawn from the posterior, [S, C, D1]."""

    def sample_log_probs(self, X_BD: Floats, W_SCD1: Float64) -> Floats: ...


# -- folded ------
# A source of rows over plain arrays in memory: what simulations and tests select from.


class ArraySource:
    """Rows of X_ND (float32 or float64, not copied) with their ids: an integer array, or any sequence of strings.

    block_rows: how many rows `blocks` yields at a time; no answer depends on it.
    """

    def __init__(self, X_ND: Floats, ids: Array, *, block_rows: int = 8192) -> None:
        check_shape("ids", np.asarray(ids), (len(X_ND),))
        self._X_ND, self._block_rows = X_ND, block_rows
        self._ids = as_ids(ids)
        self._keys: Keys = hash_ids(self._ids)

    @property
    def n(self) -> int:
        return len(self._X_ND)

    @property
    def dim(self) -> int:
        return int(self._X_ND.shape[1])

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        for first in range(0, self.n, self._block_rows):
            yield first, self._X_ND[first : first + self._block_rows]

    def take(self, rows: Int64) -> Floats:
        is_run = len(rows) and rows[-1] - rows[0] == len(rows) - 1 and bool((np.diff(rows) == 1).all())
        return self._X_ND[rows[0] : rows[0] + len(rows)] if is_run else self._X_ND[rows]

    def sort_keys(self, rows: Int64) -> Array:
        return self._ids[rows]

    def sorted_by_id(self, rows: Int64) -> Int64:
        return rows[np.argsort(self._ids[rows], kind="stable")]

    def row_keys(self, rows: Int64) -> Keys:
        return self._keys[rows]

    def describe(self, row: int) -> str:
        return f"row {row} (id '{self._ids[row]}')"


def as_ids(ids: Array) -> Array:
    """Ids as int64 or as str objects, which are the two forms that sort as the files' own order."""
    ids = np.asarray(ids)
    return ids.astype(np.int64) if ids.dtype.kind in "iu" else ids.astype(object)


def hash_ids(ids: Array) -> Keys:
    """The 64-bit hash of every id, the same as for the same ids in a file."""
    if ids.dtype.kind == "i":
        return hash_integers(ids)
    encoded = [str(i).encode("utf-8", "surrogatepass") for i in ids]
    offsets = np.concatenate([[0], np.cumsum([len(e) for e in encoded], dtype=np.int64)])
    return hash_strings(np.frombuffer(b"".join(encoded), np.uint8), offsets)
