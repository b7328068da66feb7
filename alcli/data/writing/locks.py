"""Locks between processes: kernel locks on files, which end with their holder however it ends."""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from alcli.data.reading.os_errors import PROCESS_LIMITS, reason
from alcli.data.writing.creatable import mode_for
from alcli.errors import BusyError, CannotCreateError, UnavailableError, printable

_HAS_NO_LOCKS = {errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL}


@contextmanager
def lock(path: Path, timeout: float = 0.0) -> Iterator[None]:
    """Hold the lock of `path`: a kernel lock on `.NAME.alcli.lock` beside it, free again when its holder dies.

    Waits up to `timeout` seconds, then raises BusyError. The lock file stays, because a second holder could lock a
    new file of the same name. Raises CannotCreateError, and UnavailableError where the file system has no locks that
    work.
    """
    from filelock import FileLock, Timeout

    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        what = f"{printable(path)}: there is no folder '{printable(target.parent)}'"
        raise CannotCreateError(what, hint="create it first")
    name = target.parent / f".{target.name}.alcli.lock"
    # Whoever may write the file may lock it: a team shares a ledger.
    guard = FileLock(name, timeout=timeout, mode=mode_for(target) | 0o600, fallback_to_soft=False)
    try:
        guard.acquire(poll_interval=0.02)
    except Timeout:
        hint = "try again, or wait with --lock-timeout SECONDS"
        raise BusyError(f"{printable(path)}: locked by another alcli process", hint=hint) from None
    except NotImplementedError as error:
        raise _without_locks(path, str(error)) from error
    except OSError as error:
        if error.errno in PROCESS_LIMITS:
            raise
        if error.errno in _HAS_NO_LOCKS:
            raise _without_locks(path, reason(error)) from error
        raise CannotCreateError(f"{printable(path)}: cannot lock: {reason(error)}") from error
    try:
        yield
    finally:
        # All work is done, and the lock ends with this process: a system that cannot unlock takes nothing back.
        with suppress(OSError):
            guard.release()


def lock_now(handle: int) -> bool | None:
    """Lock an open file at once; return False where somebody else has it, None where its file system has no locks.

    The lock ends with its last handle, however its holder ends. A process number would say less: it means nothing in
    another container.
    """
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _without_locks(path: Path, why: str) -> UnavailableError:
    """The error for a file system that cannot lock."""
    what = f"{printable(path)}: its file system has no locks that work ({printable(why)})"
    return UnavailableError(what, hint="put it on a local disk; NFS needs version 4, with locks")
