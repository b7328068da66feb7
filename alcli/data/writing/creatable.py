"""Refuse an output that cannot be written before the work begins, not after it."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from alcli.data.reading.data_file import SUFFIXES
from alcli.data.reading.os_errors import PROCESS_LIMITS, reason
from alcli.errors import CannotCreateError, UsageError, printable


def check_creatable(path: Path, *, overwrite: bool = True, inputs: Iterable[str | Path] = ()) -> None:
    """Raise CannotCreateError for a target that cannot be written.

    Its folder is missing or allows no new file, a folder has its name, or it exists. overwrite: a file that exists
    may be replaced. inputs: files that the command reads, and folders whose Parquet files are a pool; UsageError when
    `path` is one of the files, or would be one of the pool's.
    """
    if is_device(path):
        return
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise CannotCreateError(f"{printable(path)}: is a directory, expected a file name")
    if not target.parent.is_dir():
        what = f"{printable(path)}: there is no folder '{printable(target.parent)}'"
        raise CannotCreateError(what, hint="create it first")
    inputs = list(inputs)
    if any(_is_same(target, other) for other in inputs):
        raise UsageError(f"{printable(path)}: is read and cannot be the output too", hint="name another file")
    for folder in (other for other in inputs if _would_belong(target, other)):
        what = f"{printable(path)}: would be read as a part of the pool {printable(folder)}"
        raise UsageError(what, hint="write it to another folder")
    if target.exists() and not overwrite:
        raise CannotCreateError(f"{printable(path)}: already exists", hint="use --force to replace it")
    _probe_folder(path, target.parent)


def is_device(path: Path) -> bool:
    """Return True when `path` is there and is neither a file nor a folder.

    Raises CannotCreateError when nobody can tell. The path itself is asked, not its real path: /dev/fd/63 may stand
    for a pipe, which has no real path.
    """
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise CannotCreateError(f"{printable(path)}: cannot create: {reason(error)}") from error
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def mode_for(target: Path) -> int:
    """The permissions of the file that is there, else the permissions that a new file gets."""
    with suppress(FileNotFoundError):
        return stat.S_IMODE(target.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def _is_same(target: Path, other: str | Path) -> bool:
    """Return True when a real path is the real path of `other`, which need not be there yet, or a hard link to it."""
    if os.path.realpath(other) == os.fspath(target):
        return True
    with suppress(OSError):
        return target.samefile(other)
    return False


def _would_belong(target: Path, folder: str | Path) -> bool:
    """Return True for a Parquet file below `folder`, unless its name or that of a folder on the way is left out."""
    root = Path(os.path.realpath(folder))
    if target.suffix not in SUFFIXES or not root.is_dir() or not target.is_relative_to(root):
        return False
    return not any(part.startswith((".", "_")) for part in target.relative_to(root).parts)


def _probe_folder(path: Path, folder: Path) -> None:
    """Raise CannotCreateError unless a file can be created in `folder`.

    Only creating one tells: a read-only mount refuses root as well, and os.access does not see it.
    """
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if error.errno in PROCESS_LIMITS:
            raise
        raise CannotCreateError(f"{printable(path)}: cannot create a file in its folder: {reason(error)}") from error
