"""The bytes of a head file and its JSON header, whose form and format are checked before anything else is read."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import Any

from alcli import __version__
from alcli.data.reading.data_file import check_readable
from alcli.data.reading.os_errors import reason
from alcli.errors import AlcliError, DataError, InputError, NewerFormatError, printable
from alcli.parsing import repeated

# 2: a head can have a second model that predicts, a prior mean, and names of classes.
HEAD_FORMAT = 2
# Bytes of the JSON header; a longer one is not read.
MAX_HEADER = 64 << 20
# Columns whose names a head remembers where they are not the usual ones.
COLUMNS = ("features", "id", "label", "group")


def contents_of(path: Path) -> bytes:
    """Read the whole file. Raises InputError."""
    check_readable(str(path))
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot read: {reason(error)}") from error


def header_of(data: bytes, shown: str) -> dict[str, Any]:
    """Return the JSON of the metadata key `alcli`. Raises DataError for another file, and NewerFormatError.

    A key that is there twice is refused; safetensors would accept it, and another program might read the other value.
    """
    not_a_head = DataError(
        f"{shown}: not an alcli head", hint="expected a .safetensors file written by 'alcli fit-head'"
    )
    if len(data) < 8:
        raise not_a_head
    (length,) = struct.unpack("<Q", data[:8])
    if length > min(MAX_HEADER, len(data) - 8):
        raise not_a_head
    try:
        header = json.loads(data[8 : 8 + length].decode("utf-8"), object_pairs_hook=_no_duplicates)
        about = json.loads(header["__metadata__"]["alcli"], object_pairs_hook=_no_duplicates)
        format = int(about["format"])
        writer = printable(about.get("versions", {}).get("alcli", "a newer version"))
    except _DuplicateKeyError as error:
        raise DataError(
            f"{shown}: the key '{printable(error)}' stands twice in its header, the file is damaged"
        ) from None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError, OverflowError):
        raise not_a_head from None
    if format > HEAD_FORMAT:
        what = f"{shown}: written in head format {format} by alcli {writer}"
        reads = f"this is alcli {__version__} and reads up to {HEAD_FORMAT}"
        raise NewerFormatError(f"{what}, {reads}", hint="upgrade alcli")
    return about


def remembered_columns(path: Path) -> dict[str, str]:
    """Return the names of columns of the pool that a head was fitted on, by the usual name.

    Empty where the head does not say, and where it cannot be read: reading it as a whole says why. Cost: the header.
    """
    try:
        check_readable(str(path))
        with open(path, "rb") as file:
            start = file.read(8)
            length = struct.unpack("<Q", start)[0] if len(start) == 8 else MAX_HEADER + 1
            about = header_of(start + file.read(length), printable(path)) if length <= MAX_HEADER else {}
        found = about["provenance"]["columns"]
        return {name: found[name] for name in COLUMNS if isinstance(found.get(name), str) and found[name]}
    except (OSError, AlcliError, KeyError, TypeError, AttributeError):
        return {}


class _DuplicateKeyError(ValueError):
    """A JSON object has the same key twice."""


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the pairs of a JSON object as a dictionary. Raises _DuplicateKeyError."""
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _DuplicateKeyError(repeated(k for k, _ in pairs)[0])
    return found
