"""Ready-made vectors, stored as they are; items of more than one axis are flattened.

Source: none; for features that another program wrote, as an array, a list, a text such as [0.1, 0.2], or a struct.
Cost: time and memory of a copy.
Options: unpack is true for vectors of bits, 8 in a byte: each becomes 8 values, 0 or 1. bytes-as is the type of the
numbers in vectors that are stored as bytes, the lowest byte first.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Literal

import numpy as np

from alcli.arrays import Array
from alcli.embedders._contract import Encoder, Request, embedder, refuse_device, refuse_layer
from alcli.embedders._items import check_shapes, read_array
from alcli.errors import DataError, UsageError


@embedder(takes={"array"})
def identity(
    argument: str,
    request: Request,
    *,
    unpack: bool = False,
    bytes_as: Literal["float32", "float64", "float16", "int8", "uint8"] | None = None,
) -> Encoder:
    """`identity` returns arrays as they are, float64; D is the number of values of an item."""
    refuse_layer(request, "identity")
    refuse_device(request, "identity")
    if argument:
        raise UsageError(f"identity takes no argument, got '{argument}'", hint="-m identity")

    def encode(items: list[Any]) -> Array:
        check_shapes(items)
        return np.stack(items).reshape(len(items), -1)

    return Encoder(encode, prepare=partial(_read_finite, unpack=unpack, bytes_as=bytes_as))


def _read_finite(item: Any, unpack: bool, bytes_as: str | None) -> Array:
    """Prepare an item: return its numbers, float64. Raises DataError for null, NaN and infinity."""
    array = read_array(_of_bytes(item, bytes_as or ("uint8" if unpack else None)) if isinstance(item, bytes) else item)
    if unpack:
        return _bits(array)
    try:
        numbers: Array = np.array([np.nan if x is None else x for x in array.flat] if array.dtype == object else array)
        numbers = numbers.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise DataError("it holds values that are no numbers") from error
    bad = np.flatnonzero(~np.isfinite(numbers))
    if len(bad):
        what = "null" if array.flat[bad[0]] is None else f"{numbers.flat[bad[0]]}"
        raise DataError(f"dimension {bad[0]} is {what}, expected finite numbers")
    return numbers


def _of_bytes(item: bytes, bytes_as: str | None) -> Array:
    """The numbers in bytes. Raises DataError where their type is unknown, or does not fit the number of bytes."""
    if bytes_as is None:
        raise DataError("the vector is stored as bytes", hint="-p bytes-as=float32 says what the bytes hold")
    kind = np.dtype(bytes_as).newbyteorder("<")
    if not item or len(item) % kind.itemsize:
        raise DataError(f"{len(item)} bytes are no vector of {bytes_as}, which have {kind.itemsize} bytes each")
    return np.frombuffer(item, kind)


def _bits(array: Array) -> Array:
    """The bits of bytes, the highest first, as numpy.packbits packs them; float64 of 0 and 1.

    int8 is uint8 less 128, as sentence-transformers writes the precision `binary`. Raises DataError for another type.
    """
    if array.dtype == np.int8:
        array = (array.astype(np.int16) + 128).astype(np.uint8)
    if array.dtype != np.uint8:
        raise DataError(f"-p unpack=true takes vectors of uint8 or int8, got {array.dtype}")
    return np.unpackbits(array.reshape(-1)).astype(np.float64)
