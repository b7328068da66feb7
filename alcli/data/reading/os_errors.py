"""Errors of the operating system: the words for one, and the kinds that no other file name would help against."""

from __future__ import annotations

import errno
import os

from alcli.errors import printable

# Too many files are open, or memory is used up: a limit of the process or the machine, never the fault of one file.
PROCESS_LIMITS = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})


def reason(error: OSError) -> str:
    """Return the operating system's words for an error, without the path."""
    return os.strerror(error.errno) if error.errno else printable(error)
