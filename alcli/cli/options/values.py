"""Turn the text of an option into its value.

Every parser takes the text and the name of the option. It raises UsageError with the name for a text that is wrong.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Sequence
from pathlib import Path

from alcli.errors import UsageError

MOST_SEED = 2**63 - 1


def whole_number(least: int | None = None, most: int | None = None) -> Callable[[str, str], int]:
    """Return the parser of whole numbers between two bounds; None leaves a side open."""

    def parse(text: str, option: str) -> int:
        try:
            value = int(text)
        except ValueError:
            raise UsageError(f"{option} takes a whole number, got '{text}'") from None
        if least is not None and value < least:
            raise UsageError(f"{option} must be at least {least}, got {value}")
        if most is not None and value > most:
            raise UsageError(f"{option} must be at most {most}, got {value}")
        return value

    return parse


def number(least: float | None = None) -> Callable[[str, str], float]:
    """Return the parser of numbers from `least` on; None leaves the side open."""

    def parse(text: str, option: str) -> float:
        try:
            value = float(text)
        except ValueError:
            raise UsageError(f"{option} takes a number, got '{text}'") from None
        # Negated, so that NaN is refused.
        if least is not None and not value >= least:
            raise UsageError(f"{option} must be at least {least:g}, got {value:g}")
        return value

    return parse


def auto_or_number(text: str, option: str) -> float | None:
    """None for auto, else the number."""
    if text == "auto":
        return None
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"{option} takes a number or auto, got '{text}'") from None


def one_of(text: str, option: str, choices: Sequence[str]) -> str:
    """Return the text, which must be one of `choices`. The error names the nearest choice where one is near."""
    if text not in choices:
        several = "one of " if len(choices) > 1 else ""
        near = difflib.get_close_matches(text, choices, n=1)
        raise UsageError(
            f"{option} must be {several}{', '.join(choices)}, got '{text}'",
            hint=f"did you mean '{near[0]}'?" if near else "",
        )
    return text


def size_in_bytes(text: str, option: str) -> int:
    """Bytes of `500M` and the like; the units are powers of 1024."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMGT]?)(?:i?B)?", text, re.IGNORECASE)
    if not found:
        raise UsageError(f"{option} takes a size such as 500M or 4G, got '{text}'")
    return int(float(found[1]) * 1024 ** " KMGT".index(found[2].upper() or " "))


def number_or_knn(text: str, option: str) -> int | str:
    """A whole number, or the text knn:K, whose K is checked with the query."""
    if text.startswith("knn:"):
        return text
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{option} takes a whole number or knn:K, got '{text}'") from None


def sha256(text: str, option: str) -> str:
    """Return a digest as sha256sum prints it."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise UsageError(f"{option} takes 64 hexadecimal digits, got '{text}'", hint="sha256sum HEAD prints them")
    return text


def mix(text: str, option: str = "--mix") -> str:
    """Return the text of a mix. A text without shares is refused, since it names a single strategy."""
    if ":" not in text:
        raise UsageError(
            f"{option} takes NAME:SHARE,..., got '{text}'",
            hint="for instance margin:0.8,random:0.2; -s names one strategy",
        )
    return text


def path_or_stdout(text: str, option: str) -> Path | None:
    """Return a path, or None for standard output, which is `-` or /dev/stdout.

    While a command runs, the descriptor of /dev/stdout stands for stderr, so the path could not be opened as stdout.
    """
    return None if text in ("-", "/dev/stdout") else Path(text)


def key_values(pairs: Sequence[str] | None, *, kebab: bool = False) -> dict[str, str]:
    """Return the KEY=VALUE texts of -p as a dictionary. A text without '=' and a key given twice are refused.

    kebab: take `cost_col` for `cost-col`; of a key `OWNER.KEY` the owner stays as it is.
    """
    found: dict[str, str] = {}
    for pair in pairs or []:
        key, equals, value = pair.partition("=")
        if not equals or not key:
            raise UsageError(f"-p takes KEY=VALUE, got '{pair}'")
        if kebab:
            owner, dot, name = key.rpartition(".")
            key = owner + dot + name.replace("_", "-")
        if key in found:
            raise UsageError(f"-p {key} is given twice")
        found[key] = value
    return found
