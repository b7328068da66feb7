"""Outputs that appear whole or not at all, and locks.

The order is the one that survives a power cut (Pillai et al., All File Systems Are Not Created Equal, OSDI 2014): write a temporary
file beside the target, flush, fsync, rename over the target, fsync the folder. A temporary file is named after its target, and
locked by its writer for as long as that lives: the next writer sweeps away what a killed one left behind, and nothing else.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from alcli.errors import AlcliError, BusyError, CannotCreateError, OutputError, UnavailableError, UsageError, printable

_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EXDEV}
_OF_THE_PROCESS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # nothing that another file name would help against
_HAS_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}
_CANNOT_SYNC_FOLDERS = {errno.EINVAL, errno.ENOTSUP}  # some network file systems
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


@dataclass
class Draft:
    """A file that is to become `target`, and until then stands beside it under a temporary name.

    path: the target as the user wrote it. kept: whether the temporary file outlives the block, for `publish_left` to find.
    """

    file: BinaryIO
    path: Path
    target: Path
    temporary: Path
    kept: bool = False

    def finish(self) -> None:
        """Bring the content to disk: what is left to do is to rename it."""
        self.file.flush()
        os.fsync(self.file.fileno())
        self.file.close()  # where some file systems report errors; the lock is on another handle
        os.chmod(self.temporary, _mode_for(self.target))

    def publish(self) -> None:
        """Rename it. Raises OutputError when the file is there and a power cut may still undo that."""
        os.replace(self.temporary, self.target)
        self.kept = True  # its name is free
        try:
            sync_folder(self.target.parent)
        except OSError as error:
            what = f"{printable(self.path)}: was written, but its folder cannot be brought to disk: {os.strerror(error.errno or 0)}"
            raise OutputError(what, hint="a power cut may undo it; run the command again") from error


@contextmanager
def drafted(path: Path, *, overwrite: bool = True) -> Iterator[Draft]:
    """A draft of a file; the block publishes it, and what was not published or kept is removed at its end. Raises what `replacing` does."""
    check_creatable(path, overwrite=overwrite)
    target = Path(os.path.realpath(path))
    sweep(target)
    with _reported(path):
        handle, temporary = _locked_temporary(target)
        draft = None
        try:
            with open(os.dup(handle), "wb") as file:
                draft = Draft(file, path, target, temporary)
                yield draft
        finally:
            if draft is None or not draft.kept:
                with suppress(OSError):
                    temporary.unlink()
            os.close(handle)


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends without an exception; else `path` is left as it was.

    A symbolic link is followed: its target is replaced, in the target's folder. An existing file keeps its mode.
    Raises CannotCreateError when the folder or file does not allow it or it exists and `overwrite` is false, OutputError
    when writing fails (disk full, device error).
    """
    if is_device(path):  # /dev/null, a FIFO: nothing to rename over
        with _reported(path), open(path, "wb") as device:
            yield device
        return
    with drafted(path, overwrite=overwrite) as draft:
        yield draft.file
        draft.finish()
        draft.publish()


@contextmanager
def _reported(path: Path) -> Iterator[None]:
    """Turn the operating system's refusals into sentences about `path`."""
    try:
        yield
    except AlcliError:
        raise
    except OSError as error:
        if isinstance(error, BrokenPipeError) or (error.filename is None and error.errno is None):
            raise
        if error.errno in _OF_THE_PROCESS:
            raise
        reason = os.strerror(error.errno) if error.errno else str(error)
        if error.errno in _REFUSED:
            raise CannotCreateError(f"{printable(path)}: cannot write: {reason}") from error
        raise OutputError(f"{printable(path)}: cannot write: {reason}", hint="what was there before is unchanged") from error


def check_creatable(path: Path, *, overwrite: bool = True, inputs: Iterable[str | Path] = ()) -> None:
    """Raise CannotCreateError now rather than after the work: no folder, no permission, a folder in the way, exists.

    inputs: files that are read, or are to be; UsageError when `path` is one of them.
    """
    if is_device(path):
        return
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise CannotCreateError(f"{printable(path)}: is a directory, expected a file name")
    if not target.parent.is_dir():
        raise CannotCreateError(f"{printable(path)}: there is no folder '{printable(target.parent)}'", hint="create it first")
    if any(_is_same(target, other) for other in inputs):
        raise UsageError(f"{printable(path)}: is read and cannot be the output too", hint="name another file")
    if target.exists() and not overwrite:
        raise CannotCreateError(f"{printable(path)}: already exists", hint="use --force to replace it")
    _probe_folder(path, target.parent)


def is_device(path: Path) -> bool:
    """Whether `path` is there and is neither a file nor a folder. Not by its real path: /dev/fd/63 stands for a pipe without one."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise CannotCreateError(f"{printable(path)}: cannot create: {os.strerror(error.errno or 0)}") from error
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_same(target: Path, other: str | Path) -> bool:
    """Whether a real path is that of another file, which need not be there yet, or a hard link to it."""
    if os.path.realpath(other) == os.fspath(target):
        return True
    with suppress(OSError):
        return target.samefile(other)
    return False


def _probe_folder(path: Path, folder: Path) -> None:
    """Creating a file is the only reliable test: a read-only mount refuses root as well, and os.access does not see it."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        if error.errno in _OF_THE_PROCESS:
            raise
        raise CannotCreateError(f"{printable(path)}: cannot create a file in its folder: {os.strerror(error.errno or 0)}") from error


def _mode_for(target: Path) -> int:
    with suppress(FileNotFoundError):
        return stat.S_IMODE(target.stat().st_mode)
    umask = os.umask(0)
    os.umask(umask)
    return 0o666 & ~umask


def sync_folder(folder: Path) -> None:
    """fsync a folder, so that a rename in it survives a power cut; nothing where the file system has no such thing."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in _CANNOT_SYNC_FOLDERS:
            raise
    finally:
        os.close(handle)


def exchange(a: Path, b: Path) -> bool:
    """Swap two paths of one file system at once, so that neither is ever missing. False, and nothing done, where the system cannot."""
    rename = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)  # Python has no name for it; Linux alone has the call
    return rename is not None and rename(_HERE, os.fsencode(a), _HERE, os.fsencode(b), _EXCHANGE) == 0


def sweep(target: Path) -> None:
    """Remove temporary files of `target` whose writer is dead (killed before it could)."""
    for left in _leftovers(target):
        with suppress(OSError):
            left.unlink()


def publish_left(target: Path, sha256: str) -> bool:
    """Rename the temporary file that a dead writer has finished and kept, which is known by its content. False where there is none."""
    for left in _leftovers(target):
        with _reported(target):
            if hashlib.sha256(left.read_bytes()).hexdigest() == sha256:
                os.replace(left, target)
                sync_folder(target.parent)
                return True
    return False


def _leftovers(target: Path) -> Iterator[Path]:
    """Temporary files of `target` that no living writer has locked, in any container or on any machine that the locks reach."""
    name = "".join(f"[{c}]" if c in "*?[" else c for c in target.name)
    for left in target.parent.glob(f".{name}.alcli-{'[a-z0-9_]' * 8}.tmp"):
        try:
            handle = os.open(left, os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError:
            continue  # gone by now, or of somebody else
        try:
            if _lock_now(handle) and _is_at(handle, left):
                yield left
        finally:
            os.close(handle)


def _locked_temporary(target: Path) -> tuple[int, Path]:
    """A new file beside `target`, and a handle whose lock says that its writer is alive."""
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.alcli-", suffix=".tmp", dir=target.parent)
        if _lock_now(handle) is not False and _is_at(handle, Path(name)):
            return handle, Path(name)
        os.close(handle)  # somebody who sweeps was faster than the lock, and removes it


def _lock_now(handle: int) -> bool | None:
    """Whether the kernel's lock of an open file could be had without waiting; None where its file system has no locks.

    The lock ends with its last handle, however its holder does. Process numbers would say less: those of another container mean nothing here.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None  # nobody can tell leftovers there, and nobody sweeps
    return True


def _is_at(handle: int, path: Path) -> bool:
    with suppress(OSError):
        return os.path.samestat(os.fstat(handle), path.lstat())
    return False


def _without_locks(path: Path, why: str) -> UnavailableError:
    return UnavailableError(f"{printable(path)}: its file system has no locks that work ({printable(why)})", hint="put it on a local disk; NFS needs version 4, with locks")


@contextmanager
def lock(path: Path, timeout: float = 0.0) -> Iterator[None]:
    """Hold the lock of `path`: a kernel lock on `.NAME.alcli.lock` beside it, free again when its holder dies.

    Waits up to `timeout` seconds, then raises BusyError. The lock file stays: removing it would let two holders in.
    """
    from filelock import FileLock, Timeout

    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        raise CannotCreateError(f"{printable(path)}: there is no folder '{printable(target.parent)}'", hint="create it first")
    guard = FileLock(target.parent / f".{target.name}.alcli.lock", timeout=timeout, mode=0o600, fallback_to_soft=False)
    try:
        guard.acquire(poll_interval=0.02)
    except Timeout:
        raise BusyError(f"{printable(path)}: locked by another alcli process", hint="try again, or wait with --lock-timeout SECONDS") from None
    except NotImplementedError as error:
        raise _without_locks(path, str(error)) from error
    except OSError as error:
        if error.errno in _OF_THE_PROCESS:
            raise
        if error.errno in _HAS_NO_LOCKS:
            raise _without_locks(path, os.strerror(error.errno)) from error
        raise CannotCreateError(f"{printable(path)}: cannot lock: {os.strerror(error.errno or 0)}") from error
    try:
        yield
    finally:
        guard.release()
