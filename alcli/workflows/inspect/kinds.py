"""Tell the kind of a file of alcli by its content; its name plays no part.

Cost: the first bytes of a file, the footer of a Parquet file, or the whole of a table in text.
"""

from __future__ import annotations

import os
import struct
from glob import has_magic
from pathlib import Path
from typing import Literal

from alcli.data.exports.answers import is_export
from alcli.data.exports.places import Places
from alcli.data.reading.data_file import DataFile, check_readable, refusal, shown
from alcli.data.reading.head_header import MAX_HEADER
from alcli.data.reading.parquet import open_parquet, reading
from alcli.data.reading.vectors import is_vector
from alcli.data.schema import pool_metadata
from alcli.data.tables import columns_of, first_object
from alcli.data.text.dialect import near
from alcli.errors import DataError, UsageError, printable

Kind = Literal["head", "pool", "ledger", "selection", "predictions", "labels", "ids", "simulation"]
KNOWN = "a pool, a head, a ledger, a selection, predictions, labels, ids, or the folder of a simulation"
_SIMULATED = ("curves", "selections", "study")


def kind_of(spec: str, asked: Places = Places()) -> Kind:
    """Return the kind of what a path or URI names. asked: the columns of ids and labels that the user named.

    Raises InputError, and DataError for content of no known kind.
    """
    if spec == "-":
        raise UsageError("inspect reads files, '-' is standard input", hint="save it to a file first")
    if os.path.isdir(spec):
        is_simulation = all(os.path.exists(os.path.join(spec, name)) for name in ("config.json", "runs"))
        return "simulation" if is_simulation else "pool"
    if "://" in spec or (has_magic(spec) and not os.path.lexists(spec)):
        return "pool"
    check_readable(spec)
    try:
        with open(spec, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise refusal(printable(spec), "cannot read", error) from error
    if start[:4] == b"PAR1":
        return _of_parquet(spec, asked)
    return "head" if _begins_as_head(start, Path(spec).stat().st_size) else _of_text(spec, asked)


def _begins_as_head(start: bytes, size: int) -> bool:
    """True for the beginning of a safetensors file: the length of a JSON header, and its brace."""
    return len(start) == 9 and start[8:] == b"{" and struct.unpack("<Q", start[:8])[0] <= min(MAX_HEADER, size)


def _of_parquet(spec: str, asked: Places) -> Kind:
    """The kind of a Parquet file: by the metadata that alcli writes, else by the columns."""
    file = DataFile(spec)
    with reading(file), open_parquet(file) as parquet:
        schema = parquet.schema_arrow
    written = pool_metadata(schema, file.name).get("kind")
    if written == "ledger":
        return "ledger"
    if written in _SIMULATED:
        what = f"{file.name}: is the table '{printable(written)}' of a simulation"
        raise DataError(what, hint="inspect the folder that it is in")
    if any(is_vector(field.type) for field in schema):
        return "pool"
    return _of_columns(list(schema.names), file.name, asked)


def _of_text(spec: str, asked: Places) -> Kind:
    """The kind of a table in text or JSON. Raises DataError where the content is no table."""
    name = shown(spec)
    try:
        columns, first = columns_of(spec), first_object(spec)
    except DataError as error:
        reason = error.message.removeprefix(f"{name}: ")
        raise DataError(f"{name}: its content is of no kind that alcli writes: {reason}", hint=_expected()) from None
    return "labels" if is_export(columns, first) else _of_columns(columns, name, asked)


def _of_columns(columns: list[str], name: str, asked: Places) -> Kind:
    """The kind of a table by its columns. Raises DataError that names the columns where they fit no kind."""

    def has(*wanted: str) -> bool:
        return all(near(columns, one) is not None for one in wanted)

    kinds: dict[Kind, bool] = {
        "selection": has("id", "rank", "score"),
        "labels": has(asked.id or "id", asked.label or "label") or has("group", asked.label or "label"),
        "predictions": has("id", "predicted"),
        "ids": has("id"),
    }
    found = next((kind for kind, fits in kinds.items() if fits), None)
    if found is None:
        there = ", ".join(f"'{printable(c)}'" for c in columns[:5]) or "no column"
        raise DataError(f"{name}: its content is of no kind that alcli writes: it has {there}", hint=_expected())
    return found


def _expected() -> str:
    return f"expected {KNOWN}"
