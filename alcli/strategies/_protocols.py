"""What a view is made of: a source of rows, and a head that says something of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

from alcli.arrays import Array, Float64, Floats, Int64, Keys


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
