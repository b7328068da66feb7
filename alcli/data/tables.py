"""Small files of rows from people and other tools: CSV, TSV, JSON Lines, Parquet, standard input.

Values stay as written. CSV is text and stays text: `007`, `NA` and `true` are not guessed to be a number, a gap or a
boolean.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from alcli.data.reading.data_file import DataFile, check_readable, refusal
from alcli.data.reading.parquet import open_parquet, read_column, reading
from alcli.data.schema import pool_metadata, require
from alcli.errors import DataError, InputError, UsageError, printable

# Rows of a Parquet file that are read at once.
_BLOCK = 1 << 16


@dataclass(frozen=True)
class Row:
    """One row of a file.

    where: its place, for messages. from_text: its values are text, which may stand for a typed value.
    """

    where: str
    values: dict[str, Any]
    from_text: bool


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
    if _kind(path, data) == "csv" and not path.endswith((".csv", ".tsv")):
        lines = [line.rstrip("\r") for line in _decoded(data, name).split("\n")]
        if "id" not in [name.strip('"') for name in lines[0].split(",")]:
            return (Row(f"{name}: line {i}", {"id": line}, True) for i, line in enumerate(lines, 1) if line.strip())
    return _rows(path, name, data, ["id"], [])


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
    text = _decoded(data, name)
    if path == "-" and text and not text.endswith("\n"):
        # A pipe whose producer died looks like a short file, and half a line may be a valid line.
        what = f"{name}: ends in the middle of line {text.count(chr(10)) + 1}, nothing was applied"
        raise DataError(what, hint="its producer stopped early")
    if kind == "jsonl":
        return _json_rows(text, name, columns, optional)
    return _csv_rows(text, name, columns, optional, "\t" if path.endswith(".tsv") else ",")


def _contents(path: str) -> tuple[str, bytes]:
    """Return the name of a file for messages, and its bytes."""
    if path == "-":
        return "standard input", _standard_input()
    check_readable(path)
    try:
        with open(path, "rb") as file:
            return printable(path), file.read()
    except OSError as error:
        raise refusal(printable(path), "cannot read", error) from error


def _standard_input() -> bytes:
    """Read standard input to its end. Raises UsageError for a terminal."""
    if sys.stdin.isatty():
        raise UsageError("'-' reads standard input, which is a terminal", hint="pipe or redirect a file into it")
    return sys.stdin.buffer.read()


def _kind(path: str, data: bytes) -> str:
    """The kind of a file: "parquet", "jsonl" or "csv"; by its extension, else by its first bytes."""
    if path.endswith((".parquet", ".pq")) or data[:4] == b"PAR1":
        return "parquet"
    if path.endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    if path.endswith((".csv", ".tsv")):
        return "csv"
    return "jsonl" if data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") else "csv"


def _decoded(data: bytes, name: str) -> str:
    """Return the text of a file. Raises DataError that names the line of bytes that are not UTF-8, and of a NUL."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        hint = "convert it, for example with iconv -f latin1 -t utf-8"
        raise DataError(f"{name}: line {line} is not UTF-8", hint=hint) from None
    if "\0" in text:
        line = text[: text.index("\0")].count("\n") + 1
        raise DataError(f"{name}: line {line} holds a NUL byte, expected UTF-8 text")
    return text


def _csv_rows(text: str, name: str, columns: Sequence[str], optional: Sequence[str], delimiter: str) -> Iterator[Row]:
    """Yield the rows of a CSV or TSV text. Raises DataError with the line."""
    if not text.strip():
        raise DataError(f"{name}: is empty, expected a header line with {_quoted(columns)}")
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    try:
        header = next(reader)
        _check_header(header, name, columns)
        places = {c: header.index(c) for c in (*columns, *optional) if c in header}
        for fields in reader:
            where = f"{name}: line {reader.line_num}"
            if not fields:
                continue
            if len(fields) != len(header):
                raise DataError(f"{where}: {len(fields)} fields, expected {len(header)} as in the header")
            yield Row(where, {c: fields[i] for c, i in places.items()}, True)
    except csv.Error as error:
        raise DataError(f"{name}: line {reader.line_num}: {error}", hint="is a quote not closed?") from None


def _check_header(header: list[str], name: str, columns: Sequence[str]) -> None:
    """Raise DataError for a column that is there twice, or not at all."""
    for column in header:
        if header.count(column) > 1:
            raise DataError(f"{name}: line 1: column '{printable(column)}' stands twice in the header")
    for column in columns:
        if column not in header:
            shown = ", ".join(f"'{printable(h)}'" for h in header[:10])
            raise DataError(f"{name}: no column '{printable(column)}' among {shown}")


def _json_rows(text: str, name: str, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a text of JSON Lines. Raises DataError with the line."""
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{name}: line {number}"
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise DataError(f"{where}: not JSON: {printable(error)}") from None
        if not isinstance(found, dict):
            raise DataError(f"{where}: expected a JSON object, got {type(found).__name__}")
        for column in columns:
            if column not in found:
                raise DataError(f"{where}: no key '{printable(column)}'")
        values = {c: found[c] for c in (*columns, *optional) if c in found}
        for column, value in values.items():
            if isinstance(value, str) and any("\ud800" <= c <= "\udfff" for c in value):
                raise DataError(f"{where}: '{column}' holds half of a surrogate pair, expected Unicode text")
        yield Row(where, values, False)


def _parquet_rows(path: str, name: str, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    """Yield the rows of a Parquet file. Raises DataError, InputError, NewerFormatError."""
    if path == "-":
        what = f"{name}: Parquet needs a file that can be read from any place"
        raise InputError(what, hint="save it to a file first")
    file = DataFile(path)
    with reading(file), open_parquet(file) as parquet:
        schema = parquet.schema_arrow
    # Raises NewerFormatError for a ledger or a selection that a newer version wrote.
    pool_metadata(schema, name)
    wanted = [*columns, *(c for c in optional if c in schema.names)]
    for column in wanted:
        require(schema, name, column)
    values = [[v for block in read_column(file, column, _BLOCK) for v in block.to_pylist()] for column in wanted]
    for number, row in enumerate(zip(*values, strict=True)):
        yield Row(f"{name}: row {number}", dict(zip(wanted, row)), False)


def _quoted(columns: Sequence[str]) -> str:
    """Column names as messages list them."""
    return " and ".join(f"'{c}'" for c in columns)
