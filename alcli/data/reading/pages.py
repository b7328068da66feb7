"""The headers of a Parquet file's pages, which say what each page becomes before anything is decompressed.

pyarrow shows what the footer says of whole column chunks; a footer can say anything. The sizes that its reader allocates by are in the
header before each page: a struct in the compact protocol of Thrift, as parquet.thrift defines it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import BinaryIO

import pyarrow.parquet as pq

from alcli.data.reading.files import DataFile
from alcli.data.reading.scratch import memory_limit
from alcli.data.reading.thrift import I32, I64, LIST, STRUCT, Struct, read_struct
from alcli.errors import DataError, MemoryLimitError, printable

_UNCOMPRESSED, _COMPRESSED, _CRC = (2, I32), (3, I32), (4, I32)  # fields of PageHeader
_ROW_GROUPS, _COLUMNS, _METADATA = (4, LIST), (1, LIST), (3, STRUCT)  # of FileMetaData, RowGroup and ColumnChunk
_CODEC, _VALUES, _SIZE, _DATA_OFFSET, _DICTIONARY_OFFSET = (4, I32), (5, I64), (7, I64), (9, I64), (11, I64)  # of ColumnMetaData
_STORED = 0  # the codec that does nothing
_USUAL, _LONGEST = 1 << 10, 1 << 20  # bytes of a header
_ALWAYS = 16 << 20  # blocks of features are as large


def check_pages(file: DataFile, parquet: pq.ParquetFile, name: str, groups: Sequence[int] | None, limit: int | None) -> None:
    """Raise MemoryLimitError when a page of column `name` becomes larger than `limit` bytes (None: half of memory), before it does.

    Pages of up to 16 MiB are always good. What is stored uncompressed cannot outgrow the file and is not looked at. Raises DataError for a header that cannot be read.
    Cost: one short read per page, about 20 us.
    """
    most = max(memory_limit(limit), _ALWAYS)
    every = range(parquet.metadata.num_row_groups) if groups is None else groups
    with file.open() as source:
        for chunk in _chunks(source, parquet, name, every):
            if chunk[_CODEC] == _STORED and chunk[_SIZE] <= most:
                continue
            for header in _headers(source, file, chunk):
                if header[_UNCOMPRESSED] > most:
                    what = f"{file.name}: column '{printable(name)}' has a page that becomes {header[_UNCOMPRESSED] >> 20} MiB, more than the {most >> 20} MiB of memory that may be used"
                    raise MemoryLimitError(what, hint="raise --max-memory, or write the file with smaller pages")


def has_checksums(file: DataFile, parquet: pq.ParquetFile, name: str) -> bool:
    """Whether the pages of a column carry checksums, by which damage inside them is noticed; seen by the first page."""
    with file.open() as source:
        for chunk in _chunks(source, parquet, name, range(parquet.metadata.num_row_groups)):
            for header in _headers(source, file, chunk):
                return _CRC in header
    return True


def _chunks(source: BinaryIO, parquet: pq.ParquetFile, name: str, groups: Iterable[int]) -> list[Struct]:
    """The metadata of column chunks that are read for a top-level column: `a.b` may be one, or a field of the struct `a`.

    From the footer itself: pyarrow's own `row_group(g).column(i)` takes the process down when what it finds there is inconsistent.
    """
    schema = parquet.schema
    leaves = [i for i in range(len(schema)) if schema.column(i).path == name or schema.column(i).path.startswith(f"{name}.")]
    source.seek(-8, io.SEEK_END)
    length = int.from_bytes(source.read(4), "little")
    source.seek(-8 - length, io.SEEK_END)
    found = _row_groups(source.read(length))
    chunks = [found[group][_COLUMNS][leaf][_METADATA] for group in groups for leaf in leaves]
    return [chunk for chunk in chunks if chunk[_VALUES]]  # of no values, pyarrow reads no page


@lru_cache(maxsize=2)
def _row_groups(footer: bytes) -> list[Struct]:
    """Columns are read one after the other, and all by the same footer."""
    return list(read_struct(footer, 0)[0].get(_ROW_GROUPS, []))


def _headers(source: BinaryIO, file: DataFile, chunk: Struct) -> Iterator[Struct]:
    """The headers of the pages of a chunk, where pyarrow looks for them."""
    at = chunk[_DATA_OFFSET]
    if 0 < chunk.get(_DICTIONARY_OFFSET, 0) < at:
        at = chunk[_DICTIONARY_OFFSET]
    end = at + chunk[_SIZE]
    while 0 <= at < end:
        header, length = _header(source, file, at)
        yield header
        at += length + header[_COMPRESSED]


def _header(source: BinaryIO, file: DataFile, at: int) -> tuple[Struct, int]:
    """The header that begins at byte `at`, and its length."""
    for size in (_USUAL, _LONGEST):
        source.seek(at)
        data = source.read(size)
        try:
            header, length = read_struct(data, 0)
        except IndexError:  # it goes on behind what was read
            continue
        except ValueError:
            break
        if all(0 <= header.get(size, -1) < 1 << 31 for size in (_UNCOMPRESSED, _COMPRESSED)):
            return header, length
        break
    raise DataError(f"{file.name}: not readable as Parquet: no header of a page at byte {at}")

