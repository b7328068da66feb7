"""Failures that the user can act on, one class per kind: a sentence for the user, a hint, and an exit code.

The exit codes are those of BSD sysexits.h, but for 2, the usual code for a wrong command line. The `exit_code`
attributes are the whole table.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class AlcliError(Exception):
    """A failure that the user can act on. message: the fault and its place. hint: the next step.

    Both are one line each: whatever a file smuggles into them by its names and types, control characters are escaped.
    """

    exit_code = 70

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = printable(message)
        self.hint = printable(hint)

    def __str__(self) -> str:
        return f"{self.message}; {self.hint}" if self.hint else self.message


class AlcliWarning(UserWarning):
    """A remark that a function of the Python interface makes on its work; the command line prints the same remark."""


class UsageError(AlcliError):
    """The command line itself is wrong: an unknown name, a value out of range."""

    exit_code = 2


class DataError(AlcliError):
    """A file was read, and its content is wrong (EX_DATAERR)."""

    exit_code = 65


class InputError(AlcliError):
    """An input cannot be opened: missing, unreadable, not a file (EX_NOINPUT)."""

    exit_code = 66


class UnavailableError(AlcliError):
    """An optional library or service is not installed or cannot be reached (EX_UNAVAILABLE)."""

    exit_code = 69


class MemoryLimitError(AlcliError):
    """The work does not fit into memory (EX_OSERR)."""

    exit_code = 71


class CannotCreateError(AlcliError):
    """An output cannot be created, or exists and may not be replaced (EX_CANTCREAT)."""

    exit_code = 73


class OutputError(AlcliError):
    """Writing failed half-way: disk full, device error (EX_IOERR)."""

    exit_code = 74


class BusyError(AlcliError):
    """Another process holds the lock, or an input changed while it was read: try again (EX_TEMPFAIL)."""

    exit_code = 75


class MismatchError(AlcliError):
    """The nodes of a cluster have other versions, or do not see the same files (EX_CONFIG)."""

    exit_code = 78


class NewerFormatError(AlcliError):
    """A file was written by a newer version (EX_CONFIG)."""

    exit_code = 78


def printable(text: object) -> str:
    """Return `text` on one line with control characters escaped, so that a terminal can print it safely."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in str(text))


def counted(n: int, one: str, several: str = "") -> str:
    """Return a number with its words: `1 row is`, `2 rows are`.

    several: the plural words, by default `one` with an s.
    """
    return f"{n} {one if n == 1 else several or one + 's'}"


def suggestion(word: object, known: Iterable[str]) -> str:
    """Name the nearest known word, or all known words where none is near."""
    known = list(known)
    near = difflib.get_close_matches(str(word), known, n=1, cutoff=0.6)
    if near:
        return f"did you mean '{printable(near[0])}'?"
    return f"known: {', '.join(map(printable, known))}" if known else "there are none"
