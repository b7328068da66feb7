"""The record of the labels that a head has learned from."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Array, Float64, Keys


@dataclass(frozen=True)
class NoClass:
    """The items that belong to no class. label: says so in label files; None where nobody has said it of any item.

    ids: 64-bit hashes of their ids, ascending.
    """

    label: str | None = None
    ids: tuple[int, ...] = ()

    def with_ids(self, label: str | None, more: Iterable[int], less: Iterable[int] = ()) -> NoClass:
        """The items with those of `more`, and without those of `less`, which turned out to have a class."""
        ids = {*self.ids, *more} - {*less}
        return NoClass(self.label if label is None else label, tuple(sorted(ids)))

    def keys(self) -> Keys:
        """The hashes as an array, uint64."""
        return np.array(self.ids, np.uint64)


@dataclass(frozen=True)
class Absorbed:
    """The labels that a head has learned from.

    id_L: a 64-bit hash of each id. label_L: class numbers (int64) or targets (float64). held_L: False for a label that
    moved the weights alone, and is not in the posterior; None where the posterior holds all.
    """

    id_L: Keys
    label_L: Array
    weight_L: Float64
    held_L: Array | None = None

    def __len__(self) -> int:
        return len(self.id_L)

    @property
    def is_held_L(self) -> Array:
        """A mask of the labels that the posterior holds."""
        return np.ones(len(self), bool) if self.held_L is None else self.held_L

    def extended(self, other: Absorbed) -> Absorbed:
        """Return these labels and the labels of `other`; an id that both have keeps only the label of `other`."""
        kept = ~np.isin(self.id_L, other.id_L)
        parts = [self.only(kept), other]
        names = ("id_L", "label_L", "weight_L", "is_held_L")
        return Absorbed(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))

    def only(self, kept_L: Array) -> Absorbed:
        """Return the labels at the positions, or of the mask, `kept_L`."""
        return Absorbed(self.id_L[kept_L], self.label_L[kept_L], self.weight_L[kept_L], self.is_held_L[kept_L])
