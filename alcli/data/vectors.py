"""From an Arrow column of vectors to a numpy matrix, without copying and without a Python object per row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from alcli.arrays import Array, Floats
from alcli.errors import DataError

Where = Callable[[int], str]


def vector_length(kind: pa.DataType) -> int | None:
    """D of a fixed-size list type, None of a list type (each row has its own length)."""
    kind = storage_type(kind)
    return kind.list_size if pt.is_fixed_size_list(kind) else None


def storage_type(kind: pa.DataType) -> pa.DataType:
    """The type below an extension type (fixed_shape_tensor and the like)."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def is_vector(kind: pa.DataType) -> bool:
    """Whether a column of this type holds lists of numbers."""
    kind = storage_type(kind)
    listed = pt.is_fixed_size_list(kind) or pt.is_list(kind) or pt.is_large_list(kind) or pt.is_list_view(kind) or pt.is_large_list_view(kind)
    return listed and (pt.is_floating(kind.value_type) or pt.is_integer(kind.value_type) or pt.is_boolean(kind.value_type))


def to_matrix(column: pa.Array, dim: int, where: Where) -> Floats:
    """The vectors of `column` as [B, dim], float32 (from float16 and float32) or float64 (from float64); may share its memory.

    where: names a row of this column in a message. Raises DataError for null vectors, null or non-finite values, vectors of
    another length.
    """
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"{where(row)}: the vector is null", hint="leave such rows out with --bad-rows skip")
    values = _values(column, dim, where)
    if values.null_count:
        at = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"{where(at // dim)}: dimension {at % dim} is null", hint="leave such rows out with --bad-rows skip")
    X_BD = values.to_numpy(zero_copy_only=True).reshape(len(column), dim)
    X_BD = X_BD.astype(np.float32) if X_BD.dtype == np.float16 else X_BD
    check_finite(X_BD, where)
    return X_BD


def _values(column: pa.Array, dim: int, where: Where) -> pa.Array:
    """The child values of exactly these rows. `.flatten()` would drop null rows, `.values` ignores the offset of a slice."""
    kind = column.type
    if pt.is_fixed_size_list(kind):
        return column.values.slice(column.offset * dim, len(column) * dim)
    if pt.is_list_view(kind) or pt.is_large_list_view(kind):
        column = column.cast(pa.large_list(kind.value_type))
    offsets = np.asarray(column.offsets)
    lengths = np.diff(offsets)
    if (lengths != dim).any():
        row = int(np.flatnonzero(lengths != dim)[0])
        raise DataError(f"{where(row)}: the vector has {lengths[row]} values, expected {dim}")
    return column.values.slice(int(offsets[0]), len(column) * dim)


def check_finite(X_BD: Array, where: Where) -> None:
    """Raise DataError that names the first NaN or infinity and counts the rows that hold one. One pass when there is none."""
    with np.errstate(all="ignore"):
        if np.isfinite(X_BD.sum()):
            return
    bad_B = ~np.isfinite(X_BD).all(axis=1)
    if bad_B.any():
        row = int(np.flatnonzero(bad_B)[0])
        at = int(np.flatnonzero(~np.isfinite(X_BD[row]))[0])
        more = f" (and {bad_B.sum() - 1} more rows of this block)" if bad_B.sum() > 1 else ""
        raise DataError(f"{where(row)}: dimension {at} is {X_BD[row, at]}{more}, expected finite numbers", hint="leave such rows out with --bad-rows skip")


def bad_rows(column: pa.Array, dim: int) -> Any:
    """A mask of the rows that `to_matrix` would refuse."""
    if isinstance(column, pa.ExtensionArray):
        column = column.storage
    bad_B = column.is_null().to_numpy(zero_copy_only=False).copy()
    for i in range(len(column)):
        if not bad_B[i]:
            one = column.slice(i, 1)
            try:
                to_matrix(one, dim, lambda row: "")
            except DataError:
                bad_B[i] = True
    return bad_B
