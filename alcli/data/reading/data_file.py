"""One file of a pool, and the checks and refusals that every reader of files shares."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from typing import Any

from alcli.data.reading.os_errors import PROCESS_LIMITS, reason
from alcli.errors import InputError, printable

SUFFIXES = (".parquet", ".pq")
EXPECTED = "expected files that end in .parquet"


@dataclass(frozen=True)
class DataFile:
    """One file. filesystem: a pyarrow filesystem, None for local paths."""

    path: str
    filesystem: Any = None

    @property
    def name(self) -> str:
        """The path as messages show it, without the secrets of a URI."""
        return shown(self.path)

    def open(self) -> Any:
        """Open the file for pyarrow, which reads and seeks in it. Raises InputError."""
        import pyarrow as pa

        try:
            if self.filesystem is not None:
                return self.filesystem.open_input_file(self.path)
            try:
                self.path.encode("utf-8")
            except UnicodeEncodeError:
                # pyarrow takes paths in UTF-8 alone; Python opens a path of any bytes.
                return open(self.path, "rb")
            return pa.OSFile(self.path)
        except OSError as error:
            raise refusal(self.name, "cannot open", error) from error

    def stamp(self) -> tuple[int, int, int] | None:
        """Return (inode, size, mtime in ns) of a local file, None of any other.

        Two stamps that differ show that the file was changed while it was read. Raises InputError when the file is
        gone.
        """
        if self.filesystem is not None:
            return None
        try:
            found = os.stat(self.path)
        except OSError as error:
            raise refusal(self.name, "cannot open", error) from error
        return found.st_ino, found.st_size, found.st_mtime_ns


def shown(spec: str) -> str:
    """Return a path or URI in a form fit for messages: printable, without secrets.

    A URI can hold a name and a password before an @, and a signature after a question mark. A password may itself
    hold @ and /, so everything up to the last @ goes where a colon stands before the first one.
    """
    scheme, mark, rest = spec.partition("://")
    if not mark:
        return printable(spec)
    rest, question, _ = rest.partition("?")
    host = rest.partition("/")[0]
    if re.match(r"[^@]*:(?!\d*(/|$))[^@]*@", rest):
        rest = f"...@{rest.rpartition('@')[2]}"
    elif "@" in host:
        rest = f"...@{host.rpartition('@')[2]}{rest[len(host) :]}"
    return printable(f"{scheme}://{rest}{'?...' if question else ''}")


def without_secrets(text: str, spec: str) -> str:
    """Return what a library says of the URI `spec`, without the parts of the URI that `shown` leaves out."""
    rest, _, query = spec.partition("://")[2].partition("?")
    user = rest.rpartition("@")[0] if shown(spec) != printable(spec) else ""
    for secret in (user, *re.split(r"[:@/]", user), query):
        # Shorter pieces are no secret, and stand in words that are none.
        if len(secret) > 2:
            text = text.replace(secret, "...")
    return text


def refusal(name: str, what: str, error: OSError) -> InputError:
    """Return the InputError that an input cannot be read, for the caller to raise.

    Raises `error` itself where another file would fare no better: too many files are open, or memory is used up.
    """
    if error.errno in PROCESS_LIMITS:
        raise error
    return InputError(f"{name}: {what}: {reason(error)}")


def check_readable(path: str) -> None:
    """Raise InputError unless `path` is a regular file that can be opened; a FIFO or device would block for good."""
    name = printable(path)
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        what = "a link to a file that is not there" if os.path.islink(path) else "no such file"
        raise InputError(f"{name}: {what}") from None
    except OSError as error:
        raise refusal(name, "cannot open", error) from error
    except ValueError:
        # The path holds a NUL, which a command line cannot hold but a URI can.
        raise InputError(f"{name}: no file can have this name") from None
    if stat.S_ISDIR(mode):
        raise InputError(f"{name}: is a directory, expected a file")
    if not stat.S_ISREG(mode):
        hint = "a pipe or device cannot be read twice; save it to a file first"
        raise InputError(f"{name}: not a regular file", hint=hint)
    try:
        with open(path, "rb"):
            pass
    except OSError as error:
        raise refusal(name, "cannot open", error) from error
