"""Small files of rows from people and other tools: CSV, TSV, JSON Lines, Parquet, standard input. Values come as they are written.

CSV is text and stays text: `007`, `NA` and `true` are not guessed to be a number, a gap or a boolean.
"""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alcli.data.files import check_readable, reason
from alcli.errors import DataError, InputError, UsageError, printable


@dataclass(frozen=True)
class Row:
    """One row: where it stands (for messages), its values by column, and whether they are text that stands for a typed value."""

    where: str
    values: dict[str, Any]
    from_text: bool


def read_rows(path: str, columns: Sequence[str], *, optional: Sequence[str] = ()) -> Iterator[Row]:
    """The rows of a file ("-": standard input) reduced to `columns` and, where present, `optional` ones.

    The kind follows the extension, else the content. Raises InputError, DataError with the line, UsageError for "-" on a terminal.
    """
    name = "standard input" if path == "-" else printable(path)
    data = _standard_input() if path == "-" else _contents(path)
    kind = _kind(path, data)
    if kind == "parquet":
        return _parquet_rows(path, name, columns, optional)
    text = _decoded(data, name)
    if path == "-" and text and not text.endswith("\n"):
        raise DataError(f"{name}: ends in the middle of line {text.count(chr(10)) + 1}, nothing was applied", hint="its producer stopped early")
    if kind == "jsonl":
        return _json_rows(text, name, columns, optional)
    return _csv_rows(text, name, columns, optional, "\t" if path.endswith(".tsv") else ",")


def read_ids(path: str, id_column: str = "id") -> Iterator[Row]:
    """Ids of a file: its column `id`; a text file without such a column is one id per line."""
    if not path.endswith((".csv", ".tsv", ".jsonl", ".ndjson", ".parquet", ".pq")):
        data = _standard_input() if path == "-" else _contents(path)
        name = "standard input" if path == "-" else printable(path)
        if not data.startswith(b"PAR1") and not data.lstrip().startswith(b"{"):
            lines = _decoded(data, name).splitlines()
            if lines and id_column in next(csv.reader(lines[:1])) and path != "-":
                return read_rows(path, [id_column])
            return (Row(f"{name}: line {i}", {id_column: line}, True) for i, line in enumerate(lines, 1) if line.strip())
    return read_rows(path, [id_column])


def _standard_input() -> bytes:
    if sys.stdin is None or sys.stdin.closed:
        raise InputError("standard input: is closed")
    if sys.stdin.isatty():
        raise UsageError("'-' reads standard input, which is a terminal", hint="pipe or redirect a file into it")
    return sys.stdin.buffer.read()


def _contents(path: str) -> bytes:
    check_readable(path)
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot read: {reason(error)}") from error


def _kind(path: str, data: bytes) -> str:
    if path.endswith((".parquet", ".pq")) or data[:4] == b"PAR1":
        return "parquet"
    if path.endswith((".jsonl", ".ndjson", ".json")):
        return "jsonl"
    if path.endswith((".csv", ".tsv")):
        return "csv"
    return "jsonl" if data.lstrip(b"\xef\xbb\xbf \r\n\t").startswith(b"{") else "csv"


def _decoded(data: bytes, name: str) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError(f"{name}: line {line} is not UTF-8", hint="convert it, for example with iconv -f latin1 -t utf-8") from None
    if "\0" in text:
        raise DataError(f"{name}: line {text[: text.index(chr(0))].count(chr(10)) + 1} holds a NUL byte, expected UTF-8 text")
    return text


def _csv_rows(text: str, name: str, columns: Sequence[str], optional: Sequence[str], delimiter: str) -> Iterator[Row]:
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
    for column in header:
        if header.count(column) > 1:
            raise DataError(f"{name}: line 1: column '{printable(column)}' stands twice in the header")
    _check_columns(header, name, columns)


def _check_columns(have: Sequence[str], name: str, columns: Sequence[str]) -> None:
    for column in columns:
        if column not in have:
            shown = ", ".join(f"'{printable(h)}'" for h in have[:10])
            raise DataError(f"{name}: no column '{printable(column)}' among {shown}")


def _json_rows(text: str, name: str, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        where = f"{name}: line {number}"
        try:
            found = json.loads(line)
        except ValueError as error:
            raise DataError(f"{where}: not JSON: {error}") from None
        if not isinstance(found, dict):
            raise DataError(f"{where}: expected a JSON object, got {type(found).__name__}")
        for column in columns:
            if column not in found:
                raise DataError(f"{where}: no key '{printable(column)}'")
        yield Row(where, {c: found[c] for c in (*columns, *optional) if c in found}, False)


def _parquet_rows(path: str, name: str, columns: Sequence[str], optional: Sequence[str]) -> Iterator[Row]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    if path == "-":
        raise InputError(f"{name}: Parquet needs a file that can be read from any place", hint="save it to a file first")
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            _check_columns(file.schema_arrow.names, name, columns)
            wanted = [c for c in (*columns, *optional) if c in file.schema_arrow.names]
            table = file.read(columns=wanted)
    except DataError:
        raise
    except (pa.ArrowException, OSError, ValueError, IndexError, KeyError, RuntimeError) as error:
        raise DataError(f"{name}: not readable as Parquet: {printable(str(error).splitlines()[0])}") from error
    for number, values in enumerate(table.to_pylist()):
        yield Row(f"{name}: row {number}", values, False)


def _quoted(columns: Sequence[str]) -> str:
    return " and ".join(f"'{c}'" for c in columns)
