"""Write one Parquet file of a pool, in the layout that readers stream fastest.

Features are fixed_size_list<not null>[D] not null, plain and uncompressed, in row groups of about 16 MiB; other
columns are compressed with zstd; statistics are kept for `id` alone; every page carries a CRC, so that a flipped bit is
refused and never reaches a model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import alcli
from alcli.arrays import Floats
from alcli.data.schema import METADATA_KEY, POOL_FORMAT

# Bytes of features in a row group, and about as many in one file of a folder.
_GROUP_BYTES = 16 << 20
_FILE_BYTES = 256 << 20


def row_group_rows(dim: int, itemsize: int) -> int:
    """Return the rows of one row group: the largest power of two within 16 MiB of features, from 1,024 to 65,536.

    itemsize: bytes of a value.
    """
    fit = max(_GROUP_BYTES // (dim * itemsize), 1)
    return min(max(1 << (fit.bit_length() - 1), 1024), 65536)


def default_rows_per_file(dim: int, itemsize: int) -> int:
    """Return the rows of one file of a folder: whole row groups, about 256 MiB of features.

    itemsize: bytes of a value.
    """
    group = row_group_rows(dim, itemsize)
    return max(_FILE_BYTES // (dim * itemsize * group), 1) * group


def feature_type(dim: int, dtype: str) -> pa.DataType:
    """The Arrow type of the features column. dtype: "float16" or "float32"."""
    value = pa.float16() if dtype == "float16" else pa.float32()
    return pa.list_(pa.field("element", value, nullable=False), dim)


class PoolWriter:
    """A writer that gathers rows into row groups and writes them to `file`, in their order. Memory: two row groups.

    columns: fields of all columns but the features; one is `id`. metadata: JSON values for the key `alcli`, `rows`
    among them; format, dim, dtype and version are added. All must be known before the first row, because Arrow writes
    the metadata with the schema, at the front. As a context manager the writer closes when the block ends; after an
    exception the file is not a Parquet file and must not be published.
    """

    def __init__(self, file: BinaryIO, columns: pa.Schema, dim: int, dtype: str, metadata: Mapping[str, Any]) -> None:
        features = pa.field("features", feature_type(dim, dtype), nullable=False)
        fields = [columns.field("id").with_nullable(False), features, *(f for f in columns if f.name != "id")]
        about = {"format": POOL_FORMAT, "dim": dim, "dtype": dtype, "version": alcli.__version__, **metadata}
        text = json.dumps(about, sort_keys=True, ensure_ascii=False)
        self._schema = pa.schema(
            [f.remove_metadata() for f in fields], {METADATA_KEY: text.encode("utf-8", "backslashreplace")}
        )
        self._dim, self._dtype, self._rows = dim, np.dtype(dtype), metadata["rows"]
        self._group = row_group_rows(dim, self._dtype.itemsize)
        self._waiting: list[pa.Table] = []
        self._n_waiting = self._n_written = 0
        self._writer = pq.ParquetWriter(file, self._schema, **_layout([f.name for f in fields[2:]]))

    def __enter__(self) -> PoolWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            return self.close()
        # Otherwise pyarrow tries to close when the writer is collected, on a file that is closed by then.
        with suppress(Exception):
            self._writer.close()

    def write(self, columns: pa.Table, X_BD: Floats) -> None:
        """Append rows. X_BD: [B, D] in the dtype of the file, finite. Raises ValueError for another shape or dtype."""
        if X_BD.shape != (len(columns), self._dim) or X_BD.dtype != self._dtype:
            expected = f"expected {self._dtype} [{len(columns)}, {self._dim}]"
            raise ValueError(f"features: {expected}, got {X_BD.dtype} {X_BD.shape}")
        kind = self._schema.field("features").type
        values = pa.array(np.ascontiguousarray(X_BD).reshape(-1), kind.value_type)
        table = columns.append_column("features", pa.FixedSizeListArray.from_arrays(values, type=kind))
        self._waiting.append(table.select(self._schema.names).cast(self._schema))
        self._n_waiting += len(table)
        while self._n_waiting >= self._group:
            self._flush(self._group)

    def close(self) -> None:
        """Write the last rows and the footer, without which a file is not Parquet.

        Raises ValueError unless as many rows were written as the metadata announced.
        """
        if self._n_waiting:
            self._flush(self._n_waiting)
        if self._n_written != self._rows:
            raise ValueError(f"{self._rows} rows were announced, {self._n_written} written")
        self._writer.close()

    def _flush(self, rows: int) -> None:
        """Write the first `rows` of the waiting rows as one row group."""
        table = pa.concat_tables(self._waiting)
        self._writer.write_table(table.slice(0, rows).combine_chunks(), row_group_size=rows)
        self._waiting, self._n_waiting, self._n_written = [table.slice(rows)], len(table) - rows, self._n_written + rows


def _layout(others: list[str]) -> dict[str, Any]:
    """Options of the Parquet writer."""
    return {
        "compression": {"features.list.element": "NONE", "id": "ZSTD", **dict.fromkeys(others, "ZSTD")},
        "use_dictionary": others,
        "write_statistics": ["id"],
        "write_page_checksum": True,
        "data_page_size": 1 << 20,
        "version": "2.6",
    }
