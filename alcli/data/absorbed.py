"""The records that a head keeps: of the labels that it has learned from, and of the audit that measures it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np

from alcli import stored
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

    def as_json(self) -> dict[str, Any]:
        """Return the label and the items as the values that `from_json` takes."""
        return {"label": self.label, "ids": [f"{id:016x}" for id in self.ids]}

    @classmethod
    def from_json(cls, settings: Mapping[str, Any]) -> NoClass:
        """Return the items that a header lists. Raises ValueError and the like for another form."""
        return cls(str(settings["label"]), tuple(sorted(int(id, 16) & ((1 << 64) - 1) for id in settings["ids"])))

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


@dataclass(frozen=True)
class AuditRound:
    """One look at a head through an audit.

    labels: the number of labels that the head had learned from. audit: the number of audit labels. accuracy: the
    estimate, and error its standard error; low, high: its 95% interval.
    """

    labels: int
    audit: int
    accuracy: float
    error: float
    low: float
    high: float


@dataclass(frozen=True)
class Audited:
    """The audit that measures a head and its successors: hashes of the ids, and what each look found, in order."""

    id_M: Keys = field(default_factory=lambda: np.empty(0, np.uint64))
    rounds: tuple[AuditRound, ...] = ()

    def __len__(self) -> int:
        return len(self.id_M)

    def joined(self, id_M: Keys) -> Audited:
        """Return the audit with more ids."""
        return replace(self, id_M=np.union1d(self.id_M, id_M))

    def looked(self, found: AuditRound) -> Audited:
        """Return the audit after one more look. The same look again, at as many labels of both kinds, replaces it."""
        last = self.rounds[-1:] if self.rounds else ()
        again = bool(last) and (last[0].labels, last[0].audit) == (found.labels, found.audit)
        return replace(self, rounds=(*(self.rounds[:-1] if again else self.rounds), found))

    def as_json(self) -> list[dict[str, Any]]:
        """Return the looks as the values that `from_json` takes."""
        return [asdict(one) for one in self.rounds]

    @classmethod
    def from_json(cls, id_M: Keys, rounds: Sequence[Mapping[str, Any]]) -> Audited:
        """Return the audit that a head file holds. Raises DataError for looks of another form."""
        whole, real = ("labels", "audit"), ("accuracy", "error", "low", "high")
        return cls(
            id_M,
            tuple(
                AuditRound(
                    *(stored.whole(one, k) for k in whole), *(stored.number(one, k, positive=False) for k in real)
                )
                for one in rounds
            ),
        )
