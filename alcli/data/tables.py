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
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from alcli.data.reading.data_file import DataFile, check_readable, refusal
from alcli.data.reading.parquet import open_parquet, read_column, reading
from alcli.data.schema import pool_metadata, require
from alcli.data.text.contents import decoded, unpacked
from alcli.data.text.dialect import dialect_of, header, near, settled
from alcli.errors import DataError, InputError, UsageError, printable
from alcli.parsing import repeated

# Rows of a Parquet file that are read at once.
_BLOCK = 1 << 16
_PACKED = (".gz", ".bz2", ".xz", ".zst")
_JSON = re.compile(rb"(\xef\xbb\xbf)?\s*(\{|\[\s*\{)")
_JSON_LINES = "expected JSON Lines, that is one object a line, or one array of objects"


@dataclass(frozen=True)
class Row:
    """One row of a file.

    where: its place, for messages. from_text: its values are text, which may stand for a typed value. is_line: the
    value is a whole line of a file without a header.
    """

    where: str
    values: dict[str, Any]
    from_text: bool
    is_line: bool = False


@dataclass(frozen=True)
class GivenRows:
    """Rows that a Python program holds in memory, in the place of a file.

    name: of the rows, in messages. columns: lists of equal length, by name.
    """

    name: str
    columns: Mapping[str, Sequence[Any]]

    def __str__(self) -> str:
        return self.name


# The path of a file, or rows in memory.
RowSource: TypeAlias = str | GivenRows


def paths_of(sources: Iterable[RowSource]) -> list[str]:
    """The sources that are files."""
    return [source for source in sources if isinstance(source, str)]


def read_rows(path: RowSource, columns: Sequence[str], *, optional: Sequence[str] = ()) -> Iterator[Row]:
    """Read the rows of a file ("-": standard input): the `columns`, and the `optional` columns that are there.

    The kind of the file follows from its extension, else from its content. Raises InputError, DataError with the line,
    UsageError for "-" on a terminal.
    """
    if isinstance(path, GivenRows):
        return _given_rows(path, columns, optional)
    name, data = _contents(path)
    return _rows(path, name, data, columns, optional)


def read_ids(path: RowSource) -> Iterator[Row]:
    """Read the column `id` of a file; a file without a known extension and without such a header holds one id per line.

    Raises what `read_rows` does.
    """
    if isinstance(path, GivenRows):
        return _given_rows(path, ["id"], [])
    name, data = _contents(path)
    if _kind(path, data) == "csv" and not _extension(path).endswith((".csv", ".tsv", ".tab")):
        lines = [line.rstrip("\r") for line in decoded(data, name).split("\n")]
        if not _is_table_of_ids(lines[0]):
            numbered = ((i, line) for i, line in enumerate(lines, 1) if line.strip())
            return (Row(f"{name}: line {i}", {"id": line}, True, is_line=True) for i, line in numbered)
    return _rows(path, name, data, ["id"], [])


def _is_table_of_ids(first: str) -> bool:
    """True where the first line names the delimiter, or a column `id` by any delimiter."""
    dialect = dialect_of(first, ",", lambda names: near(names, "id") is not None)
    return dialect.skipped > 0 or near(header(first, dialect.delimiter), "id") is not None


def _given_rows(given: GivenRows, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Read rows in memory: the `columns`, and the `optional` columns that are there."""
    _check_header(list(given.columns), given.name, columns)
    wanted = [*columns, *(c for c in optional if c in given.columns)]
    for number, values in enumerate(zip(*(given.columns[c] for c in wanted), strict=True)):
        yield Row(f"{given.name}: row {number}", dict(zip(wanted, values)), False)


def _rows(path: str, name: str, data: bytes, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Read the rows of a file of any kind. name: the file as messages name it. data: its content."""
    kind = _kind(path, data)
    if kind == "parquet":
        return _parquet_rows(path, name, columns, optional)
    text = decoded(data, name)
    if path == "-" and text and not text.endswith("\n"):
        # A pipe whose producer died looks like a short file, and half a line may be a valid line.
        what = f"{name}: ends in the middle of line {text.count(chr(10)) + 1}, nothing was applied"
        raise DataError(what, hint="its producer stopped early")
    if kind == "jsonl":
        return _json_rows(text, name, columns, optional)
    return _csv_rows(text, name, columns, optional, "\t" if _extension(path).endswith((".tsv", ".tab")) else ",")


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
    """The kind of a file: "parquet", "jsonl" or "csv"; by its extension, else by its first bytes."""
    named = _extension(path)
    if named.endswith((".parquet", ".pq")) or data[:4] == b"PAR1":
        return "parquet"
    if named.endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    if named.endswith((".csv", ".tsv", ".tab")):
        return "csv"
    return "jsonl" if _JSON.match(data) else "csv"


def _csv_rows(text: str, name: str, columns: Sequence[str], optional: Sequence[str], usual: str) -> Iterator[Row]:
    """Yield the rows of a table in text. usual: the delimiter that its name tells. Raises DataError with the line."""
    if not text.strip():
        raise DataError(f"{name}: is empty, expected a header line with {_quoted(columns)}")
    first = io.StringIO(text, newline="").readline()
    dialect = dialect_of(first, usual, lambda names: all(near(names, c) for c in columns))
    dialect = settled(dialect, lambda: io.StringIO(text, newline=""), name)
    reader = dialect.reader(io.StringIO(text, newline=""))
    try:
        names: list[str] = next(reader, [])
        _check_header(names, name, columns)
        places = {c: names.index(there) for c in (*columns, *optional) if (there := near(names, c)) is not None}
        for fields in reader:
            where = f"{name}: line {reader.line_num + dialect.skipped}"
            if not fields:
                continue
            if len(fields) != len(names):
                raise DataError(f"{where}: {len(fields)} fields, expected {len(names)} as in the header")
            yield Row(where, {c: fields[i] for c, i in places.items()}, True)
    except csv.Error as error:
        line = reader.line_num + dialect.skipped
        raise DataError(f"{name}: line {line}: {error}", hint="is a quote not closed?") from None


def _check_header(names: list[str], name: str, columns: Sequence[str]) -> None:
    """Raise DataError for a column that is there twice, or not at all."""
    for column in repeated(names):
        raise DataError(f"{name}: line 1: column '{printable(column)}' stands twice in the header")
    for column in columns:
        if near(names, column) is None:
            shown = ", ".join(f"'{printable(h)}'" for h in names[:10])
            hint = f"expected a header line with {_quoted(columns)}"
            raise DataError(f"{name}: no column '{printable(column)}' among {shown}", hint=hint)


def _json_rows(text: str, name: str, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of JSON Lines, or of one array of objects. Raises DataError with the line or the entry."""
    for where, found in _json_values(text, name):
        if not isinstance(found, dict):
            raise DataError(f"{where}: expected a JSON object, got {type(found).__name__}", hint=_JSON_LINES)
        for column in columns:
            if near(found, column) is None:
                raise DataError(f"{where}: no key '{printable(column)}'")
        values = {c: found[there] for c in (*columns, *optional) if (there := near(found, c)) is not None}
        for column, value in values.items():
            if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
                raise DataError(f"{where}: '{column}' holds half of a surrogate pair, expected Unicode text")
        yield Row(where, values, False)


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


def _parquet_rows(path: str, name: str, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a Parquet file. Raises DataError, InputError, NewerFormatError. Memory: one block of rows."""
    if path == "-":
        what = f"{name}: Parquet needs a file that can be read from any place"
        raise InputError(what, hint="save it to a file first")
    file = DataFile(path)
    with reading(file), open_parquet(file) as parquet:
        schema = parquet.schema_arrow
    # Raises NewerFormatError for a ledger or a selection that a newer version wrote.
    pool_metadata(schema, name)
    there = {c: near(schema.names, c) or c for c in columns}
    there |= {c: found for c in optional if (found := near(schema.names, c)) is not None}
    for column in there.values():
        require(schema, name, column)
    values = [_values(file, c) for c in there.values()]
    for number, row in enumerate(zip(*values, strict=True)):
        yield Row(f"{name}: row {number}", dict(zip(there, row)), False)


def _values(file: DataFile, column: str) -> Iterator[Any]:
    """Yield the values of a column."""
    for block in read_column(file, column, _BLOCK):
        yield from block.to_pylist()


def _quoted(columns: Sequence[str]) -> str:
    """Column names as messages list them."""
    return " and ".join(f"'{c}'" for c in columns)
