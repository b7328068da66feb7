"""The two parts of a view: a source of rows, and a head that predicts. `ArraySource` is a source in memory.

A strategy needs neither part: it reads from a `View`. Whoever selects rows in a program of their own makes a view of an
`ArraySource` and, where the strategy needs a head, a `Predictor` (such as `Model` in heads/_model.py).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from alcli.arrays import Array, Float64, Floats, Int64, Keys, check_shape
from alcli.numerics.block_array import BlockArray
from alcli.numerics.hashing import hash_integers, hash_strings


class Source(Protocol):
    """Rows of features, numbered from 0.

    Features are float32 or float64 and finite. Nobody may write to an array that a source returns.
    """

    @property
    def n(self) -> int:
        """N, the number of rows."""

    @property
    def dim(self) -> int:
        """D, the number of features of a row."""

    def blocks(self) -> Iterator[tuple[int, Floats]]:
        """Yield (number of the first row, X_BD) in the order of the rows, from the beginning at every call."""

    def take(self, rows: Int64) -> Floats:
        """The features of `rows` in the given order; a memory map where they are larger than the memory limit."""

    def stored(self, rows: Int64) -> BlockArray:
        """The features of `rows`, in ascending order of their ids, to be read in blocks; maybe from a file."""

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        """A file for an array of the rows, which has `write(first, rows)`; None where the array is to be in memory."""

    def sort_keys(self, rows: Int64) -> Array:
        """The ids of `rows` in a form that numpy can sort: int64, or str objects."""

    def sorted_by_id(self, rows: Int64) -> Int64:
        """`rows` in ascending order of their ids."""

    def row_keys(self, rows: Int64) -> Keys:
        """A 64-bit hash of the id of each row, uint64."""

    def describe(self, row: int) -> str:
        """The origin of a row for messages: its file, row number and id."""

    def cuts(self) -> list[int] | None:
        """Ascending row numbers, from 0 to N, between which `part` can be made; None where it cannot be made."""

    def part(self, first: int, last: int, *, with_keys: bool) -> Any:
        """Rows first..last as a picklable source that another process reads, under their numbers in this source.

        It has `blocks` with the blocks of this source, `describe`, `row_keys` where `with_keys` is true, and `told`:
        what it found odd in the features, which goes to `hear`.
        """

    def hear(self, told: list[dict[str, str]]) -> None:
        """Tell the user what parts found odd, in the order of their rows."""


class Uncut:
    """A source whose rows stay in this process."""

    def cuts(self) -> list[int] | None:
        return None

    def part(self, first: int, last: int, *, with_keys: bool) -> Any:
        raise LookupError("a source without cuts has no parts")

    def hear(self, told: list[dict[str, str]]) -> None:
        raise LookupError("a source without cuts has no parts")


class Predictor(Protocol):
    """A fitted head as a view uses it. needs.py explains each prediction, with its shape and dtype."""

    @property
    def n_classes(self) -> int | None:
        """C, the number of classes; None where labels are numbers."""

    def hidden(self, X_BD: Floats) -> Floats:
        """The inputs of the last layer, [B, M], in the dtype of X_BD; X_BD itself where there is no hidden layer."""

    def logits(self, X_BD: Floats) -> Floats: ...
    def log_probs(self, X_BD: Floats) -> Floats: ...
    def trained_log_probs(self, X_BD: Floats) -> Floats: ...
    def predictive(self, X_BD: Floats) -> Floats: ...
    def logit_variance(self, X_BD: Floats) -> Floats: ...
    def predicted_loss(self, X_BD: Floats) -> Floats: ...
    def label_variance(self, X_BD: Floats) -> Floats: ...
    def output_root(self, X_BD: Floats) -> Floats: ...
    @property
    def posterior(self) -> Any:
        """The posterior of the last layer; None for a point estimate."""

    @property
    def head(self) -> Any:
        """The head itself, a `Head` of heads/_contract.py: its last layer W_CD1, its hidden layers and more."""

    def draw(self, n_samples: int, *, seed: int) -> Float64:
        """Draw last layers from the posterior, float64 [S, C, M + 1], the same for the same seed."""

    def sample_log_probs(self, X_BD: Floats, W_SCD1: Float64) -> Floats: ...


class ArraySource(Uncut):
    """A `Source` over arrays in memory; simulations and tests select from it.

    X_ND: the features, float32 or float64, not copied. ids: an integer array, or any sequence of strings.
    block_rows: the number of rows that `blocks` yields at a time; no result depends on it.
    Raises ValueError where the number of ids is not the number of rows.
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

    def stored(self, rows: Int64) -> BlockArray:
        return self.take(rows)

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike) -> Any:
        return None

    def sort_keys(self, rows: Int64) -> Array:
        return self._ids[rows]

    def sorted_by_id(self, rows: Int64) -> Int64:
        return rows[np.argsort(self._ids[rows], kind="stable")]

    def row_keys(self, rows: Int64) -> Keys:
        return self._keys[rows]

    def describe(self, row: int) -> str:
        return f"row {row} (id '{self._ids[row]}')"


def as_ids(ids: Array) -> Array:
    """Convert ids to int64 or to str objects: the two forms whose sorted order is the order of ids in a file."""
    ids = np.asarray(ids)
    return ids.astype(np.int64) if ids.dtype.kind in "iu" else ids.astype(object)


def hash_ids(ids: Array) -> Keys:
    """Compute the 64-bit hash of every id, uint64 [N]; the same ids in a file have the same hashes."""
    if ids.dtype.kind == "i":
        return hash_integers(ids)
    encoded = [str(i).encode("utf-8", "surrogatepass") for i in ids]
    offsets = np.concatenate([[0], np.cumsum([len(e) for e in encoded], dtype=np.int64)])
    return hash_strings(np.frombuffer(b"".join(encoded), np.uint8), offsets)
