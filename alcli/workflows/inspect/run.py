"""`alcli inspect`: tell what files of alcli hold, after finding out by their content which kind they are of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from alcli.data.exports.places import Places
from alcli.data.pool import open_pool
from alcli.data.reading.data_file import shown
from alcli.data.schema import Columns
from alcli.data.spellings.classes import AS_WRITTEN, Spelling
from alcli.remarks import Note, silence
from alcli.workflows.inspect.head import about_head
from alcli.workflows.inspect.kinds import Kind, kind_of
from alcli.workflows.inspect.labels import about_labels
from alcli.workflows.inspect.pool import about_pool
from alcli.workflows.inspect.rows import about_rows
from alcli.workflows.inspect.simulation import about_simulation


@dataclass(frozen=True)
class Inspected:
    """One file, its kind, and the facts about it: values of JSON by name, in the order in which they are told."""

    name: str
    kind: Kind
    facts: dict[str, Any]

    def as_json(self) -> dict[str, Any]:
        """The name, the kind and the facts as one object."""
        return {"name": self.name, "kind": self.kind, **self.facts}


@dataclass(frozen=True)
class PoolReading:
    """The way a pool is read. See `open_pool`."""

    columns: Columns = field(default_factory=Columns)
    max_memory: int | None = None
    hive: bool = False
    isolate: bool = False


def inspect(
    spec: str,
    reading: PoolReading = PoolReading(),
    note: Note = silence,
    *,
    places: Places = Places(),
    spelling: Spelling = AS_WRITTEN,
) -> Inspected:
    """Return the facts about the file, folder, glob or URI that `spec` names.

    reading: for pools alone. places, spelling: for labels alone, the columns that the user named and the spelling of
    classes. note: told of oddities in a pool, and of classes that are merged. Raises InputError, and DataError for
    damaged files and for content of no known kind.
    """
    kind, name = kind_of(spec, places), shown(spec)
    if kind == "head":
        return Inspected(name, kind, about_head(Path(spec)))
    if kind == "simulation":
        return Inspected(name, kind, about_simulation(Path(spec)))
    if kind == "labels":
        return Inspected(name, kind, about_labels(spec, places, spelling, note))
    if kind != "pool":
        return Inspected(name, kind, about_rows(spec, kind))
    pool = open_pool(
        spec,
        reading.columns,
        bad_rows="skip",
        max_memory=reading.max_memory,
        hive=reading.hive,
        isolate=reading.isolate,
        note=note,
    )
    return Inspected(name, kind, about_pool(pool))
