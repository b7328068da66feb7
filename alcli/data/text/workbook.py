"""Rows of an Excel workbook (.xlsx), by openpyxl.

Cells are read as text, as in a CSV that the workbook would be saved as: 12.0 is 12, and a date is 2026-01-31. Formulas
have the value that was last computed.
"""

from __future__ import annotations

import datetime
import io
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from alcli.data.text.rows import Row, Wanted
from alcli.errors import AlcliError, DataError, MemoryLimitError, UnavailableError, printable
from alcli.parsing import repeated
from alcli.requirements import install_hint

# A workbook that unpacks to more is likely a bomb.
_MOST_BYTES = 1 << 30


def is_workbook(data: bytes) -> bool:
    """True for the bytes of an .xlsx file, which is a zip archive."""
    if not data.startswith(b"PK\x03\x04"):
        return False
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return "xl/workbook.xml" in archive.namelist()
    except zipfile.BadZipFile:
        return False


def workbook_rows(data: bytes, name: str, wanted: Wanted) -> Iterator[Row]:
    """Yield the rows of the first sheet that has the wanted columns in its first row.

    name: of the file, for messages. Raises DataError with sheet and row, MemoryLimitError beyond 1 GiB of XML,
    UnavailableError without openpyxl.
    """
    with _reading(name):
        sheets, headers = _sheets(data, name)
        chosen = next((i for i, names in enumerate(headers) if wanted.fit(names)), 0)
        yield from _rows(sheets[chosen], headers[chosen], f"{name}: sheet '{printable(sheets[chosen].title)}'", wanted)


def workbook_columns(data: bytes, name: str) -> list[str]:
    """The names in the first row of the first sheet. Raises what `workbook_rows` does."""
    with _reading(name):
        return [column for column in _sheets(data, name)[1][0] if column]


def _sheets(data: bytes, name: str) -> tuple[list[Any], list[list[str]]]:
    """The sheets of a workbook, and the texts in the first row of each."""
    try:
        import openpyxl
    except ImportError as error:
        what = f"{name}: reading an Excel workbook needs openpyxl"
        raise UnavailableError(what, hint=f"{install_hint('openpyxl')}, or save it as CSV") from error
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        if sum(entry.file_size for entry in archive.infolist()) > _MOST_BYTES:
            raise MemoryLimitError(f"{name}: unpacks to more than 1 GiB", hint="save the sheet as CSV")
    sheets = openpyxl.load_workbook(io.BytesIO(data), read_only=True, data_only=True, keep_links=False).worksheets
    if not sheets:
        raise DataError(f"{name}: a workbook without a sheet")
    return sheets, [_texts(next(sheet.iter_rows(values_only=True), ())) for sheet in sheets]


@contextmanager
def _reading(name: str) -> Iterator[None]:
    """Turn the failures of the parsers of zip and XML, which have exceptions of their own, into a DataError."""
    try:
        yield
    except AlcliError:
        raise
    except Exception as error:
        raise DataError(f"{name}: cannot be read as an Excel workbook ({printable(error)})") from error


def _rows(sheet: Any, names: list[str], where: str, wanted: Wanted) -> Iterator[Row]:
    """Yield the rows below the header of one sheet."""
    for column in repeated(n for n in names if n):
        raise DataError(f"{where}: column '{printable(column)}' stands twice in the header")
    places = {c: names.index(there) for c, there in wanted.places(names, where).items()}
    for number, cells in enumerate(sheet.iter_rows(min_row=2, values_only=True), 2):
        texts = _texts(cells)
        if not any(texts):
            continue
        place = f"{where}: row {number}"
        values = {c: texts[i] if i < len(texts) else "" for c, i in places.items()}
        if wanted.export is not None and "id" in values:
            wanted.export.check(values["id"], names, place)
        yield Row(place, values, True)


def _texts(cells: Any) -> list[str]:
    """The cells of a row as the texts of a CSV."""
    return [_text(cell) for cell in cells]


def _text(cell: Any) -> str:
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return str(cell).lower()
    if isinstance(cell, float) and cell.is_integer():
        return str(int(cell))
    if isinstance(cell, datetime.datetime) and cell.time() == datetime.time():
        return cell.date().isoformat()
    if isinstance(cell, (datetime.date, datetime.time)):
        return cell.isoformat()
    return str(cell)
