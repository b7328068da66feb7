"""Selections as files: ids by line, CSV, JSON Lines, Parquet; and the ledger of everything that was ever selected."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from alcli.data.atomic import replacing
from alcli.data.ids import Id
from alcli.data.tables import read_rows
from alcli.errors import DataError, UsageError, printable

FORMATS = ("ids", "csv", "jsonl", "parquet")
Table = dict[str, list[Any]]


def format_of(path: Path | None, wanted: str | None) -> str:
    """The format asked for, else the one of the extension, else ids by line."""
    if wanted is not None:
        if wanted not in FORMATS:
            raise UsageError(f"no format '{wanted}'", hint=f"known: {', '.join(FORMATS)}")
        return wanted
    known = {".csv": "csv", ".jsonl": "jsonl", ".ndjson": "jsonl", ".parquet": "parquet", ".pq": "parquet"}
    return known.get(path.suffix, "ids") if path is not None else "ids"


def encode(table: Table, format: str, about: dict[str, Any], *, text_ids: bool) -> bytes:
    """A selection (columns of equal length, `id` first) as the bytes of a file; floats keep all digits of float32.

    about: what a Parquet file remembers of its origin. text_ids: whether ids are strings, which an empty table does not show.
    Raises DataError for an id that does not fit on a line, where ids are lines.
    """
    rows = [dict(zip(table, values)) for values in zip(*table.values())]
    if format == "ids":
        return "".join(f"{_line(id)}\n" for id in table["id"]).encode("utf-8", "surrogateescape")
    if format == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
    if format == "csv":
        text = io.StringIO(newline="")
        plain, quoting = (csv.writer(text, lineterminator="\n", quoting=how) for how in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
        plain.writerow(table)
        for row in rows:
            values = ["" if v is None else v for v in row.values()]
            needs_quotes = any(isinstance(v, str) and "\r" in v for v in values)  # which a writer of "\n" lines does not see by itself
            (quoting if needs_quotes else plain).writerow(values)
        return text.getvalue().encode("utf-8")
    return _parquet(table, about, text_ids)


def _line(id: Id) -> Id:
    if isinstance(id, str) and any(c in id for c in "\n\r\t\0"):
        raise DataError(f"the id '{printable(id)}' holds a control character and does not fit on a line", hint="use --format jsonl")
    return id


def _parquet(table: Table, about: dict[str, Any], text_ids: bool) -> bytes:
    kinds = {"id": pa.string() if text_ids else pa.int64(), "rank": pa.int32(), "strategy": pa.string()}
    kinds |= dict.fromkeys(("score", "weight", "confidence"), pa.float32())
    columns = {name: pa.array(values, kinds.get(name) or (None if values else pa.string())) for name, values in table.items()}
    arrow = pa.table(columns).replace_schema_metadata({"alcli": json.dumps(about, sort_keys=True)})
    out = io.BytesIO()
    pq.write_table(arrow, out, compression="zstd", write_page_checksum=True)
    return out.getvalue()


def check_ledger(path: Path) -> None:
    """Raise UsageError unless a ledger can have this name."""
    if path.suffix not in (".parquet", ".pq"):
        raise UsageError(f"{printable(path)}: a ledger is a Parquet file", hint="name it with the extension .parquet")


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Rows of the ledger (`id`, `rank`, `score`, `strategy`), empty where there is no file yet. Raises DataError, InputError."""
    if not os.path.lexists(path):
        return []
    return [row.values for row in read_rows(str(path), ["id"], optional=["rank", "score", "strategy"])]


def append_to_ledger(path: Path, before: Sequence[dict[str, Any]], table: Table, *, text_ids: bool) -> None:
    """Write the ledger anew with the selection at its end. The caller holds its lock."""
    names = ("id", "rank", "score", "strategy")
    grown = {name: [row.get(name) for row in before] + list(table[name]) for name in names}
    with replacing(path) as file:
        file.write(_parquet(grown, {"format": 1, "kind": "ledger"}, text_ids))
