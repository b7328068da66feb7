"""The values of labels and of their weights: classes, numbers, and what is refused."""

from __future__ import annotations

import math
from contextlib import suppress
from typing import Any

from alcli.data.spellings.numbers import number_of, spelling_hint, whole
from alcli.errors import DataError, printable

# A sum of a million squares of such labels is still finite.
_LARGEST = 1e150


def is_blank(value: Any) -> bool:
    """True for a gap: nothing, or a text of spaces alone."""
    return value is None or (isinstance(value, str) and not value.strip())


def to_class(value: Any, where: str, types: set[str]) -> str:
    """Return the name of a class; its type is added to `types`. where: its place, for messages. Raises DataError.

    A float or decimal without a fraction is an integer (see `whole`). Bytes are text in UTF-8.
    """
    if isinstance(value, bool):
        types.add("boolean")
        return "true" if value else "false"
    number = value if isinstance(value, int) else whole(value)
    if number is not None:
        types.add("integer")
        return str(number)
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            value = value.decode()
    if isinstance(value, str):
        types.add("string")
        return value
    what = f"the label {printable(repr(value))} is no class, expected a string, an integer or a boolean"
    raise DataError(f"{where}: {what}", hint="'alcli fit-head --task regression' makes a head for numbers")


def to_target(value: Any, where: str) -> float:
    """Return a label of a regression as a number. Raises DataError unless it is finite and can be squared."""
    number = number_of(value)
    if math.isnan(number):
        hint = spelling_hint(value) or "'alcli fit-head --task classification' makes a head for classes"
        what = f"the label '{printable(value)}' is not a finite number, as a regression needs"
        raise DataError(f"{where}: {what}", hint=hint)
    if abs(number) > _LARGEST:
        what = f"the label {number:g} is too large, its square is no 64-bit number"
        raise DataError(f"{where}: {what}", hint="divide all labels by their scale")
    return number


def to_weight(value: Any, where: str) -> float:
    """Return the weight of a label, 1 for an empty value. Raises DataError unless it is positive and finite."""
    if value is None or value == "":
        return 1.0
    weight = number_of(value)
    if not weight > 0:
        raise DataError(f"{where}: the weight '{printable(value)}' is not a positive number", hint=spelling_hint(value))
    return weight
