"""Outputs that appear whole or not at all, and locks.

The order is the one that survives a power cut (Pillai et al., All File Systems Are Not Created Equal, OSDI 2014): write a temporary
file beside the target, flush, fsync, rename over the target, fsync the folder. A temporary file is named after its target and its
process, so the next writer can sweep away what a killed one left behind and nothing else.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from alcli.errors import AlcliError, BusyError, CannotCreateError, OutputError, UnavailableError, UsageError, printable

_REFUSED = {errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG, errno.ELOOP, errno.EXDEV}
_OF_THE_PROCESS = {errno.EMFILE, errno.ENFILE, errno.ENOMEM}  # nothing that another file name would help against
_CANNOT_SYNC_FOLDERS = {errno.EINVAL, errno.ENOTSUP}  # some network file systems
_HERE, _EXCHANGE = -100, 2  # AT_FDCWD and RENAME_EXCHANGE of Linux


@contextmanager
def replacing(path: Path, *, overwrite: bool = True) -> Iterator[BinaryIO]:
    """A binary file that becomes `path` when the block ends without an exception; else `path` is left as it was.

    A symbolic link is followed: its target is replaced, in the target's folder. An existing file keeps its mode.
    Raises CannotCreateError when the folder or file does not allow it or it exists and `overwrite` is false, OutputError
    when writing fails (disk full, device error).
    """
    check_creatable(path, overwrite=overwrite)
    if _is_device(path):  # /dev/null, a FIFO: nothing to rename over
        with _reported(path), open(path, "wb") as device:
            yield device
        return
    target = Path(os.path.realpath(path))
    sweep(target)
    with _reported(path):
        handle, name = tempfile.mkstemp(prefix=f".{target.name}.alcli-{os.getpid()}-", suffix=".tmp", dir=target.parent)
        temporary = Path(name)
        try:
            with open(handle, "wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            os.chmod(temporary, _mode_for(target))
            os.replace(temporary, target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    try:
        sync_folder(target.parent)
    except OSError as error:
        what = f"{printable(path)}: was written, but its folder cannot be brought to disk: {os.strerror(error.errno or 0)}"
        raise OutputError(what, hint="a power cut may undo it; run the command again") from error


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

    inputs: files that are read; UsageError when `path` is one of them.
    """
    if _is_device(path):
        return
    target = Path(os.path.realpath(path))
    if target.is_dir():
        raise CannotCreateError(f"{printable(path)}: is a directory, expected a file name")
    if not target.parent.is_dir():
        raise CannotCreateError(f"{printable(path)}: there is no folder '{printable(target.parent)}'", hint="create it first")
    if target.exists():
        if any(_is_same(target, other) for other in inputs):
            raise UsageError(f"{printable(path)}: is read and cannot be the output too", hint="name another file with -o")
        if not overwrite:
            raise CannotCreateError(f"{printable(path)}: already exists", hint="use --force to replace it")
    _probe_folder(path, target.parent)


def _is_device(path: Path) -> bool:
    """Whether `path` is there and is neither a file nor a folder. Not by its real path: /dev/fd/63 stands for a pipe without one."""
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError as error:
        raise CannotCreateError(f"{printable(path)}: cannot create: {os.strerror(error.errno or 0)}") from error
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))


def _is_same(path: Path, other: str | Path) -> bool:
    with suppress(OSError):
        return path.samefile(other)
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
    """Remove temporary files of `target` whose process is gone (killed before it could)."""
    for left in target.parent.glob(f".{_escaped(target.name)}.alcli-*.tmp"):
        owner = left.name.rsplit(".alcli-", 1)[1].split("-", 1)[0]
        if owner.isdigit() and not _is_running(int(owner)):
            with suppress(OSError):
                left.unlink()


def _escaped(name: str) -> str:
    return "".join(f"[{c}]" if c in "*?[" else c for c in name)


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


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
        raise UnavailableError(f"{printable(path)}: this file system has no locks ({error})") from error
    except OSError as error:
        if error.errno in _OF_THE_PROCESS:
            raise
        raise CannotCreateError(f"{printable(path)}: cannot lock: {os.strerror(error.errno or 0)}") from error
    try:
        yield
    finally:
        guard.release()
