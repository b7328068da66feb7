"""The facts about a file as lines of text: a name and a value each, short for people; --json has every value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Any

from alcli.errors import printable
from alcli.workflows.inspect.run import Inspected

_A = {
    "head": "a head",
    "pool": "a pool",
    "ledger": "a ledger",
    "selection": "a selection",
    "predictions": "predictions",
    "labels": "labels",
    "ids": "a list of ids",
    "simulation": "a simulation",
}
# Counts by name that are shown one by one; of more, the extremes and the median.
_SHOWN = 6
_LISTED = 8


def lines_of(found: Inspected) -> list[str]:
    """Return the lines about one file: its kind, and below it a line a fact."""
    facts = [(name.replace("_", " "), text) for name, value in found.facts.items() for text in _texts(value)]
    width = max((len(name) for name, _ in facts), default=0)
    lines, before = [f"{found.name}: {_A[found.kind]}"], ""
    for name, text in facts:
        lines.append(f"  {'' if name == before else name:<{width}}  {text}")
        before = name
    return lines


def _texts(value: Any) -> Iterator[str]:
    """Yield a value as one line, but a list of sentences, or of mappings, as a line each."""
    if isinstance(value, list) and any(isinstance(one, str) and ": " in one for one in value):
        yield from map(printable, value)
    elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        yield from map(_mapping, value)
    else:
        yield _text(value)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, Mapping):
        return _mapping(value)
    if isinstance(value, list):
        more = f" and {len(value) - _LISTED} more" if len(value) > _LISTED else ""
        return (", ".join(map(_text, value[:_LISTED])) or "none") + more
    return printable(value)


def _mapping(value: Mapping[str, Any]) -> str:
    """Names with their values; of many numbers the least, the median and the most."""
    numbers = {name: one for name, one in value.items() if isinstance(one, int | float) and not isinstance(one, bool)}
    if len(value) > _SHOWN and len(numbers) == len(value):
        ranked = sorted(numbers, key=lambda name: numbers[name])
        least, most = (f"{_text(numbers[name])} ({printable(name)})" for name in (ranked[0], ranked[-1]))
        return f"least {least}, median {median(numbers.values()):.4g}, most {most}"
    between = ": " if len(numbers) == len(value) else " "
    return ", ".join(f"{printable(name)}{between}{_text(one)}" for name, one in value.items()) or "none"
