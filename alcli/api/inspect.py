"""`alcli.inspect`: the facts about a file of alcli."""

from __future__ import annotations

import os
from typing import Any

from alcli.api.inputs import PathLike
from alcli.api.session import session
from alcli.remarks import Note
from alcli.workflows.inspect.run import inspect as run


def inspect(path: PathLike, *, note: Note | None = None) -> dict[str, Any]:
    """Return the facts about a file, a folder, a glob or a URI, as `alcli inspect --json` does.

    The content decides what a file is. `alcli inspect --help` lists the facts about each kind of file.
    Memory: of a pool about 60 bytes a row with an integer id; of a table its rows.

    path: of a pool, a head, a ledger, a selection, predictions, labels, ids, or of the folder of a simulation.
    note: is told each remark; None makes warnings.

    Raises any of `alcli.errors`: DataError for a damaged file, or one of another kind.

    >>> import alcli
    >>> found = alcli.inspect("sample_data/digits-features.parquet")
    >>> found["kind"], found["rows"], found["classes"], found["duplicate_rows"]
    ('pool', 1797, 10, 0)
    """
    with session(note) as remark:
        return run(os.fspath(path), note=remark).as_json()
