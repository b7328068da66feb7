"""Numbers as everybody writes them in text: digits, a point, an exponent, and nothing that only Python reads."""

from __future__ import annotations

import math
import re
from decimal import Decimal
from numbers import Real
from typing import Any

_NUMBER = re.compile(r"\s*[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?\s*")
_DECIMAL_COMMA = re.compile(r"\s*[+-]?[0-9]+,[0-9]+\s*")


def number_of(value: Any) -> float:
    """Return the number that a value of a file stands for; NaN where it is none, or none that is finite.

    `1_000`, `inf`, booleans and digits of other scripts are no numbers.
    """
    if isinstance(value, str) and not _NUMBER.fullmatch(value):
        return math.nan
    if isinstance(value, bool) or not isinstance(value, (str, Real, Decimal)):
        return math.nan
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return math.nan
    return number if math.isfinite(number) else math.nan


def spelling_hint(value: Any) -> str:
    """Return the way to write a text that is nearly a number; empty where it is nothing like one."""
    if not isinstance(value, str):
        return ""
    if _DECIMAL_COMMA.fullmatch(value):
        return "write decimals with a point"
    if "_" in value and _NUMBER.fullmatch(value.replace("_", "")):
        return "write digits without '_'"
    return ""


def whole(value: Any) -> int | None:
    """Return the integer that a float or decimal without a fraction is; None for anything else.

    Libraries turn a column of integers with gaps into floats, and databases unload integers as decimals.
    """
    if isinstance(value, float) and value.is_integer():
        return int(value)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    return None
