"""Parquet files from anywhere: opened with limits, read a column at a time in small batches, refused in a sentence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

from alcli.data.reading.data_file import DataFile, refusal
from alcli.data.reading.pages import check_pages
from alcli.data.reading.uuids import is_uuid, uuid_columns, uuid_text
from alcli.errors import AlcliError, DataError, printable

# Read through a small buffer instead of whole column chunks: memory stays at a few blocks, however large a group is.
_STREAMED = {"pre_buffer": False, "buffer_size": 1 << 20, "page_checksum_verification": True}
_LIMITS = {"thrift_string_size_limit": 32 << 20, "thrift_container_size_limit": 50_000}


def open_parquet(file: DataFile) -> pq.ParquetFile:
    """Open a file and read its footer. Raises InputError, DataError with pyarrow's reason."""
    with reading(file):
        return pq.ParquetFile(file.open(), **_STREAMED, **_LIMITS)


def read_column(file: DataFile, name: str, height: int, limit: int | None = None) -> Iterator[pa.Array]:
    """Yield one top-level column in arrays of at most `height` rows, validated and of plain types.

    limit: bytes that a page may have once it is decompressed, None for half of memory. The schema must hold the column
    once (see `schema.require`). Raises DataError, InputError, MemoryLimitError.
    """
    return (values for _, values in read_runs(file, name, height, None, limit))


def read_runs(
    file: DataFile, name: str, height: int, runs: Sequence[Sequence[int]] | None, limit: int | None = None
) -> Iterator[tuple[int, pa.Array]]:
    """Yield (row within the file, values) of the column that `read_column` gives. Raises what it does.

    runs: row groups that are read one run after the other; blocks of a run begin with its first row. None: all.
    """
    with reading(file), open_parquet(file) as parquet:
        sizes = [parquet.metadata.row_group(g).num_rows for g in range(parquet.metadata.num_row_groups)]
        starts = [0, *itertools.accumulate(sizes)]
        check_pages(file, parquet, name, None if runs is None else [g for run in runs for g in run], limit)
        are_uuids = name in uuid_columns(parquet)
        for run in [None] if runs is None else runs:
            first = row = 0 if run is None else starts[run[0]]
            for batch in parquet.iter_batches(height, row_groups=run, columns=[name], use_threads=False):
                # pyarrow takes names for dotted paths: `a` brings `a.b`, and `a.b` may be a field of the struct `a`.
                column = batch.column(batch.schema.get_field_index(name))
                column.validate(full=True)
                yield row, uuid_text(column) if are_uuids else plain(column)
                row += len(column)
            rows = parquet.metadata.num_rows if run is None else sum(sizes[g] for g in run)
            if left := first + rows - row:
                # pyarrow passes over a page whose kind it does not know; later values would belong to wrong rows.
                what = (
                    f"{file.name}: column '{printable(name)}' has {abs(left)} values {'less' if left > 0 else 'more'}"
                )
                raise DataError(f"{what} than the file has rows, the file is damaged")


def count_rows(parquet: pq.ParquetFile, file: DataFile) -> int:
    """Return the number of rows of a file. Raises DataError when its footer contradicts itself."""
    groups = [parquet.metadata.row_group(g).num_rows for g in range(parquet.metadata.num_row_groups)]
    said = parquet.metadata.num_rows
    if min(groups, default=0) < 0 or sum(groups) != said:
        what = f"its row groups have {sum(groups)} rows together, its footer says {said}"
        raise DataError(f"{file.name}: not readable as Parquet: {what}")
    return int(said)


def plain(column: pa.Array) -> pa.Array:
    """Return the same values without extension types, dictionaries and views; pyarrow has few functions for them.

    A UUID becomes its text.
    """
    if isinstance(column, pa.ExtensionArray):
        column = uuid_text(column.storage) if is_uuid(column.type) else column.storage
    kind = column.type
    if pt.is_dictionary(kind):
        return plain(column.dictionary_decode())
    if pt.is_string_view(kind):
        return column.cast(pa.large_string())
    if pt.is_binary_view(kind):
        return column.cast(pa.large_binary())
    if pt.is_list_view(kind) or pt.is_large_list_view(kind):
        return _without_views(column)
    return column


def plain_type(kind: pa.DataType) -> pa.DataType:
    """Return the type that `plain` gives a column of single values of the type `kind`."""
    if isinstance(kind, pa.BaseExtensionType):
        kind = pa.large_string() if is_uuid(kind) else kind.storage_type
    if pt.is_dictionary(kind):
        return plain_type(kind.value_type)
    if pt.is_string_view(kind):
        return pa.large_string()
    return pa.large_binary() if pt.is_binary_view(kind) else kind


def _without_views(column: pa.Array) -> pa.Array:
    """Turn list views into lists. pyarrow 26 has a cast for list views, which empties the last list."""
    ends = pc.cumulative_sum(pc.list_value_length(column).cast(pa.int64()).fill_null(0))
    offsets = pa.concat_arrays([pa.array([0], pa.int64()), ends])
    return pa.LargeListArray.from_arrays(offsets, pc.list_flatten(column), mask=column.is_null())


@contextmanager
def reading(file: DataFile) -> Iterator[None]:
    """Turn whatever pyarrow raises over a file into a sentence.

    Over damaged footers, pyarrow raises IndexError and UnicodeDecodeError too.
    """
    try:
        yield
    except (AlcliError, MemoryError):
        raise
    except Exception as error:
        if isinstance(error, OSError) and error.errno:
            raise refusal(file.name, "cannot read", error) from error
        raise _damaged(file, error) from error


def _damaged(file: DataFile, error: Exception) -> DataError:
    """The error for a file that pyarrow cannot read, with pyarrow's reason."""
    text = printable(next(iter(str(error).strip().splitlines()), type(error).__name__)).rstrip(". ")
    if "encrypted" in text.lower():
        return DataError(f"{file.name}: the file is encrypted, expected plain Parquet")
    if "limit" in text.lower():
        return DataError(f"{file.name}: too many columns or too much metadata: {text}")
    return DataError(f"{file.name}: not readable as Parquet: {text}")
