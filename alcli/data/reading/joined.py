"""The blocks of one column from files of different writers, as one array."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.types as pt

from alcli.errors import DataError


def joined(blocks: Sequence[pa.Array], where: str) -> pa.Array:
    """Return blocks of plain types, of which at least one is not null, as one array.

    Integers of different widths become int64. Integers beside floats or decimals become int64 if all values are whole
    and float64 otherwise: libraries turn a column of integers with gaps into floats. where: pool and column, for
    messages. Raises DataError for other types that differ.
    """
    kinds = {block.type for block in blocks if not pt.is_null(block.type)}
    for kind in [next(iter(kinds))] if len(kinds) == 1 else _wider(kinds):
        try:
            return pa.concat_arrays([block.cast(kind) for block in blocks])
        except pa.ArrowInvalid:
            # A value has no place in this type: a fraction among integers, a byte that is not UTF-8.
            continue
    found = " and ".join(sorted(map(str, kinds)))
    raise DataError(f"{where} is of type {found} in different files, expected one type", hint="cast it to one type")


def _wider(kinds: set[pa.DataType]) -> list[pa.DataType]:
    """Return the types that can hold all of several types, the best one first; none where there is no such type."""
    if all(pt.is_integer(k) or (pt.is_decimal(k) and k.scale <= 0) for k in kinds):
        return [pa.int64(), pa.uint64()]
    if all(pt.is_floating(k) for k in kinds):
        return [pa.float64()]
    if all(pt.is_integer(k) or pt.is_floating(k) or pt.is_decimal(k) for k in kinds):
        return [pa.int64(), pa.float64()]
    texts = (pt.is_string, pt.is_large_string, pt.is_binary, pt.is_large_binary)
    return [pa.large_string()] if all(any(is_a(k) for is_a in texts) for k in kinds) else []
