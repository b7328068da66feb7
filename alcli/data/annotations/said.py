"""One label as a file says it: the label, its weight, its place, and who gave it."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from alcli.data.text.rows import RowSource

Label: TypeAlias = str | float
# The name of an item in a file: an id of the pool, or in a pool of groups a `Name`, which may mean a group.
Key: TypeAlias = Hashable


@dataclass(frozen=True)
class Said:
    """One label and the place where it was read. annotator: None where nobody is named."""

    label: Label
    weight: float
    where: str
    annotator: str | None = None


@dataclass
class LabelFile:
    """The labels of one file, row by row, before those of one item are brought together.

    blank: the number of rows without a label. took: the label that the file gives each item, see `settle`. votes: the
    label of each annotator, by item.
    """

    source: RowSource
    rows: list[tuple[Key, Said]]
    blank: int
    took: dict[Any, Said] = field(default_factory=dict)
    votes: dict[Any, dict[str | None, Said]] = field(default_factory=dict)
