"""UUIDs, which DuckDB, Postgres and pyarrow write as 16 bytes each: read as their text."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as pt

_DIGITS = np.frombuffer(b"".join(f"{byte:02x}".encode() for byte in range(256)), np.uint8).reshape(256, 2)
# The text of a UUID has 36 characters, of which these are hyphens.
_HYPHENS = (8, 13, 18, 23)


def is_uuid(kind: pa.DataType) -> bool:
    """True for Arrow's type of UUIDs."""
    return isinstance(kind, pa.BaseExtensionType) and kind.extension_name == "arrow.uuid"


def uuid_columns(parquet: pq.ParquetFile) -> set[str]:
    """The top-level columns of UUIDs that pyarrow shows as plain bytes, because the file has no Arrow schema."""
    arrow, columns = parquet.schema_arrow, parquet.schema
    leaves = [columns.column(i) for i in range(len(columns))]
    return {
        leaf.path
        for leaf in leaves
        if leaf.logical_type.type == "UUID"
        and leaf.path in arrow.names
        and pt.is_fixed_size_binary(arrow.field(arrow.names.index(leaf.path)).type)
    }


def hex_text(column: pa.Array) -> pa.Array:
    """Return bytes of a fixed size as hexadecimal digits in small letters, as large_string.

    Digests and keys are stored so; a UUID without its type is 32 digits without hyphens.
    """
    size = column.type.byte_width
    octets = np.frombuffer(column.buffers()[1] or b"", np.uint8, size * len(column), size * column.offset)
    ends = pa.py_buffer(np.arange(0, 2 * size * len(column) + 1, 2 * size, dtype=np.int64))
    text = pa.py_buffer(np.ascontiguousarray(_DIGITS[octets]))
    texts = pa.Array.from_buffers(pa.large_string(), len(column), [None, ends, text])
    return pc.if_else(column.is_valid(), texts, None) if column.null_count else texts


def uuid_text(column: pa.Array) -> pa.Array:
    """Return UUIDs as texts in small letters, such as `00000000-0000-0000-0000-00000000002a`.

    column: of 16 bytes each, whether UUIDs by type or not.
    """
    column = column.storage if isinstance(column, pa.ExtensionArray) else column
    octets = np.frombuffer(column.buffers()[1] or b"", np.uint8, 16 * len(column), 16 * column.offset)
    text = np.full((len(column), 36), ord("-"), np.uint8)
    text[:, [i for i in range(36) if i not in _HYPHENS]] = _DIGITS[octets].reshape(len(column), 32)
    ends = pa.py_buffer(np.arange(0, 36 * len(column) + 1, 36, dtype=np.int64))
    texts = pa.Array.from_buffers(pa.large_string(), len(column), [None, ends, pa.py_buffer(text)])
    return pc.if_else(column.is_valid(), texts, None) if column.null_count else texts
