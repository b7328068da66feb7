"""The ledger of a stream: other queries and other streams may use it too while an annotator thinks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from alcli.data.formats import Table
from alcli.data.ids import Id
from alcli.data.ledger.entries import LEARNING, Ledger, last_batch, read_ledger, write_ledger
from alcli.data.ledger.journal import append_to_journal, journal_entries, journal_size
from alcli.data.ledger.owed import acknowledge, deliver
from alcli.data.reading.data_file import DataFile
from alcli.data.writing.locks import lock
from alcli.remarks import Note

# Least seconds to wait for the ledger at each item: a person is labelling, and other queries hold it briefly.
_WAIT = 10.0
# Entries up to which a ledger is written anew for an item, which every reader of Parquet sees at once.
SHORT = 5_000


class SharedLedger:
    """Enter one item at a time, each before it is shown.

    path: of the ledger. before: the ledger as the stream began; the caller leaves its items out. timeout: seconds to
    wait for the lock. note: takes remarks. Cost of an item: a line of the journal, or a short ledger written anew; a
    read of the ledger where another process has written it. Memory: the ids given out since the stream began.
    """

    def __init__(self, path: Path, before: Ledger, timeout: float, note: Note) -> None:
        self._path, self._before, self._note = path, len(before), note
        self._timeout = max(timeout, _WAIT)
        self._later: set[Id] = set()
        self._stamp: tuple[int, int, int] | None = None
        self._end = self._length = 0

    def enter(self, entry: Mapping[str, Any], *, text_ids: bool) -> bool:
        """Enter an item (`id`, `rank`, `score`, `strategy`). Return False where another process has given it out.

        text_ids: whether ids are text. Raises what reading and writing a ledger raise, and BusyError.
        """
        with lock(self._path, self._timeout):
            self._catch_up()
            if entry["id"] in self._later:
                return False
            if self._stamp is None or self._length < SHORT:
                one: Table = {name: [value] for name, value in entry.items()}
                ledger = read_ledger(self._path).and_then(one, text_ids=text_ids)
                write_ledger(self._path, ledger, last_batch(self._path) or None)
                self._stamp = DataFile(str(self._path)).stamp()
            else:
                append_to_journal(self._path, {**entry, "purpose": LEARNING})
            self._end = journal_size(self._path)
        self._later.add(entry["id"])
        self._length += 1
        return True

    def close(self) -> None:
        """Write the journal into the ledger. Raises what `enter` raises; the entries are safe in the journal then."""
        if not self._later:
            return
        with lock(self._path, self._timeout):
            if journal_size(self._path) and self._path.exists():
                write_ledger(self._path, read_ledger(self._path), last_batch(self._path) or None)

    def _catch_up(self) -> None:
        """Take in what other processes have given out since the last item."""
        stamp = DataFile(str(self._path)).stamp() if self._path.exists() else None
        if stamp is None:
            self._later, self._before, self._length = set(), 0, 0
        elif stamp != self._stamp:
            ledger = read_ledger(self._path)
            ids, self._length = ledger.ids.column, len(ledger)
            self._later |= set(ids.slice(self._before if self._before <= len(ids) else 0).to_pylist())
            if (late := deliver(self._path, ledger)) is not None:
                self._note(late.note)
                acknowledge(late.owed)
        elif journal_size(self._path) != self._end:
            more = {entry["id"] for entry in journal_entries(self._path, self._end)}
            self._later |= more
            self._length += len(more)
        self._stamp = stamp
