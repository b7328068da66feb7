"""The journal of a ledger: what streams gave out since the ledger was written, one JSON object a line.

A stream enters every item before it is shown. To write the whole ledger for one item would cost as much as the ledger
is long; a line of the journal costs one write and one fsync. The journal is `.NAME.alcli-journal` beside the ledger.
Whoever reads the ledger reads it too; whoever writes the ledger writes the entries into it and removes the journal. The
last line of a writer that was killed may be cut off: then nobody saw its item, and it does not count.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from alcli.data.reading.data_file import refusal
from alcli.data.reading.os_errors import reason
from alcli.data.writing.atomic import sync_folder
from alcli.data.writing.creatable import mode_for
from alcli.errors import DataError, OutputError, printable

_OPEN = os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK


def journal_path(ledger: Path) -> Path:
    """The path of the journal of a ledger."""
    real = Path(os.path.realpath(ledger))
    return real.parent / f".{real.name}.alcli-journal"


def journal_entries(ledger: Path, start: int = 0) -> list[dict[str, Any]]:
    """The entries of a journal from byte `start` on; none where there is no journal.

    Raises DataError for a line that is no entry; InputError where the journal cannot be read.
    """
    path = journal_path(ledger)
    lines = _read(path, start).split(b"\n")
    found = []
    for number, line in enumerate(lines[:-1], 1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict) or type(entry.get("id")) not in (int, str):
                raise ValueError("no id")
        except (ValueError, RecursionError):
            place = f"line {number}" + (f" after byte {start}" if start else "")
            what = f"{printable(path)}: {place}: expected a JSON object with an id"
            raise DataError(what, hint="mend the line; if the file is removed, its items are given out again") from None
        found.append(entry)
    return found


def append_to_journal(ledger: Path, entry: Mapping[str, Any]) -> None:
    """Append an entry, on disk when this returns. The caller holds the lock of the ledger. Raises OutputError."""
    path = journal_path(ledger)
    line = json.dumps(dict(entry)).encode() + b"\n"
    is_new = not path.exists()
    try:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | _OPEN, mode_for(ledger) | 0o600)
        try:
            end = _end(handle)
            try:
                _write(handle, line, end)
                os.fsync(handle)
            except BaseException:
                # Half a line stays half a line, also if this fails.
                with suppress(OSError):
                    os.ftruncate(handle, end)
                raise
        finally:
            os.close(handle)
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        what = f"{printable(path)}: cannot write: {reason(error)}"
        raise OutputError(what, hint="the item was not given out") from error


def journal_size(ledger: Path) -> int:
    """Bytes of a journal; 0 where there is none."""
    with suppress(OSError):
        return journal_path(ledger).lstat().st_size
    return 0


def remove_journal(ledger: Path) -> None:
    """Remove the journal of a ledger that has its entries. Where that fails, readers leave out what the ledger has."""
    with suppress(OSError):
        journal_path(ledger).unlink()


def _read(path: Path, start: int) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | _OPEN)
    except FileNotFoundError:
        return b""
    except OSError as error:
        raise refusal(printable(path), "cannot read", error) from error
    with open(handle, "rb") as file:
        file.seek(start)
        return file.read()


def _end(handle: int) -> int:
    """The end of the last whole line."""
    size = os.fstat(handle).st_size
    end = size
    while end:
        begin = max(end - 4096, 0)
        found = os.pread(handle, end - begin, begin).rfind(b"\n")
        if found >= 0:
            return begin + found + 1
        end = begin
    return 0


def _write(handle: int, line: bytes, at: int) -> None:
    """Write a line at a place; what a killed writer left there is cut off first."""
    os.ftruncate(handle, at)
    done = 0
    while done < len(line):
        done += os.pwrite(handle, line[done:], at + done)
