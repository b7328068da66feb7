"""From a column of a table to the inputs of a model: texts, images, and vectors in the forms that programs store."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from alcli.data.reading.parquet import plain
from alcli.data.sources.base import IMAGE_SUFFIXES, is_text
from alcli.data.sources.columns import IMAGE_NAMES, is_bytes, is_image_struct
from alcli.embedders._contract import Kind


def kind_of(kind: pa.DataType, column: str, texts: Iterable[str | None], vectors: bool) -> Kind:
    """Return the kind of the inputs by the type and the name of their column.

    texts: the values of a column of text, of which the first that is not empty decides. vectors: the model takes
    nothing else, so text that begins with a bracket, and bytes, are vectors.
    """
    if is_bytes(kind) or pt.is_fixed_size_binary(kind) or is_image_struct(kind):
        return "image" if is_image_struct(kind) or not vectors else "array"
    if not is_text(kind):
        return "array"
    text = next(filter(None, texts), "")
    if vectors and text.lstrip().startswith("["):
        return "array"
    return "image" if text and _looks_like_an_image_path(text, column) else "text"


def items_of(column: pa.Array, kind: Kind, base: Path) -> list[Any]:
    """Return the inputs of a window, as `Window.items` holds them.

    base: the folder that paths of images are relative to. Lists of numbers become arrays of the same type; vectors in
    any other form stay as Python shows them, and the model reads them (`embedders/_vectors.py`).
    """
    if kind == "text":
        return list(column.to_pylist())
    if kind == "image":
        return [_image(value, base) for value in column.to_pylist()]
    shape = tuple(column.type.shape) if isinstance(column.type, pa.FixedShapeTensorType) else None
    column = plain(column)
    if not _is_list_of_numbers(column.type):
        return list(column.to_pylist())
    rows = _rows(column)
    return rows if shape is None else [None if row is None else np.reshape(row, shape) for row in rows]


def _is_list_of_numbers(kind: pa.DataType) -> bool:
    lists = pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind)
    return lists and (pt.is_integer(kind.value_type) or pt.is_floating(kind.value_type))


def _rows(column: pa.Array) -> list[Any]:
    """The vectors of a column of lists as arrays that share memory; as they are in Python where a number is null."""
    fixed = pt.is_fixed_size_list(column.type)
    size = column.type.list_size if fixed else 0
    first = column.offset * size if fixed else column.offsets[0].as_py() if len(column) else 0
    last = first + len(column) * size if fixed else column.offsets[-1].as_py() if len(column) else 0
    values = column.values.slice(first, last - first)
    if values.null_count:
        return [None if value is None else np.asarray(value) for value in column.to_pylist()]
    flat = values.to_numpy(zero_copy_only=False)
    ends = np.arange(len(column) + 1) * size if fixed else np.asarray(column.offsets) - first
    valid = column.is_valid().to_numpy(zero_copy_only=False)
    return [flat[ends[i] : ends[i + 1]] if valid[i] else None for i in range(len(column))]


def _image(value: Any, base: Path) -> bytes | Path | None:
    """One image: its bytes, or its path; None for a null."""
    if isinstance(value, dict):
        value = value["bytes"] if value["bytes"] is not None else value["path"]
    return base / value if isinstance(value, str) else value


def _looks_like_an_image_path(text: str, column: str) -> bool:
    """Return True for a line that ends like an image; if it has a space, the name of its column must say so too."""
    if "\n" in text or PurePosixPath(text).suffix.lower() not in IMAGE_SUFFIXES:
        return False
    return column.lower() in IMAGE_NAMES or " " not in text
