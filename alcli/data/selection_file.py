"""Selections as files: ids by line, CSV, JSON Lines, Parquet; and the ledger of everything that was ever selected."""

from __future__ import annotations

import csv
import io
import json
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


def encode(table: Table, format: str, about: dict[str, Any]) -> bytes:
    """A selection (columns of equal length, `id` first) as the bytes of a file; floats keep all digits of float32."""
    rows = [dict(zip(table, values)) for values in zip(*table.values())]
    if format == "ids":
        return "".join(f"{_line(id)}\n" for id in table["id"]).encode("utf-8", "surrogateescape")
    if format == "jsonl":
        return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8")
    if format == "csv":
        text = io.StringIO(newline="")
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(table)
        writer.writerows(["" if v is None else v for v in row.values()] for row in rows)
        return text.getvalue().encode("utf-8")
    return _parquet(table, about)


def _line(id: Id) -> Id:
    if isinstance(id, str) and any(c in id for c in "\n\r\t\0"):
        raise DataError(f"the id '{printable(id)}' holds a control character and does not fit on a line", hint="use --format jsonl")
    return id


def _parquet(table: Table, about: dict[str, Any]) -> bytes:
    kinds = {"rank": pa.int32(), "score": pa.float32(), "weight": pa.float32(), "confidence": pa.float32(), "strategy": pa.string()}
    columns = {name: pa.array(values, kinds.get(name)) for name, values in table.items()}
    arrow = pa.table(columns).replace_schema_metadata({"alcli": json.dumps(about, sort_keys=True)})
    out = io.BytesIO()
    pq.write_table(arrow, out, compression="zstd", write_page_checksum=True)
    return out.getvalue()


def read_ledger(path: Path) -> list[dict[str, Any]]:
    """Rows of the ledger (`id`, `rank`, `score`, `strategy`), empty where there is no file yet."""
    if not path.exists():
        return []
    return [row.values for row in read_rows(_as_parquet(path), ["id"], optional=["rank", "score", "strategy"])]


def _as_parquet(path: Path) -> str:
    if path.suffix not in (".parquet", ".pq"):
        raise UsageError(f"{printable(path)}: a ledger is a Parquet file", hint="name it with the extension .parquet")
    return str(path)


def append_to_ledger(path: Path, before: Sequence[dict[str, Any]], table: Table) -> None:
    """Write the ledger anew with the selection at its end. The caller holds its lock."""
    _as_parquet(path)
    names = ("id", "rank", "score", "strategy")
    grown = {name: [row.get(name) for row in before] + list(table[name]) for name in names}
    with replacing(path) as file:
        file.write(_parquet(grown, {"format": 1, "kind": "ledger"}))
