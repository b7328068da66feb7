"""JSON Lines: one object a line; values keep their types."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from alcli.data.sources.base import head_of, opened
from alcli.data.text.contents import encoding_of
from alcli.errors import DataError, printable

# The type of a column by the kinds of its values; any other mixture has the type null.
_TYPES = {
    frozenset({"str"}): pa.string(),
    frozenset({"bool"}): pa.bool_(),
    frozenset({"int"}): pa.int64(),
    frozenset({"float"}): pa.float64(),
    frozenset({"int", "float"}): pa.float64(),
    frozenset({"numbers"}): pa.list_(pa.float64()),
}


class JsonLinesReader:
    """A UTF-8 file of JSON objects; a missing key is a null.

    Cost: opening reads the file once, for the names and types of the columns.
    """

    def __init__(self, path: Path) -> None:
        self.files = [path]
        self._shown = printable(path)
        if encoding_of(head_of(path), self._shown) != "utf-8-sig":
            raise DataError(f"{self._shown}: the text is not UTF-8", hint="convert it, for example with iconv -t utf-8")
        seen: dict[str, set[str]] = {}
        self.n = 0
        for row in self._rows():
            self.n += 1
            for key, value in row.items():
                kinds = seen.setdefault(key, set())
                if value is not None:
                    kinds.add(_kind(value))
        if strange := [key for key in seen if not key.isascii() and key.encode(errors="replace").decode() != key]:
            what = f"the key '{printable(strange[0])}' is not text in UTF-8"
            raise DataError(f"{self._shown}: {what}", hint="half of a pair \\ud800 to \\udfff is no character")
        self.schema = pa.schema([(key, _TYPES.get(frozenset(kinds), pa.null())) for key, kinds in seen.items()])

    def windows(self, names: list[str], rows: int, start: int) -> Iterator[pa.Table]:
        """Yield tables of `rows` rows with the columns `names`, from window number `start` on."""
        schema = pa.schema([self.schema.field(n) for n in names])
        gathered: list[dict[str, Any]] = []
        for number, row in enumerate(self._rows()):
            if number >= rows * start:
                gathered.append(row)
            if len(gathered) == rows:
                yield self._table(gathered, schema)
                gathered = []
        if gathered:
            yield self._table(gathered, schema)

    def place(self, row: int) -> str:
        """Name the file and the row, for messages."""
        return f"{self._shown}: row {row}"

    def _table(self, rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
        """Turn objects into a table. Raises DataError for a value that does not fit its column."""
        columns = []
        for field in schema:
            try:
                columns.append(pa.array([r.get(field.name) for r in rows], field.type))
            except (pa.ArrowException, OverflowError, TypeError, UnicodeEncodeError) as error:
                raise DataError(f"{self._shown}: column '{printable(field.name)}': {printable(error)}") from error
        return pa.Table.from_arrays(columns, schema=schema)

    def _rows(self) -> Iterator[dict[str, Any]]:
        """Yield the objects of the file. Raises DataError that names the line of anything else."""
        with opened(self.files[0]) as file:
            for number, line in enumerate(file, 1):
                line = line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line
                if not line.strip():
                    continue
                try:
                    row = json.loads(line)
                except (ValueError, RecursionError) as error:
                    raise DataError(f"{self._shown}: line {number} is not JSON ({printable(error)})") from error
                if not isinstance(row, dict):
                    what = f'expected an object like {{"id": ...}}, got {printable(line.decode())[:40]}'
                    raise DataError(f"{self._shown}: line {number}: {what}")
                yield row


def _kind(value: Any) -> str:
    """The kind of a JSON value: "numbers" for a list of numbers, else the name of its Python type."""
    if isinstance(value, list):
        return "numbers" if value and all(type(v) in (int, float) for v in value) else "list"
    return type(value).__name__
