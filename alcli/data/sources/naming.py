"""The ids of rows that have none of their own, from a file beside them."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pyarrow as pa

from alcli.data.sources.base import Asked, head_of, opened
from alcli.data.sources.windows import Beside, Reader
from alcli.data.text.contents import encoding_of
from alcli.errors import DataError, UsageError, counted, printable, suggestion

_LINES = frozenset({"", ".txt", ".text", ".ids", ".list", ".lst"})
_COLUMN = "id"


class LinesReader:
    """A text file with one id a line, in UTF-8 or, with a byte order mark, UTF-16. Opening reads the file once."""

    schema = pa.schema([(_COLUMN, pa.string())])

    def __init__(self, path: Path) -> None:
        self.files = [path]
        self._shown = printable(path)
        self._encoding = encoding_of(head_of(path), self._shown)
        # Blank lines at the end are no ids.
        self.n = max((number for number, line in enumerate(self._lines(), 1) if line), default=0)

    def windows(self, names: list[str], rows: int, start: int) -> Iterator[pa.Table]:
        """Yield tables of `rows` rows with the columns `names`, from window number `start` on."""
        gathered: list[str] = []
        for number, line in enumerate(self._lines()):
            if number >= self.n:
                break
            if number >= rows * start:
                gathered.append(line)
            if len(gathered) == rows:
                yield pa.table({_COLUMN: gathered}, schema=self.schema)
                gathered = []
        if gathered:
            yield pa.table({_COLUMN: gathered}, schema=self.schema)

    def place(self, row: int) -> str:
        """Name the file and the line, for messages."""
        return f"{self._shown}: line {row + 1}"

    def _lines(self) -> Iterator[str]:
        """Yield the lines without their ends. Raises DataError for bytes that are no text."""
        number = 0
        with opened(self.files[0]) as file:
            try:
                for line in io.TextIOWrapper(file, encoding=self._encoding):
                    number += 1
                    yield line.removesuffix("\n")
            except UnicodeDecodeError as error:
                what = f"{self._shown}: after line {number}: the text is not {error.encoding.upper()}"
                raise DataError(what, hint="convert the file to UTF-8") from error


def with_ids(
    reader: Reader, asked: Asked, source: str, open_table: Callable[[Path, Asked], tuple[Reader, Asked]]
) -> tuple[Reader, Asked]:
    """Return a reader with the columns of the file of ids beside those of `reader`, and `asked` with their id column.

    source: the inputs, for messages. open_table: opens any file but lists of lines. Raises UsageError for a source
    that has ids, InputError, and DataError where the file has another number of rows or no such column.
    """
    assert asked.ids is not None
    if asked.id is not None:
        what = "--ids and --id-col exclude each other"
        raise UsageError(what, hint=f"the column of a file of ids is named as --ids {printable(asked.ids)}:COLUMN")
    path, column = _path_and_column(asked.ids)
    if path.suffix.lower() in _LINES and not path.is_dir():
        if column is not None:
            what = f"--ids {printable(asked.ids)}: a text file has one id a line, and no columns"
            raise UsageError(what, hint="give its name alone; tables end in .csv, .tsv, .jsonl, .parquet or .arrow")
        names: Reader = LinesReader(path)
        column = _COLUMN
    else:
        names, _ = open_table(path, Asked(input=column, hive=asked.hive))
        column = column or _only_column(names.schema, printable(path))
        if column not in names.schema.names:
            hint = suggestion(column, names.schema.names[:10])
            listed = ", ".join(f"'{printable(name)}'" for name in names.schema.names[:10])
            raise DataError(f"{printable(path)}: there is no column '{printable(column)}' among {listed}", hint=hint)
    if names.n != reader.n:
        what = f"{printable(path)}: holds {counted(names.n, 'id')}, {source} has {counted(reader.n, 'row')}"
        headed = names.n == reader.n - 1 and path.suffix.lower() in (".csv", ".tsv", ".tab")
        hint = "its first line was read as the names of columns; put names above it" if headed else ""
        raise DataError(what, hint=hint or "the file must hold an id for each row, in the order of the rows")
    for name in names.schema.names:
        if name in reader.schema.names:
            what = f"{source} and {printable(path)} both have a column '{printable(name)}'"
            raise DataError(what, hint="use --id-col instead" if name == column else "leave it out of one of them")
    return Beside(reader, names), replace(asked, id=column)


def _path_and_column(given: str) -> tuple[Path, str | None]:
    """Split FILE:COLUMN; a file whose name has a colon is taken as it is."""
    file, colon, column = given.rpartition(":")
    if colon and file and column and not Path(given).exists() and Path(file).exists():
        return Path(file), column
    return Path(given), None


def _only_column(schema: pa.Schema, name: str) -> str:
    """The column of ids where the user named none: `id`, or the only column. Raises DataError."""
    if _COLUMN in schema.names or len(schema.names) == 1:
        return _COLUMN if _COLUMN in schema.names else str(schema.names[0])
    listed = ", ".join(f"'{printable(n)}'" for n in schema.names[:10])
    hint = f"name the column of ids as --ids {name}:COLUMN"
    raise DataError(f"{name}: no column 'id' among {listed}", hint=hint)
