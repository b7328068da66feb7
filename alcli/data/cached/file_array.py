"""An array in a file, of which blocks are read and written, so that memory holds a block at a time.

The blocks are read, not mapped: a mapped file counts as memory of the process, and a file that somebody cuts short
while it is mapped ends the process by a signal. The system keeps in its cache what is read often.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from alcli.arrays import Array, Int64
from alcli.data.reading.os_errors import reason
from alcli.errors import InputError, OutputError, printable

# Rows of a read that lie at most so many bytes apart are read together, up to a number of bytes.
_GAP = 1 << 16
_RUN = 1 << 22


class FileArray:
    """A `BlockArray` in a file. shape: [N, ...]. Pickled, it is the path of the file.

    dtype: of the rows that are read. stored: the dtype in the file, which holds all values without loss; `dtype` by
    default. Raises InputError for a file that is gone or too short.
    """

    def __init__(
        self,
        path: str,
        shape: tuple[int, ...],
        dtype: npt.DTypeLike,
        keeper: Any = None,
        stored: npt.DTypeLike | None = None,
    ) -> None:
        self.path, self.shape, self.dtype = path, shape, np.dtype(dtype)
        self.stored = self.dtype if stored is None else np.dtype(stored)
        # Whatever must live as long as the file is read, such as the folder that is removed with it.
        self._keeper = keeper
        self._row_bytes = int(np.prod(shape[1:], dtype=np.int64)) * self.stored.itemsize
        self._descriptor: int | None = None

    def __getstate__(self) -> tuple[Any, ...]:
        return self.path, self.shape, self.dtype, None, self.stored

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def __del__(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)

    def __len__(self) -> int:
        return self.shape[0]

    @property
    def _shown(self) -> str:
        """The path as messages show it."""
        return printable(self.path)

    @property
    def ndim(self) -> int:
        return len(self.shape)

    def __getitem__(self, rows: Any) -> Array:
        if isinstance(rows, slice):
            first, last, step = rows.indices(len(self))
            if step != 1:
                raise ValueError("rows of a file are read in slices of step 1")
            return self._read(first, max(last, first))
        return self._some(np.asarray(rows, np.int64))

    def write(self, first: int, rows: Array) -> None:
        """Write rows from row number `first` on. Raises OutputError."""
        data = memoryview(np.ascontiguousarray(rows, self.stored).reshape(-1).view(np.uint8).data)
        place = first * self._row_bytes
        try:
            while len(data):
                done = os.pwrite(self._open(), data, place)
                data, place = data[done:], place + done
        except OSError as error:
            raise no_room(self.path, self.nbytes, error) from error

    def sync(self) -> None:
        """Bring what was written to disk, so that a power cut leaves no file of zeros. Raises OutputError."""
        try:
            os.fsync(self._open())
        except OSError as error:
            raise no_room(self.path, self.nbytes, error) from error

    @property
    def nbytes(self) -> int:
        """The size in bytes."""
        return len(self) * self._row_bytes

    def _some(self, rows: Int64) -> Array:
        """Rows by number in any order; neighbours are read together."""
        out = np.empty((len(rows), *self.shape[1:]), self.dtype)
        order = np.argsort(rows, kind="stable")
        gap, most = (max(1, size // max(self._row_bytes, 1)) for size in (_GAP, _RUN))
        for a, b in _near(rows[order], gap, most):
            wanted = rows[order[a:b]]
            low = int(wanted[0])
            out[order[a:b]] = self._read(low, int(wanted[-1]) + 1)[wanted - low]
        return out

    def _read(self, first: int, last: int) -> Array:
        out = np.empty((last - first, *self.shape[1:]), self.stored)
        data = memoryview(out.reshape(-1).view(np.uint8).data)
        place = first * self._row_bytes
        while len(data):
            try:
                n = os.preadv(self._open(), [data], place)
            except OSError as error:
                raise InputError(
                    f"{printable(self.path)}: cannot read the features kept there: {reason(error)}"
                ) from error
            if n == 0:
                raise InputError(
                    f"{printable(self.path)}: the file of features is shorter than it was", hint="run again"
                )
            data, place = data[n:], place + n
        return out.astype(self.dtype, copy=False)

    def _open(self) -> int:
        if self._descriptor is None:
            try:
                # Only the process that made the file writes to it.
                flags = os.O_RDWR if os.access(self.path, os.W_OK) else os.O_RDONLY
                self._descriptor = os.open(self.path, flags | os.O_CLOEXEC)
            except OSError as error:
                raise InputError(
                    f"{printable(self.path)}: cannot open the features kept there: {reason(error)}"
                ) from error
        return self._descriptor


def new_file(
    path: str, shape: tuple[int, ...], dtype: npt.DTypeLike, keeper: Any = None, stored: npt.DTypeLike | None = None
) -> FileArray:
    """Make the file of an array, its space taken at once. Raises OutputError where there is no room."""
    found = FileArray(path, shape, dtype, keeper, stored)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            if found.nbytes:
                os.posix_fallocate(descriptor, 0, found.nbytes)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise no_room(path, found.nbytes, error) from error
    return found


def no_room(path: str, size: int, error: OSError) -> OutputError:
    """The error for features that cannot be written."""
    where = os.path.dirname(path)
    return OutputError(
        f"{printable(where)}: no room for {size >> 20} MiB of features: {reason(error)}",
        hint="name a folder on a larger disk by --cache-dir or TMPDIR, or use --candidates",
    )


def _near(ascending: Int64, gap: int, most: int) -> Iterator[tuple[int, int]]:
    """The runs [a, b) of ascending numbers in which neighbours differ by at most `gap`, and all by less than `most`."""
    cuts = np.flatnonzero((np.diff(ascending) > gap) | (np.diff(ascending // most) > 0)) + 1
    starts = [0, *cuts.tolist(), len(ascending)] if len(ascending) else []
    yield from itertools.pairwise(starts)
