"""A folder for the large arrays of one command, which is removed with the command, however the command ends."""

from __future__ import annotations

import os
import shutil
import tempfile
import weakref
from contextlib import suppress
from pathlib import Path

import numpy.typing as npt
from filelock import FileLock, Timeout

from alcli.data.cached.file_array import FileArray, new_file
from alcli.data.reading.os_errors import reason
from alcli.errors import CannotCreateError, printable

_PREFIX = "alcli-arrays-"
# A folder that has no lock yet is not swept.
_NEW = ".alcli-new-"
_LOCK = "in-use"


class Folder:
    """A folder for arrays, removed when nothing refers to it; inside the user's folder, if there is one.

    A command that is killed leaves its folder. The next command that makes a folder at the same place removes it: the
    lock of a folder in use is held. Raises CannotCreateError where no folder can be made.
    """

    def __init__(self, inside: str | None) -> None:
        inside = tempfile.gettempdir() if inside is None else inside
        try:
            os.makedirs(inside, exist_ok=True)
            _sweep(Path(inside))
            new = Path(tempfile.mkdtemp(prefix=_NEW, dir=inside))
            self._lock = FileLock(new / _LOCK, timeout=0)
            self._lock.acquire()
            self.path = str(new.with_name(new.name.replace(_NEW, _PREFIX)))
            os.rename(new, self.path)
        except OSError as error:
            raise CannotCreateError(
                f"{printable(inside)}: cannot make a folder for features: {reason(error)}",
                hint="name another folder by --cache-dir or TMPDIR",
            ) from error
        self._n = 0
        weakref.finalize(self, shutil.rmtree, self.path, ignore_errors=True)

    def room(self, shape: tuple[int, ...], dtype: npt.DTypeLike, stored: npt.DTypeLike | None = None) -> FileArray:
        """A new array of undefined content. stored: as in `FileArray`. Raises OutputError where there is no room."""
        self._n += 1
        return new_file(os.path.join(self.path, f"{self._n}.array"), shape, dtype, self, stored)


def _sweep(inside: Path) -> None:
    """Remove the folders of commands that were killed."""
    for left in inside.glob(f"{_PREFIX}*"):
        # A link, a folder of another user, and one that is swept at the same moment are left alone.
        with suppress(Timeout, OSError):
            if left.is_symlink() or left.stat().st_uid != os.getuid():
                continue
            with FileLock(left / _LOCK, timeout=0):
                shutil.rmtree(left, ignore_errors=True)
