"""Structs of Thrift's compact protocol, by hand."""

from __future__ import annotations

import pytest

from alcli.data.reading.thrift import read_struct


def varint(value: int) -> bytes:
    out = b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def i32(step: int, value: int, kind: int = 5) -> bytes:
    return bytes([step << 4 | kind]) + varint(value << 1 if value >= 0 else -2 * value - 1)


def test_fields():
    """In any order and of any kind; the last of two that are alike counts, and one of another kind does not replace
    it.
    """
    assert read_struct(i32(1, 0) + i32(1, 70) + i32(1, -50) + b"\0", 0)[0] == {(1, 5): 0, (2, 5): 70, (3, 5): -50}
    assert read_struct(b"\x05\x06\x12" + b"\x05\x04\x46" + b"\0", 0)[0] == {(3, 5): 9, (2, 5): 35}
    assert read_struct(i32(2, 8) + b"\x05\x04" + varint(2 * 7) + b"\x06\x04" + varint(2 * 5) + b"\0", 0)[0] == {
        (2, 5): 7,
        (2, 6): 5,
    }
    assert read_struct(b"\x11\x12\x1c" + i32(2, 4) + b"\0" + b"\0", 0) == (
        {(1, 1): True, (2, 2): False, (3, 12): {(2, 5): 4}},
        7,
    )


def test_strings_and_lists():
    found = read_struct(
        b"\x28\x03abc"
        + i32(1, 9)
        + b"\x19\xf5"
        + varint(20)
        + bytes(20)
        + b"\x19\x21\x01\x00"
        + b"\x17"
        + bytes(8)
        + b"\0",
        0,
    )[0]
    assert found == {(2, 8): b"abc", (3, 5): 9, (4, 9): [0] * 20, (5, 9): [b"\x01", b"\x00"], (6, 7): bytes(8)}
    assert read_struct(b"\x19\x2c" + i32(1, 3) + b"\0" + i32(1, 4) + b"\0" + b"\0", 0)[0] == {
        (1, 9): [{(1, 5): 3}, {(1, 5): 4}]
    }


def test_numbers_of_fields_wrap():
    wrapped = b"\x05" + varint(2 * 32767) + varint(0) + bytes([0x35]) + varint(2 * 6) + b"\0"
    assert read_struct(wrapped, 0)[0][-32766, 5] == 6


@pytest.mark.parametrize("bad", [b"\x1b\0\0", b"\x15" + b"\xff" * 12, b"\x1c" * 100, b"\x19\xf9" * 100])
def test_nonsense(bad):
    with pytest.raises(ValueError):
        read_struct(bad, 0)


@pytest.mark.parametrize("short", [b"", b"\x15", b"\x18\x05abc", b"\x19\x25\x02", b"\x1c\0"])
def test_data_that_end_too_soon(short):
    with pytest.raises(IndexError):
        read_struct(short, 0)
