"""Columns that travel with a batch: what an annotator has to see, from the pool or from a file of the items."""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from alcli.arrays import Int64
from alcli.data.formats import Table
from alcli.data.tables import read_rows
from alcli.errors import DataError, UsageError, counted, printable
from alcli.remarks import Note
from alcli.workflows.items import Items

# Columns that every batch has, or has with a head.
_OWN = ("id", "rank", "score", "strategy", "weight", "predicted", "confidence", "sd", "imputed")


def check_kept(columns: Sequence[str], file: str | None, shape: str, *, stream: bool) -> None:
    """Raise UsageError where columns are to travel with something that has no room for them."""
    if file is not None and not columns:
        raise UsageError("--items needs --keep", hint="name the columns that travel with the batch, as --keep text")
    if columns and stream:
        raise UsageError("--keep is for batches, --stream asks for one item at a time", hint="leave it out")
    if columns and shape == "ids":
        hint = "add --format csv, jsonl, parquet or the name of a tool, or -o with such an extension"
        raise UsageError("--keep adds columns, and ids have none", hint=hint)
    for column in columns:
        _check_free(column, _OWN)


def _check_free(column: str, taken: Container[str]) -> None:
    """Raise UsageError for a name that the batch has itself."""
    if column in taken:
        hint = "rename the column of the pool, or of the file"
        raise UsageError(f"--keep {column}: the batch has a column '{column}' of its own", hint=hint)


def kept(items: Items, chosen: Int64, columns: Sequence[str], file: str | None, batch: Table, note: Note) -> Table:
    """The columns of the chosen items, from `file` with its column `id`, or without one from the pool.

    Of a group it is what its first row has. batch: the columns that the batch has already. Raises DataError for a
    column that is not there, UsageError for one that the batch has itself. Memory: one block of the file, and the
    values of the chosen items.
    """
    for column in columns:
        _check_free(column, batch)
    if not columns:
        return {}
    found = looked_up(items, chosen, columns, file, note)
    return {column: [_plain(value, column) for value in values] for column, values in found.items()}


def looked_up(items: Items, chosen: Int64, columns: Sequence[str], file: str | None, note: Note) -> Table:
    """The values of `kept` as they are, with bytes among them. note: told of items that the file does not have."""
    return _of_pool(items, chosen, columns) if file is None else _of_file(items, chosen, columns, file, note)


def _plain(value: Any, column: str) -> Any:
    """The value as every format can hold it: dates and other kinds become text. Raises DataError for bytes."""
    if isinstance(value, bytes):
        raise DataError(
            f"--keep {column}: holds bytes, expected texts or numbers", hint="keep a column of paths instead"
        )
    return value if value is None or isinstance(value, (str, int, float)) else str(value)


def _of_pool(items: Items, chosen: Int64, columns: Sequence[str]) -> Table:
    rows = chosen
    if items.groups is not None:
        groups, first = np.unique(items.of_rows(np.arange(items.pool.n)), return_index=True)
        rows = first[np.searchsorted(groups, chosen)]
    return {column: items.pool.values_at(column, rows) for column in columns}


def _of_file(items: Items, chosen: Int64, columns: Sequence[str], file: str, note: Note) -> Table:
    """Look the chosen items up in a file by their ids."""
    place = {id: k for k, id in enumerate(items.ids.arrow(chosen).to_pylist())}
    found: dict[str, list[Any]] = {column: [None] * len(chosen) for column in columns}
    seen = set()
    for row in read_rows(file, ["id", *columns]):
        k = place.get(items.ids.parse(row.values["id"], row.where, from_text=row.from_text))
        if k is None:
            continue
        if k in seen:
            raise DataError(f"{row.where}: the id '{printable(row.values['id'])}' stands twice")
        seen.add(k)
        for column in columns:
            found[column][k] = row.values[column]
    missing = len(chosen) - len(seen)
    if missing:
        note(f"{printable(file)}: {counted(missing, 'item')} of the batch not found; the kept columns are empty there")
    return found
