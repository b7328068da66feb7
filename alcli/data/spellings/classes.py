"""Classes whose names look alike: one of them is likely a slip, or the spelling of another program."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from alcli.errors import counted, printable
from alcli.remarks import Note

_EXAMPLES = 3
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]*)?")


@dataclass(frozen=True)
class Spelling:
    """The names that classes get. merge: names that look alike become one; without it each name stays as written.

    known: names that exist already, such as the classes of a head. Names that look like one of them become that one.
    """

    merge: bool = False
    known: tuple[str, ...] = ()

    def names(self, counts: Mapping[str, int], note: Note) -> dict[str, str]:
        """Return the new name of each name that changes. counts: how often each name was written.

        The name of several that look alike is the known one, else the most frequent one; of equally frequent ones it
        is one without stray spaces and in Unicode form NFC, else the first by the alphabet. note: told of the changes.
        """
        if not self.merge:
            return {}
        best: dict[str, str] = {}
        for name in reversed(self.known):
            best[_plain(name)] = name
        for name in sorted(counts, key=lambda name: (-counts[name], name != _tidy(name), name)):
            best.setdefault(_plain(name), name)
        kept = {*self.known, *best.values()}
        changed = {name: best[_plain(name)] for name in sorted(counts) if name not in kept}
        if changed:
            shown = [f"'{printable(old)}' ({counts[old]}) as '{printable(new)}'" for old, new in changed.items()]
            more = f" and {len(shown) - _EXAMPLES} more spellings" if len(shown) > _EXAMPLES else ""
            taken = counted(sum(counts[old] for old in changed), "label is taken", "labels are taken")
            note(f"{taken} as a class that looks alike: {', '.join(shown[:_EXAMPLES])}{more}")
        return changed


# Every name stays as it is written.
AS_WRITTEN = Spelling()


def remark_on_look_alikes(names: Iterable[str], note: Note) -> None:
    """Tell of pairs of classes that look alike, with one remark for each kind of difference.

    Names look alike that differ by spaces, by capitals, by the encoding of their accents, or as `1` and `1.0` do.
    """
    plain: dict[str, str] = {}
    pairs: dict[str, list[str]] = {}
    for name in sorted(set(names)):
        other = plain.setdefault(_plain(name), name)
        if other != name:
            pairs.setdefault(_difference(other, name), []).append(f"'{printable(other)}' and '{printable(name)}'")
    for difference, found in pairs.items():
        more = f" (and {len(found) - _EXAMPLES} more such pairs)" if len(found) > _EXAMPLES else ""
        note(f"the classes {', '.join(found[:_EXAMPLES])}{more} {difference}")


def remark_on_strangers(names: Iterable[str], known: Collection[str], whose: str, note: Note) -> None:
    """Tell of names that a head does not know and that look like a class of it. whose: the rows that have them."""
    found = {name: look_alike(name, known) for name in sorted({*names} - {*known})}
    pairs = [f"'{printable(one)}' like '{printable(other)}'" for one, other in found.items() if other is not None]
    if pairs:
        more = f" (and {len(pairs) - _EXAMPLES} more)" if len(pairs) > _EXAMPLES else ""
        what = f"{whose} have classes that look like those of the head: {', '.join(pairs[:_EXAMPLES])}{more}"
        note(f"{what}; --normalize-labels takes the one for the other")


def look_alike(name: str, known: Iterable[str]) -> str | None:
    """Return the class among `known` that looks like `name` and is another; None without one."""
    return next((other for other in known if other != name and _plain(other) == _plain(name)), None)


def _plain(name: str) -> str:
    """Return the form that names which look alike share."""
    text = " ".join(_composed(name).casefold().split())
    return str(float(text)) if _NUMBER.fullmatch(text) else text


def _tidy(name: str) -> str:
    """Return a name without stray spaces, and with composed accents."""
    return " ".join(_composed(name).split())


def _composed(name: str) -> str:
    """Return a name with composed accents and without characters of no width."""
    return "".join(c for c in unicodedata.normalize("NFC", name) if unicodedata.category(c) != "Cf")


def _difference(one: str, other: str) -> str:
    """Say in words how two names differ that look alike."""
    if one.strip() == other.strip():
        return "differ only by spaces"
    if _composed(one).strip() == _composed(other).strip():
        return "look the same and differ in the encoding of their characters: bring both to Unicode form NFC"
    if _composed(one).casefold().strip() == _composed(other).casefold().strip():
        return "differ only by capitals"
    if _NUMBER.fullmatch(one.strip()) and _NUMBER.fullmatch(other.strip()):
        return "are one number in two spellings: write both alike to make them one class"
    return "differ only by spaces, capitals or accents"
