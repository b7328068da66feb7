"""Write a table as an Excel workbook (.xlsx), by openpyxl.

Texts are cells of text, whatever they look like: `=1+1`, `-5` and `007` come back as they were written. Integers beyond
15 digits, which Excel would round, are text too. The same table gives the same bytes.
"""

from __future__ import annotations

import datetime
import importlib.util
import io
import re
import zipfile
from collections.abc import Mapping
from typing import Any

from alcli.errors import DataError, UnavailableError, printable
from alcli.requirements import install_hint

# The limits of a sheet.
_MOST_ROWS, _MOST_TEXT = 1 << 20, 32767
_EXACT = 10**15
_TEXT = "@"
# The time of every entry of the archive; the earliest that one can have.
_TIME = (1980, 1, 1, 0, 0, 0)
_CREATED = datetime.datetime(*_TIME)
_CLOCK = re.compile(rb"(<dcterms:(created|modified)[^>]*>)[^<]*")


def check_writable() -> None:
    """Raise UnavailableError where openpyxl is not installed."""
    if importlib.util.find_spec("openpyxl") is None:
        what = "writing an Excel workbook needs openpyxl"
        raise UnavailableError(what, hint=f"{install_hint('openpyxl')}, or write CSV")


def workbook(table: Mapping[str, list[Any]], title: str) -> bytes:
    """Return a workbook with one sheet: a header, and a row for each item; a null is an empty cell.

    Raises DataError for a text that no cell holds and for too many rows, UnavailableError without openpyxl. Memory:
    the cells of the table as text.
    """
    check_writable()
    import openpyxl
    from openpyxl.cell import WriteOnlyCell

    n = max((len(column) for column in table.values()), default=0)
    if n >= _MOST_ROWS:
        raise DataError(f"a sheet of Excel holds {_MOST_ROWS - 1} rows below its header, not {n}", hint="write CSV")
    # A sheet that is begun must be ended, so a text that no cell holds is refused before.
    rows = [[_checked(value, 1) for value in table]]
    rows += [[_checked(value, number) for value in values] for number, values in enumerate(zip(*table.values()), 2)]
    book = openpyxl.Workbook(write_only=True)
    sheet = book.create_sheet(title)

    def cell(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        found = WriteOnlyCell(sheet, value=value)
        # openpyxl takes a text that begins with = for a formula.
        found.data_type, found.number_format = "s", _TEXT
        return found

    for row in rows:
        sheet.append([cell(value) for value in row])
    out = io.BytesIO()
    book.save(out)
    return _same_bytes(out.getvalue())


def _checked(value: Any, row: int) -> Any:
    """The value as a cell takes it: a text, a number, a boolean or None. Raises DataError where no cell can hold it."""
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE

    if value is None or isinstance(value, (bool, float)) or (isinstance(value, int) and abs(value) < _EXACT):
        return value
    text, where, hint = str(value), f"row {row} of the sheet", "write CSV or JSON Lines"
    if len(text) > _MOST_TEXT:
        raise DataError(f"{where}: a text of {len(text)} characters, a cell holds {_MOST_TEXT}", hint=hint)
    if ILLEGAL_CHARACTERS_RE.search(text) or any("\ud800" <= c <= "\udfff" for c in text):
        what = f"{where}: the text '{printable(text[:40])}' holds a character that no cell can hold"
        raise DataError(what, hint=hint)
    return text


def _same_bytes(data: bytes) -> bytes:
    """Return the workbook without the time at which it was written."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as archive, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as again:
        for entry in archive.infolist():
            content = archive.read(entry)
            if entry.filename == "docProps/core.xml":
                content = _CLOCK.sub(rb"\g<1>" + _CREATED.isoformat().encode() + b"Z", content)
            again.writestr(zipfile.ZipInfo(entry.filename, _TIME), content, zipfile.ZIP_DEFLATED)
    return out.getvalue()
