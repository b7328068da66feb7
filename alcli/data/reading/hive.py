"""`key=value` folders, in the spelling of Hive: columns whose values are in the names of folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import PurePosixPath
from urllib.parse import unquote_to_bytes

from alcli.data.reading.files import DataFile
from alcli.errors import DataError, printable

_NULL = "__HIVE_DEFAULT_PARTITION__"


def keys(path: str) -> list[str]:
    """The keys that the folders of a path name; for messages, so never an error."""
    return [part.split("=", 1)[0] for part in _pairs(path)]


def values(file: DataFile) -> dict[str, str | None]:
    """The values that the folders of its path, as it was typed, give to columns: strings, or None for null.

    Raises DataError for two values of one key, and for bytes that are not UTF-8.
    """
    found: dict[str, str | None] = {}
    for part in _pairs(file.path):
        key, text = (_plain(half, file, part) for half in part.split("=", 1))
        value = None if text == _NULL else text
        if found.setdefault(key, value) != value:
            raise DataError(f"{file.name}: its folders give two values for '{printable(key)}', expected one")
    return found


def note(files: Iterable[DataFile], columns: Iterable[str]) -> list[str]:
    """A word about folders that would be one of `columns` if the user had said so."""
    named = {key for file in files for key in keys(file.path)}
    meant = sorted(named.intersection(columns))
    if not meant:
        return []
    return [f"folders named {' and '.join(f'{printable(key)}=...' for key in meant)} are not read as columns; --hive does that"]


def _pairs(path: str) -> list[str]:
    return [part for part in PurePosixPath(path).parts[:-1] if part.find("=") > 0]


def _plain(text: str, file: DataFile, folder: str) -> str:
    """Without percent escapes."""
    try:
        return unquote_to_bytes(os.fsencode(text)).decode()
    except UnicodeDecodeError:
        raise DataError(f"{file.name}: the folder '{printable(folder)}' is not UTF-8, so it cannot be a value", hint="rename it, or leave --hive out") from None
