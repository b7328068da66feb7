"""Small files of rows from people and other tools: tables in text, JSON, Parquet, standard input; also compressed.

Values stay as written. CSV is text and stays text: `007`, `NA` and `true` are not guessed to be a number, a gap or a
boolean.
"""

from __future__ import annotations

import csv
import io
import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from alcli.data.ledger.entries import read_ledger
from alcli.data.ledger.journal import journal_size
from alcli.data.reading.data_file import DataFile, check_readable, refusal
from alcli.data.reading.parquet import open_parquet, read_column, reading
from alcli.data.schema import pool_metadata, require
from alcli.data.text.contents import decoded, unpacked
from alcli.data.text.dialect import dialect_of, header, near, settled
from alcli.data.text.rows import Export, GivenRows, Row, RowSource, Wanted, quoted
from alcli.data.text.workbook import is_workbook, workbook_columns, workbook_rows
from alcli.errors import DataError, InputError, UsageError, printable
from alcli.parsing import repeated

# Rows of a Parquet file that are read at once.
_BLOCK = 1 << 16
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*(\{|\[\s*\{)")
_JSON_LINES = "expected JSON Lines, that is one object a line, or one array of objects"


def read_rows(
    path: RowSource, columns: Sequence[str], *, optional: Sequence[str] = (), export: Export | None = None
) -> Iterator[Row]:
    """Read the rows of a file ("-": standard input): the `columns`, and the `optional` columns that are there.

    The kind of the file follows from its extension, else from its content. export: also reads what tools export.
    Raises InputError, DataError with the line, UsageError for "-" on a terminal.
    """
    if isinstance(path, GivenRows):
        return _given_rows(path, columns, optional)
    name, data = _contents(str(path))
    return _rows(str(path), name, data, Wanted(columns, optional, export))


def columns_of(path: str) -> list[str]:
    """The names of the columns of a file: of its header, its schema, or the first object in JSON.

    Raises what `read_rows` does. Cost: the whole file is read, unless it is Parquet.
    """
    name, data = _contents(path)
    kind = _kind(path, data)
    if kind == "parquet":
        with reading(file := DataFile(path)), open_parquet(file) as parquet:
            return list(parquet.schema_arrow.names)
    if kind == "xlsx":
        return workbook_columns(data, name)
    text = decoded(data, name)
    if kind == "jsonl":
        return list(_first_value(text, name) or {})
    line = io.StringIO(text, newline="").readline()
    dialect = dialect_of(line, ",", lambda names: near(names, "id") is not None)
    rows = dialect.reader(io.StringIO(text, newline=""))
    try:
        return list(next(rows, []))
    except csv.Error:
        return []


def first_object(path: str) -> dict[str, Any] | None:
    """The first object of a file in JSON; None for a file of another kind. Raises what `read_rows` does."""
    name, data = _contents(path)
    return None if _kind(path, data) != "jsonl" else _first_value(decoded(data, name), name)


def _first_value(text: str, name: str) -> dict[str, Any] | None:
    first = next((value for _, value in _json_values(text, name)), None)
    return first if isinstance(first, dict) else None


def read_ids(path: RowSource) -> Iterator[Row]:
    """Read the column `id` of a file; a file without a known extension and without such a header holds one id per line.

    Raises what `read_rows` does.
    """
    if isinstance(path, GivenRows):
        return _given_rows(path, ["id"], [])
    path = str(path)
    name, data = _contents(path)
    if _kind(path, data) == "csv" and not _extension(path).endswith((".csv", ".tsv", ".tab")):
        lines = [line.rstrip("\r") for line in decoded(data, name).split("\n")]
        if not _is_table_of_ids(lines[0]):
            numbered = ((i, line) for i, line in enumerate(lines, 1) if line.strip())
            return (Row(f"{name}: line {i}", {"id": line}, True, is_line=True) for i, line in numbered)
    return _rows(path, name, data, Wanted(["id"]))


def _is_table_of_ids(first: str) -> bool:
    """True where the first line names the delimiter, or a column `id` by any delimiter."""
    dialect = dialect_of(first, ",", lambda names: near(names, "id") is not None)
    return dialect.skipped > 0 or near(header(first, dialect.delimiter), "id") is not None


def _given_rows(given: GivenRows, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Read rows in memory: the `columns`, and the `optional` columns that are there."""
    Wanted(columns).places(list(given.columns), given.name)
    wanted = [*columns, *(c for c in optional if c in given.columns)]
    for number, values in enumerate(zip(*(given.columns[c] for c in wanted), strict=True)):
        yield Row(f"{given.name}: row {number}", dict(zip(wanted, values)), False)


def _rows(path: str, name: str, data: bytes, wanted: Wanted) -> Iterator[Row]:
    """Read the rows of a file of any kind. name: the file as messages name it. data: its content."""
    kind = _kind(path, data)
    if kind == "parquet":
        return _parquet_rows(path, name, wanted)
    if kind == "xlsx":
        return workbook_rows(data, name, wanted)
    text = decoded(data, name)
    if path == "-" and text and not text.endswith("\n"):
        # A pipe whose producer died looks like a short file, and half a line may be a valid line.
        what = f"{name}: ends in the middle of line {text.count(chr(10)) + 1}, nothing was applied"
        raise DataError(what, hint="its producer stopped early")
    if kind == "jsonl":
        return _json_rows(text, name, wanted)
    return _csv_rows(text, name, wanted, "\t" if _extension(path).endswith((".tsv", ".tab")) else ",")


def _contents(path: str) -> tuple[str, bytes]:
    """Return the name of a file for messages, and its bytes."""
    if path == "-":
        return "standard input", unpacked(_standard_input(), "standard input")
    check_readable(path)
    try:
        with open(path, "rb") as file:
            return printable(path), unpacked(file.read(), printable(path))
    except OSError as error:
        raise refusal(printable(path), "cannot read", error) from error


def _standard_input() -> bytes:
    """Read standard input to its end. Raises UsageError for a terminal."""
    if sys.stdin.isatty():
        raise UsageError("'-' reads standard input, which is a terminal", hint="pipe or redirect a file into it")
    return sys.stdin.buffer.read()


def _extension(path: str) -> str:
    """The path in small letters, without the extension of a compressed file."""
    lower = path.lower()
    return lower.rpartition(".")[0] if lower.endswith(_PACKED) else lower


def _kind(path: str, data: bytes) -> str:
    """The kind of a file: "parquet", "xlsx", "jsonl" or "csv"; by its extension, else by its first bytes."""
    named = _extension(path)
    if named.endswith((".parquet", ".pq")) or data[:4] == b"PAR1":
        return "parquet"
    if is_workbook(data):
        return "xlsx"
    if named.endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    if named.endswith((".csv", ".tsv", ".tab")):
        return "csv"
    return "jsonl" if _JSON.match(data) else "csv"


def _csv_rows(text: str, name: str, wanted: Wanted, usual: str) -> Iterator[Row]:
    """Yield the rows of a table in text. usual: the delimiter that its name tells. Raises DataError with the line."""
    if not text.strip():
        raise DataError(f"{name}: is empty, expected a header line with {quoted(wanted.columns)}")
    first = io.StringIO(text, newline="").readline()
    dialect = dialect_of(first, usual, wanted.fit)
    dialect = settled(dialect, lambda: io.StringIO(text, newline=""), name)
    reader = dialect.reader(io.StringIO(text, newline=""))
    try:
        names: list[str] = next(reader, [])
        for column in repeated(names):
            raise DataError(f"{name}: line 1: column '{printable(column)}' stands twice in the header")
        places = {c: names.index(there) for c, there in wanted.places(names, name).items()}
        for fields in reader:
            where = f"{name}: line {reader.line_num + dialect.skipped}"
            if not fields:
                continue
            if len(fields) != len(names):
                raise DataError(f"{where}: {len(fields)} fields, expected {len(names)} as in the header")
            if wanted.export is not None and "id" in places:
                wanted.export.check(fields[places["id"]], names, where)
            yield Row(where, {c: fields[i] for c, i in places.items()}, True)
    except csv.Error as error:
        line = reader.line_num + dialect.skipped
        raise DataError(f"{name}: line {line}: {error}", hint="is a quote not closed?") from None


def _json_rows(text: str, name: str, wanted: Wanted) -> Iterator[Row]:
    """Yield the rows of JSON Lines, or of one array of objects. Raises DataError with the line or the entry."""
    for where, found in _json_values(text, name):
        if not isinstance(found, dict):
            raise DataError(f"{where}: expected a JSON object, got {type(found).__name__}", hint=_JSON_LINES)
        rows = None if wanted.export is None else wanted.export.rows(where, found)
        if rows is not None:
            yield from rows
            continue
        values = {c: found[there] for c, there in wanted.places(list(found), where, "key").items()}
        for column, value in values.items():
            if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
                raise DataError(f"{where}: '{column}' holds half of a surrogate pair, expected Unicode text")
        yield Row(where, values, False)
    if wanted.export is not None:
        wanted.export.end()


def _json_values(text: str, name: str) -> Iterator[tuple[str, Any]]:
    """Yield (place, value) of the lines, or of the entries of an array that is the whole text. Raises DataError."""
    if text.lstrip().startswith("["):
        entries = _json(text, name)
        yield from ((f"{name}: entry {i}", entry) for i, entry in enumerate(entries))
        return
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            where = f"{name}: line {number}"
            yield where, _json(line, where)


def _json(text: str, where: str) -> Any:
    """Return the value of a text. Raises DataError."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise DataError(f"{where}: not JSON: {printable(error)}", hint=_JSON_LINES) from None


def _parquet_rows(path: str, name: str, wanted: Wanted) -> Iterator[Row]:
    """Yield the rows of a Parquet file. Raises DataError, InputError, NewerFormatError. Memory: one block of rows."""
    if path == "-":
        what = f"{name}: Parquet needs a file that can be read from any place"
        raise InputError(what, hint="save it to a file first")
    file = DataFile(path)
    with reading(file), open_parquet(file) as parquet:
        schema = parquet.schema_arrow
    # Raises NewerFormatError for a ledger or a selection that a newer version wrote.
    is_ledger = pool_metadata(schema, name).get("kind") == "ledger"
    there = wanted.places(schema.names, name)
    for column in there.values():
        require(schema, name, column)
    has_journal = is_ledger and journal_size(Path(path)) > 0
    rows = _with_journal(path, there) if has_journal else zip(*(_values(file, c) for c in there.values()), strict=True)
    for number, row in enumerate(rows):
        yield Row(f"{name}: row {number}", dict(zip(there, row)), False)


def _with_journal(path: str, columns: Iterable[str]) -> Iterator[tuple[Any, ...]]:
    """Yield the rows of a ledger, of its file and of its journal. Memory: the ledger's columns."""
    for entry in read_ledger(Path(path)).entries():
        yield tuple(entry.get(column) for column in columns)


def _values(file: DataFile, column: str) -> Iterator[Any]:
    """Yield the values of a column."""
    for block in read_column(file, column, _BLOCK):
        yield from block.to_pylist()
