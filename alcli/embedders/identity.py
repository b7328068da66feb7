"""Ready-made vectors, stored as they are; items of more than one axis are flattened.

Source: none; for features that another program wrote to .npy or to a list column.
Cost: time and memory of a copy.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alcli.arrays import Array
from alcli.embedders._contract import Encoder, Request, embedder, refuse_device, refuse_layer
from alcli.embedders._items import check_shapes, read_array
from alcli.errors import DataError, UsageError


@embedder(takes={"array"})
def identity(argument: str, request: Request) -> Encoder:
    """`identity` returns arrays as they are, float64; D is the number of values of an item."""
    refuse_layer(request, "identity")
    refuse_device(request, "identity")
    if argument:
        raise UsageError(f"identity takes no argument, got '{argument}'", hint="-m identity")

    def encode(items: list[Any]) -> Array:
        check_shapes(items)
        return np.stack(items).reshape(len(items), -1)

    return Encoder(encode, prepare=_read_finite)


def _read_finite(item: Any) -> Array:
    """Prepare an item: return its numbers, float64. Raises DataError for null, NaN and infinity."""
    array = read_array(item)
    numbers: Array = np.array([np.nan if x is None else x for x in array.flat] if array.dtype == object else array)
    numbers = numbers.astype(np.float64)
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        what = "null" if array.flat[bad[0]] is None else f"{numbers.flat[bad[0]]}"
        raise DataError(f"dimension {bad[0]} is {what}, expected finite numbers")
    return numbers
