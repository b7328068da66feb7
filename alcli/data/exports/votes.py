"""Labels of one item by several annotators: the majority counts, and an item without one is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from alcli.errors import counted


class Labelled(Protocol):
    """A label with its place in a file."""

    @property
    def label(self) -> object:
        """Return the class name or the number."""


K = TypeVar("K")
L = TypeVar("L", bound=Labelled)


def settled(votes_of: Mapping[K, Mapping[str | None, L]]) -> tuple[dict[K, L], list[str]]:
    """Return the label of each item, and remarks about items whose annotators disagree.

    votes_of: for each item the label of each annotator; the annotator is None where nobody is named.
    """
    found: dict[K, L] = {}
    disagree = open_ = 0
    for item, votes in votes_of.items():
        chosen = majority(list(votes.values()))
        disagree += len({vote.label for vote in votes.values()}) > 1
        open_ += chosen is None
        if chosen is not None:
            found[item] = chosen
    remarks = []
    if disagree:
        what = counted(disagree, "item has different labels", "items have different labels")
        remarks.append(f"{what} of different annotators; the majority counts")
    if open_:
        remarks.append(f"{counted(open_, 'item')} without a majority left out")
    return found, remarks


def majority(votes: Sequence[L]) -> L | None:
    """The first vote for the label that has more votes than any other; None where two labels lead."""
    (best, most), *others = Counter(vote.label for vote in votes).most_common(2)
    if others and others[0][1] == most:
        return None
    return next(vote for vote in votes if vote.label == best)
