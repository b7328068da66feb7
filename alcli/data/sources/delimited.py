"""CSV, TSV and their kin: every column is text, exactly as it is written; no type is inferred."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from alcli.data.sources.base import Asked, head_of, opened
from alcli.data.sources.columns import is_usual
from alcli.data.text.contents import encoding_of
from alcli.data.text.dialect import Dialect, dialect_of, header, settled
from alcli.errors import DataError, printable
from alcli.remarks import Note, silence


class DelimitedReader:
    """A file with a header line, in UTF-8 or, with a byte order mark, in UTF-16 (CRLF is fine).

    usual: the delimiter that its name tells; another one counts where it alone splits the header, or gives columns of
    usual or asked names. note: told of a header that may be a row. Cost: opening reads the file once, to count and
    check the rows, and a table with tabs and quotes three times.
    """

    def __init__(self, path: Path, usual: str, asked: Asked = Asked(), note: Note = silence) -> None:
        self.files = [path]
        self._shown = printable(path)
        self._encoding = encoding_of(head_of(path), self._shown)
        named = {asked.input, asked.id, asked.label, *asked.keep}
        self._dialect = self._found(usual, named)
        rows = self._rows()
        names = next(rows, None)
        if names is None:
            raise DataError(f"{self._shown}: the file is empty", hint="expected a header line with column names")
        self.schema = pa.schema([(name, pa.string()) for name in names])
        self.n = sum(1 for _ in rows)
        if not any(name in named or is_usual(name) for name in names):
            shown = ", ".join(f"'{printable(name)[:40]}'" for name in names[:5])
            note(f"{self._shown}: line 1 is read as the names of columns ({shown}): if it is a row, put names above it")

    def windows(self, names: list[str], rows: int, start: int) -> Iterator[pa.Table]:
        """Yield tables of `rows` rows with the columns `names`, from window number `start` on."""
        wanted = [self.schema.names.index(n) for n in names]
        schema = pa.schema([self.schema.field(i) for i in wanted])
        gathered: list[list[str]] = []
        skip = rows * start
        for number, row in enumerate(self._rows(), -1):
            if number >= skip:
                gathered.append(row)
            if len(gathered) == rows:
                yield pa.table([[r[i] for r in gathered] for i in wanted], schema=schema)
                gathered = []
        if gathered:
            yield pa.table([[r[i] for r in gathered] for i in wanted], schema=schema)

    def place(self, row: int) -> str:
        """Name the file and the row, for messages."""
        return f"{self._shown}: row {row}"

    def _found(self, usual: str, named: set[str | None]) -> Dialect:
        """Return the dialect of the file. named: columns that the user named. Raises DataError."""
        first = next(self._lines(), "")
        dialect = dialect_of(first, usual, lambda ns: len(ns) > 1 and any(n in named or is_usual(n) for n in ns))
        if not dialect.skipped and len(header(first, dialect.delimiter)) == 1:
            dialect = dialect_of(first, usual, lambda names: len(names) > 1)
        return settled(dialect, self._lines, self._shown)

    def _lines(self) -> Iterator[str]:
        """Yield the lines. Raises DataError for bytes that are no text."""
        number = 0
        with opened(self.files[0]) as file:
            try:
                for line in io.TextIOWrapper(file, encoding=self._encoding, newline=""):
                    number += 1
                    yield line
            except UnicodeDecodeError as error:
                what = f"the text is not {error.encoding.upper()} (byte 0x{error.object[error.start]:02x})"
                where = f"{self._shown}: after line {number}"
                raise DataError(f"{where}: {what}", hint="convert the file to UTF-8") from error

    def _rows(self) -> Iterator[list[str]]:
        """Yield the header and then the rows. Raises DataError for a row that is not as long as the header."""
        width = None
        reader = self._dialect.reader(self._lines())
        try:
            for row in reader:
                # A blank line is no row, except in a file of one column, where it is an empty value.
                if not row and width != 1:
                    continue
                row = row or [""]
                width = width or len(row)
                if len(row) != width:
                    what = f"expected {width} fields as in the header, got {len(row)}"
                    raise DataError(f"{self._shown}: line {reader.line_num + self._dialect.skipped}: {what}")
                yield row
        except csv.Error as error:
            where = f"{self._shown}: line {reader.line_num + self._dialect.skipped}"
            raise DataError(f"{where}: {error}", hint="is a quote left open?") from error
