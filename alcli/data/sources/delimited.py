"""CSV and TSV: every column is text, exactly as it is written; no type is inferred."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from alcli.data.sources.base import opened
from alcli.errors import DataError, printable

_LONGEST_FIELD = 1 << 28


class DelimitedReader:
    """A UTF-8 file with a header line (a byte order mark and CRLF are fine).

    Cost: opening reads the file once, to count and check the rows.
    """

    def __init__(self, path: Path, delimiter: str) -> None:
        self.files, self._delimiter = [path], delimiter
        self._shown = printable(path)
        rows = self._rows()
        header = next(rows, None)
        if header is None:
            raise DataError(f"{self._shown}: the file is empty", hint="expected a header line with column names")
        self.schema = pa.schema([(name, pa.string()) for name in header])
        self._width = len(header)
        self.n = sum(1 for _ in rows)

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

    def _rows(self) -> Iterator[list[str]]:
        """Yield the header and then the rows. Raises DataError for a row that is not as long as the header."""
        width = None
        csv.field_size_limit(_LONGEST_FIELD)
        with opened(self.files[0]) as file:
            reader = csv.reader(
                io.TextIOWrapper(file, encoding="utf-8-sig", newline=""), delimiter=self._delimiter, strict=True
            )
            try:
                for row in reader:
                    # A blank line is no row, except in a file of one column, where it is an empty value.
                    if not row and width != 1:
                        continue
                    row = row or [""]
                    width = width or len(row)
                    if len(row) != width:
                        what = f"expected {width} fields as in the header, got {len(row)}"
                        raise DataError(f"{self._shown}: line {reader.line_num}: {what}")
                    yield row
            except UnicodeDecodeError as error:
                what = f"the text is not UTF-8 (byte 0x{error.object[error.start]:02x})"
                where = f"{self._shown}: after line {reader.line_num}"
                raise DataError(f"{where}: {what}", hint="convert the file to UTF-8") from error
            except csv.Error as error:
                where = f"{self._shown}: line {reader.line_num}"
                raise DataError(f"{where}: {error}", hint="is a quote left open?") from error
