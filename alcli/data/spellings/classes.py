"""Classes whose names look alike: one of them is likely a slip, or the spelling of another program."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable

from alcli.errors import printable
from alcli.remarks import Note

_EXAMPLES = 3
_NUMBER = re.compile(r"[+-]?[0-9]{1,15}(\.[0-9]*)?")


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


def look_alike(name: str, known: Iterable[str]) -> str | None:
    """Return the class among `known` that looks like `name` and is another; None without one."""
    return next((other for other in known if other != name and _plain(other) == _plain(name)), None)


def _plain(name: str) -> str:
    """Return the form that names which look alike share."""
    text = " ".join(_composed(name).casefold().split())
    return str(float(text)) if _NUMBER.fullmatch(text) else text


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
