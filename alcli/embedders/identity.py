"""Ready-made vectors, stored as they are; items of more than one axis are flattened.

Source: none; for features that another program wrote to .npy or to a list column.
Cost: time and memory of a copy.
"""

from __future__ import annotations

from typing import Any

from alcli.arrays import Array
from alcli.embedders._contract import Encoder, Request, embedder, refuse_device, refuse_layer
from alcli.embedders._items import read_array, stacked
from alcli.errors import UsageError


@embedder(takes={"array"})
def identity(argument: str, request: Request) -> Encoder:
    """`identity` stores arrays as they are; D is the number of values of an item."""
    refuse_layer(request, "identity")
    refuse_device(request, "identity")
    if argument:
        raise UsageError(f"identity takes no argument, got '{argument}'", hint="-m identity")

    def encode(items: list[Any]) -> Array:
        return stacked(items).reshape(len(items), -1)

    return Encoder(encode, prepare=read_array)
