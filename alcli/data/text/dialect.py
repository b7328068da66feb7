"""The dialect of a table in text: its delimiter, whether quotes quote, and the names in its header."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from alcli.errors import DataError

DELIMITERS = (",", ";", "\t", "|")
_LONGEST_FIELD = 1 << 28
# Excel writes a first line such as `sep=;` where the delimiter is not the one of the country.
_EXCEL = "sep="


@dataclass(frozen=True)
class Dialect:
    """The form of a table in text. skipped: lines before the header."""

    delimiter: str
    is_quoted: bool = True
    skipped: int = 0

    def reader(self, lines: Iterable[str]) -> Any:
        """Return a csv.reader of `lines`, behind the lines that are skipped; its `line_num` does not count them."""
        csv.field_size_limit(_LONGEST_FIELD)
        rest = iter(lines)
        for _ in range(self.skipped):
            next(rest, None)
        if self.is_quoted:
            return csv.reader(rest, delimiter=self.delimiter, strict=True)
        return csv.reader(rest, delimiter=self.delimiter, quoting=csv.QUOTE_NONE, strict=True)


def dialect_of(first: str, usual: str, fits: Callable[[list[str]], bool]) -> Dialect:
    """Return the dialect of a table by its `first` line.

    usual: the delimiter that its name tells. fits: True for a header as it is expected; of the delimiters that give
    one, the usual one comes first. Without any, the delimiter is the usual one.
    """
    line = first.rstrip("\r\n")
    if line.lower().startswith(_EXCEL) and line[len(_EXCEL) :] in DELIMITERS:
        return Dialect(line[len(_EXCEL) :], skipped=1)
    candidates = (usual, *(d for d in DELIMITERS if d != usual))
    return Dialect(next((d for d in candidates if fits(header(line, d))), usual))


def header(line: str, delimiter: str) -> list[str]:
    """Return the names in a line."""
    try:
        return next(Dialect(delimiter).reader([line]), [])
    except csv.Error:
        return line.split(delimiter)


def near(names: Iterable[str], wanted: str) -> str | None:
    """Return the name that is `wanted`, or else the only one that differs by capitals and spaces; None without one."""
    names = list(names)
    if wanted in names:
        return wanted
    found = [name for name in names if name.strip().lower() == wanted]
    return found[0] if len(found) == 1 else None


def settled(dialect: Dialect, lines: Callable[[], Iterable[str]], name: str) -> Dialect:
    """Return the dialect in which all rows are as long as the header, as to quotes in tables with tabs.

    In such tables quotes are often plain characters. lines: the lines of the table, each time anew. name: of the
    file, for messages. Raises DataError where both readings fit and give different rows. Cost: a look for a quote,
    and where there is one, two passes.
    """
    if dialect.delimiter != "\t" or not any('"' in line for line in lines()):
        return dialect
    plain = replace(dialect, is_quoted=False)
    with_quotes, line = _rows(dialect, lines())
    without, _ = _rows(plain, lines())
    if without is None or without == with_quotes:
        return dialect
    if with_quotes is None:
        return plain
    what = f"{name}: line {line}: a quote opens here and closes in a later line"
    counts = f"so there are {with_quotes - 1} rows, or {without - 1} if quotes are plain characters"
    hint = 'write " as "" inside quoted fields, or save the table as CSV'
    raise DataError(f"{what}, {counts}", hint=hint)


def _rows(dialect: Dialect, lines: Iterable[str]) -> tuple[int | None, int]:
    """Return the number of rows, None where one is not as long as the header, and the first line of the first row
    that has several lines.
    """
    reader = dialect.reader(lines)
    width = n = first = before = 0
    try:
        for row in _filled(reader):
            width = width or len(row)
            if len(row) != width:
                return None, first
            if not first and any("\n" in field for field in row):
                first = before + 1 + dialect.skipped
            before = reader.line_num
            n += 1
    except csv.Error:
        return None, first
    return n, first


def _filled(reader: Iterable[list[str]]) -> Iterator[list[str]]:
    return (row for row in reader if row)
