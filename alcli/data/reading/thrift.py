"""Structs in the compact protocol of Thrift, in which Parquet files describe themselves; read without their definition.

A value is an int, a bool, bytes (strings, and values of fixed length), a list, or a dict of fields. A field is known
by its number and its kind, because a reader passes over a field of another kind than it expects. The last of two
equal fields counts. Source: the specification of the protocol, apache/thrift doc/specs/thrift-compact-protocol.md.
Cost: about a microsecond a value.
"""

from __future__ import annotations

from typing import Any, TypeAlias

# The number and the kind of a field.
Field: TypeAlias = tuple[int, int]
Struct: TypeAlias = dict[Field, Any]

# Kinds of fields, as the specification numbers them.
I32, I64, LIST, STRUCT = 5, 6, 9, 12
_TRUE, _FALSE, _BYTE, _BINARY = 1, 2, 3, 8
_INTEGERS, _LISTS = (4, I32, I64), (LIST, 10)
# Bytes of a value, by kind: byte, double, uuid.
_FIXED = {_BYTE: 1, 7: 8, 13: 16}
# Levels of structs and lists: more than Parquet's own need, few enough that a hostile file cannot exhaust the stack.
_DEEPEST = 16


def read_struct(data: bytes, at: int, depth: int = 0) -> tuple[Struct, int]:
    """Read the struct that begins at byte `at`; return it with the position of the byte that follows.

    Raises IndexError when the data end too early, ValueError for bytes that are no struct.
    """
    if depth > _DEEPEST:
        raise ValueError("too deep")
    found: Struct = {}
    field = 0
    while data[at]:
        kind, step = data[at] & 15, data[at] >> 4
        at += 1
        if step:
            field += step
        else:
            field, at = _zigzag(data, at)
        # The number of a field wraps round as an i16, as in the reader of pyarrow.
        field = ((field + (1 << 15)) & 0xFFFF) - (1 << 15)
        if kind in (_TRUE, _FALSE):
            # The kind of a boolean field is its value.
            found[field, kind] = kind == _TRUE
        else:
            found[field, kind], at = _value(data, at, kind, depth)
    return found, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    """Read a value of a kind; return it with the position of the byte that follows."""
    if kind in _INTEGERS:
        return _zigzag(data, at)
    if kind == STRUCT:
        return read_struct(data, at, depth + 1)
    if kind in _LISTS:
        return _list(data, at, depth)
    if kind == _BINARY:
        length, at = _varint(data, at)
    elif kind in _FIXED:
        length = _FIXED[kind]
    else:
        # The only kind of the protocol that is left is a map, and nothing in a Parquet file is one.
        raise ValueError("unknown kind")
    if at + length > len(data):
        raise IndexError
    return data[at : at + length], at + length


def _list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
    """Read a list, whose size stands in the first byte if it is below 15."""
    if depth > _DEEPEST:
        raise ValueError("too deep")
    size, kind = data[at] >> 4, data[at] & 15
    at += 1
    if size == 15:
        size, at = _varint(data, at)
    found = []
    for _ in range(size):
        one, at = _value(data, at, _BYTE if kind in (_TRUE, _FALSE) else kind, depth + 1)
        found.append(one)
    return found, at


def _zigzag(data: bytes, at: int) -> tuple[int, int]:
    """Read a signed integer in zigzag form: 0, -1, 1, -2, 2 are stored as 0, 1, 2, 3, 4."""
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned integer in groups of 7 bits, the lowest first; the top bit of a byte says that more follow."""
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")
