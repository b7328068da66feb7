"""The ledger of everything that was ever selected, and the order of writing in which no item is given out twice."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

from alcli.data.formats import FORMATS, Table, encode
from alcli.data.reading.data_file import DataFile
from alcli.data.reading.os_errors import reason
from alcli.data.reading.parquet import open_parquet, reading
from alcli.data.schema import pool_metadata
from alcli.data.tables import read_rows
from alcli.data.writing.atomic import drafted, publish_left, replacing
from alcli.data.writing.creatable import is_device
from alcli.errors import OutputError, UsageError, printable

Entry: TypeAlias = dict[str, Any]
# Seconds that a stream waits for the ledger at each item: a person is labelling, and other queries hold it briefly.
STREAM_WAIT = 10.0
_COLUMNS = ("id", "rank", "score", "strategy")
# What an item was given out for. A ledger of a version without this column gave items out to be learned from.
LEARNING, AUDIT = "label", "audit"
# The key of the ledger's metadata under which its last batch stands.
_BATCH = "batch"


def check_ledger(path: Path) -> None:
    """Raise UsageError unless a ledger can have this name."""
    if path.suffix not in FORMATS["parquet"].extensions:
        raise UsageError(f"{printable(path)}: a ledger is a Parquet file", hint="name it with the extension .parquet")


def read_ledger(path: Path) -> list[Entry]:
    """Read the rows of the ledger (`id`, `rank`, `score`, `strategy`, `purpose`); none where there is no file yet.

    Raises DataError, InputError.
    """
    if not os.path.lexists(path):
        return []
    optional = ["rank", "score", "strategy", "purpose"]
    rows = [row.values for row in read_rows(str(path), ["id"], optional=optional)]
    return [row | {"purpose": row.get("purpose") or LEARNING} for row in rows]


def append_to_ledger(
    path: Path,
    before: Sequence[Entry],
    table: Table,
    *,
    text_ids: bool,
    purpose: str = LEARNING,
    batch: Mapping[str, Any] | None = None,
) -> None:
    """Write the ledger anew with the selection at its end. The caller holds its lock.

    purpose: of the selection, LEARNING or AUDIT. batch: the facts by which `deliver` finds the file of the selection.
    Raises what `replacing` does.
    """
    grown = {name: [row.get(name) for row in before] + list(table[name]) for name in _COLUMNS}
    grown["purpose"] = [row["purpose"] for row in before] + [purpose] * len(table["id"])
    about = {"format": 1, "kind": "ledger"} | ({} if batch is None else {_BATCH: dict(batch)})
    with replacing(path) as file:
        file.write(encode(grown, "parquet", about, text_ids=text_ids))


def give_out(
    data: bytes,
    out: Path | None,
    ledger: Path,
    before: Sequence[Entry],
    table: Table,
    *,
    text_ids: bool,
    purpose: str = LEARNING,
) -> None:
    """Enter a batch into the ledger and write it to `out`; with None the caller shows it afterwards.

    The caller holds the lock of the ledger. The batch is in the ledger before anybody can read it, so that it is not
    given out twice. By then its file is complete under a temporary name. Only the rename remains, and `deliver` does
    that if this process dies before it. A device or a pipe cannot be renamed to: it is written last, and a batch that
    it lost can only be looked up in the ledger. Raises what `replacing` does.
    """
    if out is None or is_device(out):
        append_to_ledger(ledger, before, table, text_ids=text_ids, purpose=purpose)
        with replacing(out) if out is not None else nullcontext() as file:
            if file is not None:
                file.write(data)
        return
    with drafted(out) as draft:
        draft.file.write(data)
        draft.finish()
        name = os.path.relpath(draft.target, _folder(ledger))
        batch = {"out": name, "sha256": hashlib.sha256(data).hexdigest(), "rows": len(table["id"])}
        draft.kept = True
        try:
            append_to_ledger(ledger, before, table, text_ids=text_ids, purpose=purpose, batch=batch)
        except BaseException:
            # After a signal, or when the folder cannot be synced, the batch may be in the ledger all the same.
            draft.kept = _last_batch(ledger) == batch
            raise
        try:
            draft.publish()
        except OSError as error:
            hint = f"its items are in {printable(ledger)}, and the next query with that writes this file"
            raise OutputError(f"{printable(out)}: cannot write: {reason(error)}", hint=hint) from error


@dataclass(frozen=True)
class Late:
    """A batch that a stopped run had entered into the ledger but not yet written; it is in the file `out` now."""

    out: Path
    rows: list[Entry]

    @property
    def note(self) -> str:
        """The remark that tells the user of it."""
        name = printable(self.out.name)
        return f"{name} has the {len(self.rows)} items that a run chose which was stopped before it could write them"


def deliver(ledger: Path, before: Sequence[Entry]) -> Late | None:
    """Write the batch that the last run entered into the ledger and did not live to write; None when there is none.

    The caller holds the ledger's lock. The path of the batch is relative to the ledger, so that another container can
    do it. Raises CannotCreateError, OutputError.
    """
    batch = _last_batch(ledger)
    try:
        out = Path(os.path.realpath(_folder(ledger) / batch["out"]))
        sha256, n = str(batch["sha256"]), int(batch["rows"])
    except (KeyError, TypeError, ValueError):
        return None
    return Late(out, list(before[-n:])) if publish_left(out, sha256) else None


def _last_batch(ledger: Path) -> dict[str, Any]:
    """The facts of the last batch in the ledger's metadata; empty without a ledger, or if the batch had no file."""
    if not os.path.lexists(ledger):
        return {}
    file = DataFile(str(ledger))
    with reading(file), open_parquet(file) as parquet:
        found = pool_metadata(parquet.schema_arrow, file.name).get(_BATCH)
    return found if isinstance(found, dict) else {}


def _folder(path: Path) -> Path:
    """The folder of a path without symbolic links."""
    return Path(os.path.realpath(path)).parent
