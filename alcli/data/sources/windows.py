"""Tables cut to windows of a fixed number of rows, and readers that stand side by side."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import pyarrow as pa


class Reader(Protocol):
    """One table from one or several files. Columns whose values are of mixed kinds have the type null in `schema`."""

    files: list[Path]
    schema: pa.Schema
    n: int

    def windows(self, names: list[str], rows: int, start: int) -> Iterator[pa.Table]:
        """Yield tables with the columns `names`, from window number `start` on.

        Each has `rows` rows; the last may be shorter.
        """

    def place(self, row: int) -> str:
        """Name the file and the row in it, for messages."""


class Beside:
    """The columns of two readers of equal `n`, side by side; rows belong together by their number.

    left: names the rows in messages, and its metadata count where both have a key.
    """

    def __init__(self, left: Reader, right: Reader) -> None:
        self._left, self._right = left, right
        self.files = [*left.files, *right.files]
        about = {**(right.schema.metadata or {}), **(left.schema.metadata or {})}
        self.schema = pa.schema([*left.schema, *right.schema], metadata=about)
        self.n = left.n
        self.place = left.place

    def windows(self, names: list[str], rows: int, start: int) -> Iterator[pa.Table]:
        """Yield tables with the columns `names`; a reader of which no column is wanted is not read."""
        sides = [(side, [n for n in names if n in side.schema.names]) for side in (self._left, self._right)]
        running = [side.windows(wanted, rows, start) for side, wanted in sides if wanted]
        for tables in zip(*running, strict=True):
            joined = tables[0]
            for table in tables[1:]:
                for name in table.column_names:
                    joined = joined.append_column(table.field(name), table[name])
            yield joined.select(names)


def in_windows(tables: Iterable[pa.Table], rows: int) -> Iterator[pa.Table]:
    """Yield the rows of the tables in tables of `rows` rows; the last may be shorter. Memory: one window."""
    waiting: list[pa.Table] = []
    have = 0
    for table in tables:
        waiting.append(table)
        have += len(table)
        while have >= rows:
            joined = pa.concat_tables(waiting)
            yield joined.slice(0, rows)
            have -= rows
            waiting = [joined.slice(rows)]
    if have:
        yield pa.concat_tables(waiting)


def place_in(files: Iterable[tuple[str, int]], row: int) -> str:
    """Name the file and the row in it, for messages. files: the name of each, as messages show it, and its rows."""
    last = ("", 0)
    for last in files:
        if row < last[1]:
            break
        row -= last[1]
    return f"{last[0]}: row {row}"
