"""Turn the arguments of a Python program into rows of labels and ids, options as text, and paths."""

from __future__ import annotations

import operator
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import pyarrow as pa

from alcli.data.schema import require
from alcli.data.text.rows import GivenRows, RowSource
from alcli.errors import UsageError, printable

PathLike: TypeAlias = str | os.PathLike[str]


class ArrowStream(Protocol):
    """A table of any library that exports Arrow: pyarrow, DuckDB, Polars, pandas."""

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """Export the table."""


LabelsLike: TypeAlias = PathLike | Sequence[PathLike] | Mapping[Any, Any] | ArrowStream
IdsLike: TypeAlias = PathLike | Iterable[Any]
Options: TypeAlias = Mapping[str, object]


def label_rows(labels: LabelsLike | None) -> list[RowSource]:
    """Turn labels into files and rows.

    labels: a file, several files, a mapping from id to label, or a table with `id`, `label` and `weight`.
    """
    if labels is None:
        return []
    if isinstance(labels, Mapping):
        return [
            GivenRows(
                "labels", {"id": [scalar(id) for id in labels], "label": [scalar(label) for label in labels.values()]}
            )
        ]
    if isinstance(labels, (str, os.PathLike)):
        return [os.fspath(labels)]
    if is_table(labels):
        table = table_of(labels)
        for name in table.column_names:
            require(table.schema, "labels", name)
        return [GivenRows("labels", table.to_pydict())]
    if isinstance(labels, Sequence) and all(isinstance(path, (str, os.PathLike)) for path in labels):
        return [os.fspath(path) for path in labels]
    hint = "expected a file, a list of files, a mapping from id to label, or a table with columns id and label"
    raise UsageError(f"labels of type {type(labels).__name__} cannot be read", hint=hint)


def id_rows(ids: IdsLike | None, name: str) -> list[RowSource]:
    """Ids as a file or as rows. name: of the rows in messages, which is the name of the argument."""
    if ids is None:
        return []
    if isinstance(ids, (str, os.PathLike)):
        return [os.fspath(ids)]
    if not isinstance(ids, Iterable):
        raise UsageError(f"{name} of type {type(ids).__name__} cannot be read", hint="expected a file or ids")
    return [GivenRows(name, {"id": [scalar(id) for id in ids]})]


def is_table(values: object) -> bool:
    """True for a table of any library that exports Arrow."""
    return hasattr(values, "__arrow_c_stream__")


def table_of(values: Any) -> Any:
    """A table of any library as a pyarrow.Table. Raises UsageError for what is exported but is no table."""
    try:
        return pa.table(values)
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = printable(next(iter(str(error).splitlines()), type(error).__name__)).rstrip(". ")
        raise UsageError(
            f"{type(values).__name__} is no table: {reason}", hint="expected a table with named columns"
        ) from None


def scalar(value: Any) -> Any:
    """A value as Python's own type: NumPy and Arrow wrap numbers and strings."""
    if isinstance(value, pa.Scalar):
        return value.as_py()
    return value.item() if hasattr(value, "item") and hasattr(value, "dtype") else value


def texts(options: Options | None) -> dict[str, str]:
    """Turn options into the texts of the command line, by kebab-case name.

    True becomes `true` and None `none`; the values of a list are joined by commas. Raises UsageError for options that
    are no mapping from names.
    """
    if not isinstance(options, Mapping | None) or not all(isinstance(key, str) for key in options or {}):
        raise UsageError(f"options must be a mapping from name to value, got {printable(repr(options))}")
    found: dict[str, str] = {}
    for key, value in (options or {}).items():
        owner, dot, name = key.rpartition(".")
        found[owner + dot + name.replace("_", "-")] = _text(scalar(value))
    return found


def _text(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, (list, tuple)):
        return ",".join(_text(scalar(part)) for part in value)
    return os.fspath(value) if isinstance(value, os.PathLike) else str(value)


def whole(value: Any, name: str, least: int = 0, most: int = 2**63 - 1) -> int:
    """A whole number. name: of the argument. Raises UsageError for another value."""
    try:
        number = operator.index(value)
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        raise UsageError(f"{name} must be a whole number from {least} to {most}, got {printable(repr(value))}")
    return number


def real(value: Any, name: str) -> float | None:
    """A number as a float, None as None. name: of the argument. Raises UsageError for another value."""
    try:
        return None if value is None else float(value)
    except (TypeError, ValueError):
        raise UsageError(f"{name} must be a number or None, got {printable(repr(value))}") from None


def path(value: PathLike | None) -> Path | None:
    """A path, or None. Raises UsageError for another value."""
    if not isinstance(value, str | os.PathLike | None):
        raise UsageError(f"expected a path, got {printable(repr(value))}")
    return None if value is None else Path(os.fspath(value))
