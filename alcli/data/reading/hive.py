"""`key=value` folders, in the spelling of Hive: columns whose values are in the names of folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import unquote_to_bytes

from alcli.data.reading.data_file import DataFile
from alcli.errors import DataError, printable
from alcli.remarks import Note

_NULL = "__HIVE_DEFAULT_PARTITION__"


def keys(path: str) -> list[str]:
    """The keys that the folders of a path name. Messages use them, so no path is an error."""
    return [part.split("=", 1)[0] for part in _pairs(path)]


def values(file: DataFile) -> dict[str, str | None]:
    """The values that the folders of a file's path, as the user typed it, give to columns: strings, or None for null.

    Raises DataError for two values of one key, and for bytes that are not UTF-8.
    """
    found: dict[str, str | None] = {}
    for part in _pairs(file.path):
        key, text = (_unescaped(half, file, part) for half in part.split("=", 1))
        value = None if text == _NULL else text
        if found.setdefault(key, value) != value:
            raise DataError(f"{file.name}: its folders give two values for '{printable(key)}', expected one")
    return found


def remark_on_folders(files: Iterable[DataFile], columns: Iterable[str], note: Note) -> None:
    """Tell of folders that --hive would make one of `columns`; the user may not know that it is left out."""
    named = {key for file in files for key in keys(file.path)}
    meant = sorted(named.intersection(columns))
    if meant:
        folders = " and ".join(f"{printable(key)}=..." for key in meant)
        note(f"folders named {folders} are not read as columns; --hive does that")


def _pairs(path: str) -> list[str]:
    """The folders of a path that are named `key=value`."""
    return [part for part in PurePosixPath(path).parts[:-1] if part.find("=") > 0]


def _unescaped(text: str, file: DataFile, folder: str) -> str:
    """Replace percent escapes in `text`, one half of the name of `folder`.

    Raises DataError unless the result is UTF-8.
    """
    try:
        return unquote_to_bytes(os.fsencode(text)).decode()
    except UnicodeDecodeError:
        what = f"{file.name}: the folder '{printable(folder)}' is not UTF-8, so it cannot be a value"
        raise DataError(what, hint="rename it, or leave --hive out") from None
