"""Turn an Arrow column of vectors into a NumPy matrix, without a copy and without a Python object per row."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from alcli.arrays import Array, Floats
from alcli.errors import DataError, counted

# Names a row in a message.
Where = Callable[[int], str]
_SKIP = "leave such rows out with --bad-rows skip"


def vector_length(kind: pa.DataType) -> int | None:
    """D of a fixed-size list type; None for a list type, in which each row has a length of its own."""
    kind = storage_type(kind)
    return int(kind.list_size) if pt.is_fixed_size_list(kind) else None


def storage_type(kind: pa.DataType) -> pa.DataType:
    """The type in which an extension type (such as fixed_shape_tensor) is stored; any other type as it is."""
    return kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind


def is_vector(kind: pa.DataType) -> bool:
    """True for the type of a column of lists of numbers."""
    kind = storage_type(kind)
    lists = (pt.is_fixed_size_list, pt.is_list, pt.is_large_list, pt.is_list_view, pt.is_large_list_view)
    numbers = (pt.is_floating, pt.is_integer, pt.is_boolean)
    return any(is_a(kind) for is_a in lists) and any(is_a(kind.value_type) for is_a in numbers)


def to_matrix(column: pa.Array, dim: int, where: Where) -> Floats:
    """Return the vectors of `column` as a matrix [B, dim].

    The matrix is float32 (from float16 and float32) or float64 (from float64). It may share the memory of `column`,
    which holds fixed-size or plain lists. where: names a row of this column in a message. Raises DataError for null
    vectors, null or non-finite values, vectors of another length.
    """
    if column.null_count:
        raise DataError(f"{where(_first_null(column))}: the vector is null", hint=_SKIP)
    if not pt.is_fixed_size_list(column.type):
        lengths_B = _lengths(column)
        if (lengths_B != dim).any():
            row = int(np.flatnonzero(lengths_B != dim)[0])
            raise DataError(f"{where(row)}: the vector has {lengths_B[row]} values, expected {dim}", hint=_SKIP)
    values = _values(column, dim)
    if values.null_count:
        at = _first_null(values)
        raise DataError(f"{where(at // dim)}: dimension {at % dim} is null", hint=_SKIP)
    X_BD = values.to_numpy(zero_copy_only=True).reshape(len(column), dim)
    X_BD = X_BD.astype(np.float32) if X_BD.dtype == np.float16 else X_BD
    check_finite(X_BD, where)
    return X_BD


def bad_rows(column: pa.Array, dim: int) -> Array:
    """A mask [B] of the rows that `to_matrix` would refuse."""
    bad_B: Array = _lengths(column) != dim
    kept = np.flatnonzero(~bad_B)
    # A null becomes NaN here, which is not finite.
    numbers = _values(column.take(pa.array(kept)), dim).to_numpy(zero_copy_only=False)
    bad_B[kept] = ~np.isfinite(numbers).reshape(len(kept), dim).all(axis=1)
    return bad_B


def faults(column: pa.Array, dim: int) -> tuple[int, int, int]:
    """The numbers of vectors that are null, of another length, and with a value that is null or not finite."""
    lengths_B = _lengths(column)
    null, other = int((lengths_B < 0).sum()), int(((lengths_B >= 0) & (lengths_B != dim)).sum())
    return null, other, int(bad_rows(column, dim).sum()) - null - other


def usual_length(column: pa.Array) -> int | None:
    """The most frequent length of the vectors, of several the shortest; None where all vectors are null."""
    lengths = _lengths(column)
    lengths = lengths[lengths >= 0]
    return int(np.bincount(lengths).argmax()) if len(lengths) else None


def check_finite(X_BD: Array, where: Where) -> None:
    """Raise DataError that names the first NaN or infinity and counts the rows that hold one.

    Cost: one pass over finite values, because a sum is finite only if its terms are.
    """
    with np.errstate(all="ignore"):
        if np.isfinite(X_BD.sum()):
            return
    bad_B = ~np.isfinite(X_BD).all(axis=1)
    if bad_B.any():
        row = int(np.flatnonzero(bad_B)[0])
        at = int(np.flatnonzero(~np.isfinite(X_BD[row]))[0])
        others = int(bad_B.sum()) - 1
        more = f" (and {counted(others, 'more row', 'more rows')} of this block)" if others else ""
        raise DataError(f"{where(row)}: dimension {at} is {X_BD[row, at]}{more}, expected finite numbers", hint=_SKIP)


def _lengths(column: pa.Array) -> Array:
    """The length of each vector, -1 where it is null."""
    return pc.list_value_length(column).cast(pa.int64()).fill_null(-1).to_numpy()


def _values(column: pa.Array, dim: int) -> pa.Array:
    """The numbers of exactly these rows, `dim` a row.

    Arrow's `.flatten()` would drop null rows, and its `.values` ignores the offset of a slice.
    """
    first = column.offset * dim if pt.is_fixed_size_list(column.type) else column.offsets[0].as_py()
    return column.values.slice(first, len(column) * dim)


def _first_null(column: pa.Array) -> int:
    """The position of the first null of a column that has one."""
    return int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
