"""The pool of a call: files, arrays or a table, opened once and used in as many calls as the program likes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from alcli.api.inputs import ArrowStream, PathLike, is_table, table_of, whole
from alcli.api.session import warn
from alcli.data.array_pool import pool_of
from alcli.data.pool import Pool, open_pool
from alcli.data.schema import Columns
from alcli.errors import UsageError, printable
from alcli.remarks import Note
from alcli.workflows.items import Items

_BAD_ROWS = ("error", "skip")


class Relay:
    """Passes the remarks of a pool on to the call that uses the pool at the moment."""

    def __init__(self, note: Note) -> None:
        self.note = note

    def __call__(self, text: str) -> None:
        self.note(text)


@dataclass(frozen=True, eq=False)
class OpenPool(Items):
    """A pool that is open for any number of calls; ids and masks are read once."""

    relay: Relay

    def __len__(self) -> int:
        """The number of items: rows, or groups of rows."""
        return len(self.ids)

    def __repr__(self) -> str:
        return f"<alcli.OpenPool {self.pool.name}, {self.pool.n} rows, D={self.pool.dim}>"


PoolLike: TypeAlias = PathLike | npt.NDArray[Any] | Mapping[str, Any] | ArrowStream | OpenPool


def pool(
    source: PoolLike,
    ids: Any = None,
    *,
    labels: Any = None,
    split: Any = None,
    group: Any = None,
    name: str = "pool",
    features_col: str | None = None,
    id_col: str = "id",
    label_col: str | None = None,
    group_col: str | None = None,
    bad_rows: str = "error",
    max_memory: int | None = None,
    hive: bool = False,
    isolate: bool = False,
    cache_dir: PathLike | None = None,
    note: Note | None = None,
) -> OpenPool:
    """Open a pool for several calls; every function of alcli also takes `source` itself. Features are read later.

    source: Parquet files, as a path, a folder, a glob or a URI; an array of features [N, D]; a mapping from
        column names to columns; or a table of pyarrow, DuckDB, Polars or pandas. Nobody may change arrays while
        the pool is in use.
    ids, labels, split, group: columns [N] beside an array.
        ids: strings or integers, each once; None numbers the rows from 0.
        labels: strings, integers and booleans are classes, floats are numbers to predict; None and NaN mark rows
        without a label.
        split: rows of "test" are never chosen and never learned.
        group: the rows of a group are one item.
    name: of arrays and tables, in messages and in the provenance of heads.
    features_col, id_col, label_col, group_col, bad_rows, hive, isolate: the options of the command line.
    max_memory: bytes beyond which features that are read again and again go to a file.
    cache_dir: a folder that keeps such a file of features for later; None makes it a temporary one.
    note: is told each remark on opening; None makes warnings.

    Raises UsageError, DataError, InputError and the other errors of reading.

    >>> import alcli
    >>> features = [[0.0, 1.0], [0.1, 0.9], [1.0, 0.0], [0.9, 0.2]]
    >>> items = alcli.pool({"id": ["a", "b", "c", "d"], "features": features})
    >>> alcli.select(items, 2, strategy="coreset").ids
    ['a', 'c']
    """
    if isinstance(source, OpenPool):
        return source
    if bad_rows not in _BAD_ROWS:
        raise UsageError(f"bad_rows must be one of {', '.join(_BAD_ROWS)}, got {printable(repr(bad_rows))}")
    if max_memory is not None:
        max_memory = whole(max_memory, "max_memory")
    names, relay = Columns(features_col, id_col, label_col, group=group_col), Relay(note or warn)
    beside = {"id": ids, "label": labels, "split": split, "group": group}
    given = {column: values for column, values in beside.items() if values is not None}
    if isinstance(source, (str, os.PathLike)):
        _check_none(given, "a file has columns of its own")
        found = open_pool(
            os.fspath(source),
            names,
            bad_rows=bad_rows,
            max_memory=max_memory,
            hive=hive,
            isolate=isolate,
            cache_dir=None if cache_dir is None else os.fspath(cache_dir),
            note=relay,
        )
        return OpenPool(found, relay)
    columns = _columns(source, given)
    return OpenPool(pool_of(columns, names, name=name, bad_rows=bad_rows, max_memory=max_memory, note=relay), relay)


def items_of(source: PoolLike, note: Note) -> OpenPool:
    """Return the items of a pool, opened already or opened now with the usual columns. note: of the call."""
    items = pool(source, note=note)
    items.relay.note = note
    return items


def opened(source: PoolLike, note: Note) -> Pool:
    """The rows of a pool that a call gets."""
    return items_of(source, note).pool


def _columns(source: Any, given: Mapping[str, Any]) -> Any:
    """The columns of a pool in memory: a mapping, or an Arrow table."""
    if isinstance(source, Mapping):
        _check_none(given, "a mapping has columns of its own")
        return source
    if is_table(source):
        _check_none(given, "a table has columns of its own")
        return table_of(source)
    try:
        X_ND = np.asarray(source)
    except ValueError:
        raise UsageError("a pool cannot be made of rows of different lengths", hint="expected [N, D]") from None
    if X_ND.ndim != 2:
        hint = "expected a path, an array of features [N, D], a mapping of columns, or a table"
        raise UsageError(f"a pool cannot be made of {type(source).__name__} of shape {X_ND.shape}", hint=hint)
    return {"id": np.arange(len(X_ND)), **given, "features": X_ND}


def _check_none(given: Mapping[str, Any], why: str) -> None:
    if given:
        raise UsageError(f"{', '.join(given)}: columns are given beside an array of features alone, {why}")
