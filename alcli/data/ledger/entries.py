"""The ledger of everything that was ever selected: a Parquet file, and beside it the journal of streams that run."""

from __future__ import annotations

import json
import os
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeAlias

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from alcli.data.formats import FORMATS, Table
from alcli.data.ids import Id, to_ids
from alcli.data.ledger.journal import journal_entries, journal_path, remove_journal
from alcli.data.reading.data_file import DataFile
from alcli.data.reading.parquet import open_parquet, read_column, reading
from alcli.data.schema import METADATA_KEY, pool_metadata, require
from alcli.data.text.rows import Wanted
from alcli.data.writing.atomic import replacing
from alcli.errors import DataError, UsageError, printable

Entry: TypeAlias = dict[str, Any]
# What an item was given out for. A ledger of a version without this column gave items out to be learned from.
LEARNING, AUDIT = "label", "audit"
# The key of the ledger's metadata under which its last batch stands.
_BATCH = "batch"
_KINDS = {"rank": pa.int32(), "score": pa.float32(), "strategy": pa.string(), "purpose": pa.string()}
_BLOCK = 1 << 16


class GivenOut(Collection[Id]):
    """The ids of a ledger, in the order in which they were given out."""

    def __init__(self, column: pa.ChunkedArray) -> None:
        self.column = column

    def __len__(self) -> int:
        return len(self.column)

    def __iter__(self) -> Iterator[Id]:
        return (id.as_py() for id in self.column)

    def __contains__(self, id: object) -> bool:
        return id in self._as_set

    @cached_property
    def _as_set(self) -> frozenset[Id]:
        return frozenset(self.column.to_pylist())


NOTHING_GIVEN_OUT = GivenOut(pa.chunked_array([], pa.large_string()))


@dataclass(frozen=True)
class Ledger:
    """The entries of a ledger. Memory: that of their columns.

    table: `id` (int64 or large_string), `rank` within its batch, `score`, `strategy`, and `purpose`, LEARNING or AUDIT.
    """

    table: pa.Table

    def __len__(self) -> int:
        return len(self.table)

    @property
    def ids(self) -> GivenOut:
        """The ids of all entries."""
        return GivenOut(self.table["id"])

    def given_out_for(self, purpose: str) -> GivenOut:
        """The ids of the entries of one purpose."""
        return GivenOut(self.table.filter(pc.equal(self.table["purpose"], purpose))["id"])

    def entries(self, first: int = 0) -> list[Entry]:
        """The entries from number `first` on, one mapping each; a negative number counts from the end."""
        return self.table.slice(max(len(self) + first, 0) if first < 0 else first).to_pylist()

    def and_then(self, batch: Table, *, text_ids: bool, purpose: str = LEARNING) -> Ledger:
        """Return the ledger with a selection at its end. text_ids: whether ids are text.

        Raises DataError for ids of another type than the ledger has.
        """
        if len(self) and text_ids != pa.types.is_large_string(self.table["id"].type):
            has, gets = ("integers", "strings") if text_ids else ("strings", "integers")
            raise DataError(
                f"the ids of the ledger are {has}, those of the pool are {gets}", hint="name another ledger"
            )
        columns = {name: batch[name] for name in ("id", "rank", "score", "strategy")}
        more = columns | {"purpose": [purpose] * len(batch["id"])}
        return Ledger(_joined(self.table, _table(more, pa.large_string() if text_ids else pa.int64())))


EMPTY = Ledger(pa.table({"id": pa.array([], pa.large_string()), **{n: pa.array([], k) for n, k in _KINDS.items()}}))


def check_ledger(path: Path) -> None:
    """Raise UsageError unless a ledger can have this name."""
    if path.suffix not in FORMATS["parquet"].extensions:
        raise UsageError(f"{printable(path)}: a ledger is a Parquet file", hint="name it with the extension .parquet")


def read_ledger(path: Path) -> Ledger:
    """Read a ledger with its journal; it is empty where there is no file yet. Any Parquet file with ids is a ledger.

    Raises DataError, InputError, NewerFormatError. Cost: a read of the file.
    """
    if not os.path.lexists(path):
        return EMPTY
    # The journal is read first: a stream that ends in between moves its entries from there to the file.
    journal = journal_entries(path)
    file = DataFile(str(path))
    with reading(file), open_parquet(file) as parquet:
        schema = parquet.schema_arrow
    pool_metadata(schema, file.name)
    there = Wanted(["id"], list(_KINDS)).places(schema.names, file.name)
    for column in there.values():
        require(schema, file.name, column)
    ids = _ids(file, there["id"])
    n = len(ids)
    columns = {
        name: _column(file, there[name], kind) if name in there else pa.nulls(n, kind) for name, kind in _KINDS.items()
    }
    columns["purpose"] = pc.fill_null(columns["purpose"], LEARNING)
    table = pa.table({"id": ids, **columns})
    return Ledger(table if not journal else _joined(table, _unfolded(journal, ids, path)))


def write_ledger(path: Path, ledger: Ledger, batch: Mapping[str, Any] | None = None) -> None:
    """Write a ledger, with what its journal held. The caller holds its lock, and has read it under that lock.

    batch: the facts by which `deliver` finds the file of the last selection. Raises what `replacing` does.
    """
    about = {"format": 1, "kind": "ledger"} | ({} if batch is None else {_BATCH: dict(batch)})
    ids = ledger.table["id"]
    table = ledger.table.set_column(0, "id", ids.cast(pa.string()) if pa.types.is_large_string(ids.type) else ids)
    table = table.replace_schema_metadata({METADATA_KEY: json.dumps(about, sort_keys=True)})
    with replacing(path) as file:
        pq.write_table(table, file, compression="zstd", write_page_checksum=True)
    remove_journal(path)


def last_batch(ledger: Path) -> dict[str, Any]:
    """The facts of the last batch in the ledger's metadata; empty without a ledger, or if the batch had no file."""
    if not os.path.lexists(ledger):
        return {}
    file = DataFile(str(ledger))
    with reading(file), open_parquet(file) as parquet:
        found = pool_metadata(parquet.schema_arrow, file.name).get(_BATCH)
    return found if isinstance(found, dict) else {}


def _ids(file: DataFile, name: str) -> pa.ChunkedArray:
    """The ids of the file as one type. Raises DataError that names the row of a null or an empty id."""
    blocks: list[pa.Array] = []
    row = 0
    for block in read_column(file, name, _BLOCK):
        blocks.append(to_ids(block, partial(_place, file.name, row)))
        row += len(block)
    return pa.chunked_array(blocks, None if blocks else pa.large_string())


def _place(name: str, first: int, row: int) -> str:
    return f"{name}: row {first + row}"


def _column(file: DataFile, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    """A column of the file as a given type. Raises DataError where its values do not fit."""
    try:
        blocks = [block.cast(kind, safe=kind != _KINDS["score"]) for block in read_column(file, name, _BLOCK)]
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        what = f"{file.name}: column '{printable(name)}' of a ledger cannot be read as {kind}: {printable(error)}"
        raise DataError(what) from error
    return pa.chunked_array(blocks, kind)


def _unfolded(journal: list[Entry], ids: pa.ChunkedArray, path: Path) -> pa.Table:
    """The entries of a journal that are not in the file yet. Raises DataError for ids of another type."""
    kind = ids.type if len(ids) else pa.large_string() if isinstance(journal[0]["id"], str) else pa.int64()
    names = ["id", *_KINDS]
    try:
        table = _table({name: [entry.get(name) for entry in journal] for name in names}, kind)
    except (TypeError, ValueError, OverflowError) as error:
        what = f"{printable(journal_path(path))}: has ids or values of another type than its ledger"
        hint = "the journal is damaged or of another ledger; remove it to go on without its items"
        raise DataError(f"{what} ({printable(error)})", hint=hint) from error
    # A run may have died after it folded the journal into the file, and before it removed the journal.
    return table.filter(pc.invert(pc.is_in(table["id"], value_set=ids.cast(kind))))


def _table(columns: Mapping[str, list[Any]], ids: pa.DataType) -> pa.Table:
    """Entries as a table."""
    return pa.table({"id": pa.array(columns["id"], ids), **{n: pa.array(columns[n], k) for n, k in _KINDS.items()}})


def _joined(before: pa.Table, more: pa.Table) -> pa.Table:
    """Two tables of entries, one after the other; an empty one has no type of its own."""
    return more if not len(before) else pa.concat_tables([before, more]) if len(more) else before
