"""The headers of a Parquet file's pages, which say what each page becomes before anything is decompressed.

pyarrow shows what the footer says of whole column chunks; a footer can say anything. The sizes that its reader allocates by are in the
header before each page: a struct in the compact protocol of Thrift, as parquet.thrift defines it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow.parquet as pq

from alcli.data.files import DataFile
from alcli.data.scratch import memory_limit
from alcli.errors import DataError, MemoryLimitError, printable

_UNCOMPRESSED, _COMPRESSED, _CRC = 2, 3, 4  # fields of PageHeader
_USUAL, _LONGEST = 1 << 10, 1 << 20  # bytes of a header
_DEEPEST = 16
_ALWAYS = 16 << 20  # blocks of features are as large
_BOOLEANS, _I32, _INTEGERS = (1, 2), 5, (4, 5, 6)  # kinds of values
_FIXED = {3: 1, 7: 8, 13: 16}  # bytes of a value: byte, double, uuid


def check_pages(file: DataFile, parquet: pq.ParquetFile, name: str, groups: Sequence[int] | None, limit: int | None) -> None:
    """Raise MemoryLimitError when a page of column `name` becomes larger than `limit` bytes (None: half of memory), before it does.

    Pages of up to 16 MiB are always good. What is stored uncompressed cannot outgrow the file and is not looked at. Raises DataError for a header that cannot be read.
    Cost: one short read per page, about 20 us.
    """
    most = max(memory_limit(limit), _ALWAYS)
    every = range(parquet.metadata.num_row_groups) if groups is None else groups
    chunks = [c for group in every for c in _chunks(parquet, name, group) if max(c.total_compressed_size, 0) > most or c.compression != "UNCOMPRESSED"]
    if not chunks:
        return
    with file.open() as source:
        for chunk in chunks:
            for header in _headers(source, file, chunk):
                if header[_UNCOMPRESSED] > most:
                    what = f"{file.name}: column '{printable(name)}' has a page that becomes {header[_UNCOMPRESSED] >> 20} MiB, more than the {most >> 20} MiB of memory that may be used"
                    raise MemoryLimitError(what, hint="raise --max-memory, or write the file with smaller pages")


def has_checksums(file: DataFile, parquet: pq.ParquetFile, name: str) -> bool:
    """Whether the pages of a column carry checksums, by which damage inside them is noticed; seen by the first page."""
    with file.open() as source:
        for group in range(parquet.metadata.num_row_groups):
            for chunk in _chunks(parquet, name, group):
                for header in _headers(source, file, chunk):
                    return _CRC in header
    return True


def _chunks(parquet: pq.ParquetFile, name: str, group: int) -> list[Any]:
    """The column chunks that are read for a top-level column: `a.b` may be one, or a field of the struct `a`."""
    schema = parquet.schema
    leaves = [i for i in range(len(schema)) if schema.column(i).path == name or schema.column(i).path.startswith(f"{name}.")]
    found = parquet.metadata.row_group(group)
    return [chunk for i in leaves if (chunk := found.column(i)).num_values]  # of no values, pyarrow reads no page


def _headers(source: Any, file: DataFile, chunk: Any) -> Iterator[dict[int, int]]:
    """The headers of the pages of a chunk, where pyarrow looks for them."""
    at = chunk.data_page_offset
    if chunk.has_dictionary_page and 0 < chunk.dictionary_page_offset < at:
        at = chunk.dictionary_page_offset
    end = at + chunk.total_compressed_size
    while 0 <= at < end:
        header, length = _header(source, file, at)
        yield header
        at += length + header[_COMPRESSED]


def _header(source: Any, file: DataFile, at: int) -> tuple[dict[int, int], int]:
    """The header that begins at byte `at`, and its length."""
    for size in (_USUAL, _LONGEST):
        source.seek(at)
        data = source.read(size)
        try:
            header, length = _struct(data, 0, 0)
        except IndexError:  # it goes on behind what was read
            continue
        except ValueError:
            break
        if all(0 <= header.get(size, -1) < 1 << 31 for size in (_UNCOMPRESSED, _COMPRESSED)):
            return header, length
        break
    raise DataError(f"{file.name}: not readable as Parquet: no header of a page at byte {at}")


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, int], int]:
    """The i32 fields of a struct by their numbers, and where it ends. Raises IndexError when the data end first, ValueError for nonsense."""
    if depth > _DEEPEST:
        raise ValueError("too deep")
    found: dict[int, int] = {}
    field = 0
    while data[at]:
        kind, step = data[at] & 15, data[at] >> 4
        at += 1
        if step:
            field += step
        else:
            field, at = _zigzag(data, at)
        field = ((field + (1 << 15)) & 0xFFFF) - (1 << 15)  # an i16, as the reader of pyarrow counts
        if kind == _I32:
            found[field], at = _zigzag(data, at)
        elif kind not in _BOOLEANS:  # which stand in the kind of their field
            at = _after(data, at, kind, depth)
    return found, at + 1


def _after(data: bytes, at: int, kind: int, depth: int) -> int:
    """Where a value ends."""
    if kind in _INTEGERS:
        return _varint(data, at)[1]
    if kind == 12:
        return _struct(data, at, depth + 1)[1]
    if kind in (9, 10):
        return _after_list(data, at, depth)
    if kind == 8:
        length, at = _varint(data, at)
    elif kind in _FIXED:
        length = _FIXED[kind]
    else:  # a map: no header has one
        raise ValueError("unknown kind")
    if at + length > len(data):
        raise IndexError
    return at + length


def _after_list(data: bytes, at: int, depth: int) -> int:
    if depth > _DEEPEST:
        raise ValueError("too deep")
    size, kind = data[at] >> 4, data[at] & 15
    at += 1
    if size == 15:
        size, at = _varint(data, at)
    for _ in range(size):
        at = _after(data, at, 3 if kind in _BOOLEANS else kind, depth + 1)
    return at


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
