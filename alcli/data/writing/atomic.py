"""Outputs that appear whole or not at all.

The order is the one that survives a power cut (Pillai et al., All File Systems Are Not Created Equal, OSDI 2014):
write a temporary file beside the target, flush, fsync, rename over the target, fsync the folder. A temporary file is
named after its target, and its writer holds a lock on it for as long as the writer lives: the next writer removes the
files that a killed writer left behind, and nothing else.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import BinaryIO

from alcli.data.reading.os_errors import PROCESS_LIMITS, reason
from alcli.data.writing.creatable import check_creatable, is_device, mode_for
from alcli.data.writing.locks import lock_now
from alcli.errors import AlcliError, CannotCreateError, OutputError, printable

# Errors of a place where a file cannot be; every other error is one of writing.
_REFUSED = {
    *(errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR),
    *(errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EXDEV),
}
# Some network file systems answer so.
_CANNOT_SYNC_FOLDERS = {errno.EINVAL, errno.ENOTSUP}
# AT_FDCWD and RENAME_EXCHANGE of Linux.
_HERE, _EXCHANGE = -100, 2
# Seconds after which a temporary file of another name is old.
_OLD = 3600.0


@dataclass
class Draft:
    """A file that is to become `target`, and until then stands beside it under a temporary name.

    path: the target as the user wrote it.
    """

    file: BinaryIO
    path: Path
    target: Path
    temporary: Path

    def finish(self) -> None:
        """Bring the content to disk; only the rename remains to be done."""
        self.file.flush()
        os.fsync(self.file.fileno())
        # Some file systems report errors of writing here. The lock is on another handle, and stays.
        self.file.close()
        os.chmod(self.temporary, mode_for(self.target))

    def publish(self) -> None:
        """Rename the file to its target.

        Raises OutputError when it is there but a power cut may still undo the rename.
        """
        os.replace(self.temporary, self.target)
        try:
            sync_folder(self.target.parent)
        except OSError as error:
            what = f"{printable(self.path)}: was written, but its folder cannot be brought to disk: {reason(error)}"
            raise OutputError(what, hint="a power cut may undo it; run the command again") from error


@contextmanager
def drafted(path: Path, *, overwrite: bool = True) -> Iterator[Draft]:
    """Hand out a draft of a file, which the block publishes; a draft that is not published is removed at the end.

    Raises what `replacing` does.
    """
    check_creatable(path, overwrite=overwrite)
    target = Path(os.path.realpath(path))
    sweep(target)
    with reported(path), ExitStack() as left:
        handle, temporary = _locked_temporary(target, left)
        with open(os.dup(handle), "wb") as file:
            yield Draft(file, path, target, temporary)


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """Hand out a binary file that becomes `path` when the block ends without an exception.

    After an exception `path` is as it was. A symbolic link is followed: its target is replaced, in the target's
    folder. An existing file keeps its mode. A device or a FIFO is written directly. Raises CannotCreateError when the
    folder or file does not allow it, or when the file exists and `overwrite` is false; OutputError when writing fails
    (disk full, device error).
    """
    if is_device(path):
        with reported(path), open(path, "wb") as device:
            yield device
        return
    with drafted(path, overwrite=overwrite) as draft:
        yield draft.file
        draft.finish()
        draft.publish()


@contextmanager
def reported(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals in the block into sentences about `path`.

    Raises CannotCreateError, OutputError.
    """
    try:
        yield
    except AlcliError:
        raise
    except OSError as error:
        if isinstance(error, BrokenPipeError) or (error.filename is None and error.errno is None):
            raise
        if error.errno in PROCESS_LIMITS:
            raise
        what = f"{printable(path)}: cannot write: {reason(error)}"
        kept = "" if is_device(path) else "what was there before is unchanged"
        told = CannotCreateError(what) if error.errno in _REFUSED else OutputError(what, hint=kept)
        for note in getattr(error, "__notes__", []):
            told.add_note(note)
        raise told from error


# -- folders ----------------------------------------------------------------------------------------------------------


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that a rename in it survives a power cut; do nothing where folders cannot be synced."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDERS:
            raise
    finally:
        os.close(handle)


def exchange(a: Path, b: Path) -> bool:
    """Swap two paths of one file system in one step, so that neither is ever missing.

    Return False, with nothing done, where the system has no such call.
    """
    # Python has no name for renameat2, and Linux alone has the call.
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    return rename is not None and rename(_HERE, os.fsencode(a), _HERE, os.fsencode(b), _EXCHANGE) == 0


# -- temporary files, and the ones that a killed writer left ----------------------------------------------------------


def sweep(target: Path) -> None:
    """Remove temporary files whose writer was killed before it could remove them: those of `target`, and old ones.

    Files that get a new name every night would never be swept by their own name. A file of another name is removed
    once nobody has written to it for an hour. No file is removed whose writer lives and has locked it.
    """
    own, now = f".{target.name}.alcli-", time.time()
    for left in target.parent.glob(f".*.alcli-{'[a-z0-9_]' * 8}.tmp"):
        with suppress(OSError):
            is_own = left.name[: -len("12345678.tmp")] == own
            if (is_own or now - left.lstat().st_mtime > _OLD) and _is_left(left):
                left.unlink()


def _is_left(temporary: Path) -> bool:
    """Return True for a temporary file that no living writer has locked.

    Locks reach over containers, and over the machines that share a file system if it passes locks on. Where there are
    no locks, nobody can tell whether the writer lives, and the file stays. Raises OSError for a file that is gone by
    now, or belongs to another user.
    """
    handle = os.open(temporary, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        return bool(lock_now(handle)) and _is_at(handle, temporary)
    finally:
        os.close(handle)


def _locked_temporary(target: Path, left: ExitStack) -> tuple[int, Path]:
    """Create a file beside `target`; return a handle, whose lock says that the writer is alive, and the path.

    left: closes and removes the file at its end. It knows the name before there is a file, since a signal may come in
    between.
    """
    while True:
        temporary = target.with_name(f".{target.name}.alcli-{secrets.token_hex(4)}.tmp")
        if os.path.lexists(temporary):
            continue
        left.callback(_without_error, temporary.unlink)
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        # An error of writing shows at the fsync; the file may have its name by the time of this close.
        left.callback(_without_error, partial(os.close, handle))
        if lock_now(handle) is not False and _is_at(handle, temporary):
            return handle, temporary
        # Another writer that sweeps was faster than the lock, and removes the file.


def _without_error(call: Callable[[], None]) -> None:
    with suppress(OSError):
        call()


def _is_at(handle: int, path: Path) -> bool:
    """Return True when the open file still has this path."""
    with suppress(OSError):
        return os.path.samestat(os.fstat(handle), path.lstat())
    return False
