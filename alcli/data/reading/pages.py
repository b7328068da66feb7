"""The headers of a Parquet file's pages, which give the size of each page before anything is decompressed.

pyarrow shows the sizes of whole column chunks from the footer, and a damaged or hostile footer can claim any size.
Its reader allocates by the header before each page: a struct in the compact protocol of Thrift, as parquet.thrift
defines it.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import BinaryIO

import pyarrow.parquet as pq

from alcli.data.cached.scratch import half_of_memory
from alcli.data.reading.data_file import DataFile
from alcli.data.reading.thrift import I32, I64, LIST, STRUCT, Struct, read_struct
from alcli.errors import DataError, MemoryLimitError, printable

# Fields of PageHeader.
_UNCOMPRESSED, _COMPRESSED, _CRC = (2, I32), (3, I32), (4, I32)
# A field each of FileMetaData, RowGroup and ColumnChunk.
_ROW_GROUPS, _COLUMNS, _METADATA = (4, LIST), (1, LIST), (3, STRUCT)
# Fields of ColumnMetaData.
_VALUES, _SIZE, _DATA_OFFSET, _DICTIONARY_OFFSET = (5, I64), (7, I64), (9, I64), (11, I64)
# Bytes by which old writers count a chunk too small: they left out the header of its dictionary.
_LEFT_OUT = 100
# Bytes to read for a header: at first, and when that was too short.
_USUAL, _LONGEST = 1 << 10, 1 << 20
# A page of up to this many bytes is never refused: a block of features is as large.
_ALWAYS = 16 << 20


def check_pages(
    file: DataFile, parquet: pq.ParquetFile, name: str, groups: Sequence[int] | None, limit: int | None
) -> None:
    """Raise MemoryLimitError when a page of column `name` would need more than `limit` bytes (None: half of memory).

    The check comes before anything is decompressed. groups: the row groups to read, None for all. Pages of up to 16
    MiB always pass. pyarrow takes memory for the stored size of a page before it reads the page, too, so a page may not
    reach beyond its column chunk. Raises DataError for such a page, and for a header that cannot be read. Cost: one
    short read per page, about 20 us.
    """
    most = max(half_of_memory() if limit is None else limit, _ALWAYS)
    every = range(parquet.metadata.num_row_groups) if groups is None else groups
    with file.open() as source:
        for chunk in _chunks(source, parquet, name, every):
            for header in _headers(source, file, chunk):
                if header[_UNCOMPRESSED] > most:
                    page = f"a page that becomes {header[_UNCOMPRESSED] >> 20} MiB"
                    what = f"{page}, more than the {most >> 20} MiB of memory that may be used"
                    hint = "raise --max-memory, or write the file with smaller pages"
                    raise MemoryLimitError(f"{file.name}: column '{printable(name)}' has {what}", hint=hint)


def has_checksums(file: DataFile, parquet: pq.ParquetFile, name: str) -> bool:
    """True where the pages of a column carry checksums, which show damage inside a page.

    Only the first page is looked at.
    """
    with file.open() as source:
        for chunk in _chunks(source, parquet, name, range(parquet.metadata.num_row_groups)):
            for header in _headers(source, file, chunk):
                return _CRC in header
    return True


def _chunks(source: BinaryIO, parquet: pq.ParquetFile, name: str, groups: Iterable[int]) -> list[Struct]:
    """The metadata of the column chunks of a top-level column: `a.b` may be a column, or a field of the struct `a`.

    Read from the footer itself: pyarrow's `row_group(g).column(i)` crashes the process over an inconsistent footer.
    """
    schema = parquet.schema
    leaves = [
        i for i in range(len(schema)) if schema.column(i).path == name or schema.column(i).path.startswith(f"{name}.")
    ]
    source.seek(-8, io.SEEK_END)
    length = int.from_bytes(source.read(4), "little")
    source.seek(-8 - length, io.SEEK_END)
    found = _row_groups(source.read(length))
    chunks = [found[group][_COLUMNS][leaf][_METADATA] for group in groups for leaf in leaves]
    # pyarrow reads no page of a chunk without values.
    return [chunk for chunk in chunks if chunk[_VALUES]]


@lru_cache(maxsize=2)
def _row_groups(footer: bytes) -> list[Struct]:
    """The row groups of a footer.

    The result is kept, because columns are read one after the other by the same footer.
    """
    return list(read_struct(footer, 0)[0].get(_ROW_GROUPS, []))


def _headers(source: BinaryIO, file: DataFile, chunk: Struct) -> Iterator[Struct]:
    """Yield the headers of the pages of a chunk, from the places where pyarrow looks for them."""
    at = chunk[_DATA_OFFSET]
    if 0 < chunk.get(_DICTIONARY_OFFSET, 0) < at:
        at = chunk[_DICTIONARY_OFFSET]
    end = at + chunk[_SIZE]
    while 0 <= at < end:
        header, length = _header(source, file, at)
        following = at + length + header[_COMPRESSED]
        if following > end + _LEFT_OUT:
            raise DataError(f"{file.name}: damaged: the page at byte {at} reaches beyond its column")
        yield header
        at = following


def _header(source: BinaryIO, file: DataFile, at: int) -> tuple[Struct, int]:
    """Read the header that begins at byte `at`; return it with its length in bytes."""
    for size in (_USUAL, _LONGEST):
        source.seek(at)
        data = source.read(size)
        try:
            header, length = read_struct(data, 0)
        except IndexError:
            # The header is longer than the bytes that were read.
            continue
        except ValueError:
            break
        if all(0 <= header.get(size, -1) < 1 << 31 for size in (_UNCOMPRESSED, _COMPRESSED)):
            return header, length
        break
    raise DataError(f"{file.name}: not readable as Parquet: no header of a page at byte {at}")
