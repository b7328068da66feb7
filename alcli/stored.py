"""Readers for the tensors and settings of a stored model, which may be damaged.

Every function raises DataError, naming the entry, where the entry is missing or is not as expected.
Cost: one pass over each tensor.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.errors import DataError

HINT = "the head file is damaged, or was not written by alcli: fit the head again"


def tensor(arrays: Mapping[str, Array], name: str, shape: tuple[int, ...]) -> Float64:
    """Return the float64 tensor `name`, which must be finite and have the given shape."""
    if name not in arrays:
        raise DataError(f"tensor '{name}' is missing", hint=HINT)
    array = arrays[name]
    if array.dtype != np.float64:
        raise DataError(f"tensor '{name}' has type {array.dtype}, expected float64", hint=HINT)
    if array.shape != shape:
        raise DataError(f"tensor '{name}' has shape {array.shape}, expected {shape}", hint=HINT)
    if not np.isfinite(array).all():
        raise DataError(f"tensor '{name}' holds NaN or infinity", hint=HINT)
    return array


def class_numbers(arrays: Mapping[str, Array], name: str, n: int, n_classes: int) -> Int64:
    """Return the int64 tensor `name` of n class numbers, 0 to n_classes - 1."""
    array = arrays[name]
    if array.dtype != np.int64 or array.shape != (n,) or ((array < 0) | (array >= n_classes)).any():
        raise DataError(f"tensor '{name}' is not {n} numbers of classes, 0 to {n_classes - 1}", hint=HINT)
    return array


def no_other_tensors(arrays: Mapping[str, Array], expected: Mapping[str, Array]) -> None:
    """Raise DataError where `arrays` holds a tensor that `expected` does not name."""
    if extra := sorted(set(arrays) - set(expected)):
        raise DataError(f"tensor '{extra[0]}' does not belong to this kind of head", hint=HINT)


def number(settings: Mapping[str, Any], name: str, *, positive: bool = True) -> float:
    """Return a finite number, which must be greater than zero if `positive`."""
    value = _entry(settings, name)
    valid = isinstance(value, (int, float)) and not isinstance(value, bool) and np.isfinite(value)
    if not valid or (positive and value <= 0):
        raise DataError(
            f"setting '{name}' is {value!r}, expected a {'positive' if positive else 'finite'} number", hint=HINT
        )
    return float(value)


def number_or_none(settings: Mapping[str, Any], name: str) -> float | None:
    """Return a finite number greater than zero, or None if the setting is null."""
    return None if _entry(settings, name) is None else number(settings, name)


def count(settings: Mapping[str, Any], name: str) -> int:
    """Return a whole number, at least 1."""
    value = _entry(settings, name)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise DataError(f"setting '{name}' is {value!r}, expected a whole number from 1", hint=HINT)
    return value


def whole(settings: Mapping[str, Any], name: str) -> int:
    """Return a whole number, at least 0."""
    value = _entry(settings, name)
    return 0 if value == 0 and not isinstance(value, bool) else count(settings, name)


def counts(settings: Mapping[str, Any], name: str) -> list[int]:
    """Return a list of whole numbers, each at least 1. An empty list is refused."""
    values = _entry(settings, name)
    if (
        not isinstance(values, list)
        or not values
        or not all(isinstance(v, int) and not isinstance(v, bool) and v >= 1 for v in values)
    ):
        raise DataError(f"setting '{name}' is {values!r}, expected a list of whole numbers from 1", hint=HINT)
    return values


def text(settings: Mapping[str, Any], name: str) -> str:
    """Return a string."""
    value = _entry(settings, name)
    if not isinstance(value, str):
        raise DataError(f"setting '{name}' is {value!r}, expected a string", hint=HINT)
    return value


def choice(settings: Mapping[str, Any], name: str, choices: Sequence[Any]) -> Any:
    """Return a value that is one of `choices`."""
    value = _entry(settings, name)
    if value not in choices:
        raise DataError(f"setting '{name}' is {value!r}, expected one of {', '.join(map(repr, choices))}", hint=HINT)
    return value


def section(settings: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return a JSON object inside the settings."""
    value = _entry(settings, name)
    if not isinstance(value, Mapping):
        raise DataError(f"setting '{name}' is {value!r}, expected an object", hint=HINT)
    return value


def _entry(settings: Mapping[str, Any], name: str) -> Any:
    if name not in settings:
        raise DataError(f"setting '{name}' is missing", hint=HINT)
    return settings[name]
