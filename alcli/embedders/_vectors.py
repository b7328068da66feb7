"""Vectors in the forms in which databases and frameworks store them: text, structs, lists of lists."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from alcli.arrays import Array
from alcli.errors import DataError, printable

# The fields of a vector of Spark (VectorUDT). Its type is 0 where only some values are stored, and 1 where all are.
SPARK = {"type", "size", "indices", "values"}
# A vector of Spark that says to be longer is damaged.
_MOST_VALUES = 1 << 24


def vector_of(item: Any) -> Array:
    """Return an array, a list, a text such as `[0.1, 2]`, or a struct that holds a vector as an array.

    A null value is None in an array of objects. Raises DataError for text that is no vector, lists of different
    lengths, and fields that contradict each other.
    """
    if isinstance(item, np.ndarray):
        return item
    if isinstance(item, str):
        return _parsed(item)
    if isinstance(item, dict) and set(item) == SPARK:
        return _of_spark(item)
    if isinstance(item, dict) and len(item) == 1:
        (inner,) = item.values()
        if inner is None:
            raise DataError("the vector is null")
        return vector_of(inner)
    try:
        return np.asarray(item)
    except ValueError as error:
        raise DataError("its lists differ in length, expected the same number of values in each") from error


def _parsed(text: str) -> Array:
    """The vector in a text: values between brackets, with commas (JSON, pgvector) or spaces (NumPy) between them."""
    inside = text.strip()
    if "..." in inside:
        hint = "NumPy shortens long arrays when it prints them; write lists, by .tolist()"
        raise DataError("values are left out ('...')", hint=hint)
    if not (inside.startswith("[") and inside.endswith("]")):
        raise DataError(f"expected a vector such as [0.1, 0.2], got '{printable(text)[:40]}'")
    try:
        found = json.loads(inside) if "," in inside else [float(value) for value in inside[1:-1].split()]
        return vector_of(np.array(found, np.float64)) if None not in found else np.array(found, object)
    except (ValueError, TypeError, RecursionError) as error:
        raise DataError(f"'{printable(text)[:40]}' is no vector of numbers") from error


def _of_spark(item: dict[str, Any]) -> Array:
    """A vector of Spark with all its values."""
    values = item["values"]
    if item["type"] == 1 and values is not None:
        return np.asarray(values)
    size, places = item["size"], item["indices"]
    if item["type"] != 0 or values is None or places is None or size is None or not 0 < size <= _MOST_VALUES:
        raise DataError("expected a vector of Spark, of type 1 with values, or of type 0 with size, indices and values")
    if len(places) != len(values) or any(place is None or not 0 <= place < size for place in places):
        raise DataError(f"the indices of its vector are not {len(values)} numbers from 0 to {size - 1}")
    found = np.zeros(size)
    found[np.asarray(places, np.int64)] = [np.nan if value is None else value for value in values]
    return found
