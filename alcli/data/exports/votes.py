"""Labels of one item by several annotators: the majority counts, and an item without one is left out."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

from alcli.errors import counted, printable


class Labelled(Protocol):
    """A label with its place in a file."""

    @property
    def label(self) -> object:
        """Return the class name or the number."""

    @property
    def where(self) -> str:
        """Return the place in the file."""


K = TypeVar("K")
L = TypeVar("L", bound=Labelled)


def settled(votes_of: Mapping[K, Mapping[str | None, L]]) -> tuple[dict[K, L], list[str]]:
    """Return the label of each item, and remarks about items whose annotators disagree.

    votes_of: for each item the label of each annotator; the annotator is None where nobody is named.
    """
    found: dict[K, L] = {}
    disagree, open_ = 0, []
    for item, votes in votes_of.items():
        chosen = majority(list(votes.values()))
        disagree += len({vote.label for vote in votes.values()}) > 1
        if chosen is None:
            open_.append(item)
        else:
            found[item] = chosen
    remarks = []
    if disagree:
        what = counted(disagree, "item has different labels", "items have different labels")
        remarks.append(f"{what} of different annotators; the majority counts")
    if open_:
        shown = votes_of[open_[0]].values()
        said = ", ".join(f"'{printable(str(vote.label))}' at {vote.where}" for vote in shown)
        remarks.append(f"{counted(len(open_), 'item')} without a majority left out, such as the one that is {said}")
    return found, remarks


def majority(votes: Sequence[L]) -> L | None:
    """The first vote for the label that has more votes than any other; None where two labels lead."""
    (best, most), *others = Counter(vote.label for vote in votes).most_common(2)
    if others and others[0][1] == most:
        return None
    return next(vote for vote in votes if vote.label == best)
