"""Selections as files: ids by line, CSV, JSON Lines, Parquet; and the ledger of everything that was ever selected."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from alcli.data.ids import Id
from alcli.data.reading.data_file import DataFile
from alcli.data.reading.parquet import open_parquet, reading
from alcli.data.schema import pool_metadata
from alcli.data.tables import read_rows
from alcli.data.writing.atomic import drafted, publish_left, replacing
from alcli.data.writing.creatable import is_device
from alcli.errors import DataError, OutputError, UsageError, printable

FORMATS = ("ids", "csv", "jsonl", "parquet")
Table = dict[str, list[Any]]
Entry = dict[str, Any]
_BATCH = "batch"


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


def read_ledger(path: Path) -> list[Entry]:
    """Rows of the ledger (`id`, `rank`, `score`, `strategy`), empty where there is no file yet. Raises DataError, InputError."""
    if not os.path.lexists(path):
        return []
    return [row.values for row in read_rows(str(path), ["id"], optional=["rank", "score", "strategy"])]


def append_to_ledger(path: Path, before: Sequence[Entry], table: Table, *, text_ids: bool, batch: Mapping[str, Any] | None = None) -> None:
    """Write the ledger anew with the selection at its end. The caller holds its lock. batch: what `deliver` has to know of it."""
    names = ("id", "rank", "score", "strategy")
    grown = {name: [row.get(name) for row in before] + list(table[name]) for name in names}
    about = {"format": 1, "kind": "ledger"} | ({} if batch is None else {_BATCH: dict(batch)})
    with replacing(path) as file:
        file.write(_parquet(grown, about, text_ids))


def give_out(data: bytes, out: Path | None, ledger: Path, before: Sequence[Entry], table: Table, *, text_ids: bool) -> None:
    """Enter a batch into the ledger, whose lock the caller holds, and write it to `out` (None: the caller shows it then).

    It is in the ledger before anybody can read it, so that it is not given out twice; and once it is there, nothing but the rename of its
    file is left to do, and `deliver` makes up for that when this process does not live to. What goes to a device or a pipe goes there
    last, and can only be looked up in the ledger. Raises what `replacing` does.
    """
    if out is None or is_device(out):
        append_to_ledger(ledger, before, table, text_ids=text_ids)
        with replacing(out) if out is not None else nullcontext() as file:
            if file is not None:
                file.write(data)
        return
    with drafted(out) as draft:
        draft.file.write(data)
        draft.finish()
        batch = {"out": os.path.relpath(draft.target, _folder(ledger)), "sha256": hashlib.sha256(data).hexdigest(), "rows": len(table["id"])}
        draft.kept = True
        try:
            append_to_ledger(ledger, before, table, text_ids=text_ids, batch=batch)
        except BaseException:
            draft.kept = _last_batch(ledger) == batch  # a signal, a folder that cannot be synced: it may be there all the same
            raise
        try:
            draft.publish()
        except OSError as error:
            what = f"{printable(out)}: cannot write: {os.strerror(error.errno or 0)}"
            raise OutputError(what, hint=f"its items are in {printable(ledger)}, and the next query with that writes this file") from error


@dataclass(frozen=True)
class Late:
    """A batch that a stopped run had entered into the ledger and not yet written: now it is in the file `out`."""

    out: Path
    rows: list[Entry]

    @property
    def note(self) -> str:
        return f"{printable(self.out.name)} has the {len(self.rows)} items that a run chose which was stopped before it could write them"


def deliver(ledger: Path, before: Sequence[Entry]) -> Late | None:
    """Give out what the last run entered into the ledger and did not live to write; None when nothing is left to do.

    The caller holds the ledger's lock. The paths of ledger and batch are relative to each other, so that it may be done in another
    container. Raises CannotCreateError, OutputError.
    """
    batch = _last_batch(ledger)
    try:
        out, sha256, n = Path(os.path.realpath(_folder(ledger) / batch["out"])), str(batch["sha256"]), int(batch["rows"])
    except (KeyError, TypeError, ValueError):
        return None
    return Late(out, list(before[-n:])) if publish_left(out, sha256) else None


def _last_batch(ledger: Path) -> dict[str, Any]:
    """What the ledger says about its last batch; empty when that needs nothing more, or there is no ledger."""
    if not os.path.lexists(ledger):
        return {}
    file = DataFile(str(ledger))
    with reading(file), open_parquet(file) as parquet:
        found = pool_metadata(parquet.schema_arrow, file.name).get(_BATCH)
    return found if isinstance(found, dict) else {}


def _folder(path: Path) -> Path:
    return Path(os.path.realpath(path)).parent
