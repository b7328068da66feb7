"""Structs in the compact protocol of Thrift, in which Parquet files describe themselves, read with nothing but the bytes at hand.

Values: int, bool, bytes (strings, and what stands in fixed lengths), list, or a dict of fields. Those are known by number and kind, for a
reader passes over a field that is not of the kind that it expects; of two that are alike the last one counts.
Source: the specification of the protocol, apache/thrift doc/specs/thrift-compact-protocol.md.
Cost: about a microsecond a value.
"""

from __future__ import annotations

from typing import Any, TypeAlias

Field: TypeAlias = tuple[int, int]  # number and kind
Struct: TypeAlias = dict[Field, Any]

I32, I64, LIST, STRUCT = 5, 6, 9, 12
_TRUE, _FALSE, _BYTE, _BINARY = 1, 2, 3, 8
_INTEGERS, _LISTS = (4, I32, I64), (LIST, 10)
_FIXED = {_BYTE: 1, 7: 8, 13: 16}  # bytes of a value: byte, double, uuid
_DEEPEST = 16


def read_struct(data: bytes, at: int, depth: int = 0) -> tuple[Struct, int]:
    """The struct that begins at byte `at`, and where it ends. Raises IndexError when the data end first, ValueError for nonsense."""
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
        field = ((field + (1 << 15)) & 0xFFFF) - (1 << 15)  # an i16, as the reader of pyarrow counts
        if kind in (_TRUE, _FALSE):  # which stand in the kind of their field
            found[field, kind] = kind == _TRUE
        else:
            found[field, kind], at = _value(data, at, kind, depth)
    return found, at + 1


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
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
    else:  # a map: nothing in a Parquet file is one
        raise ValueError("unknown kind")
    if at + length > len(data):
        raise IndexError
    return data[at : at + length], at + length


def _list(data: bytes, at: int, depth: int) -> tuple[list[Any], int]:
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
    value, at = _varint(data, at)
    return (value >> 1) ^ -(value & 1), at


def _varint(data: bytes, at: int) -> tuple[int, int]:
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
