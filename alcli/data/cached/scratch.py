"""Space for features, in memory or in a temporary file; and an iterator that reads one block ahead."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from alcli.arrays import Floats
from alcli.data.reading.os_errors import reason
from alcli.errors import MemoryLimitError, OutputError

T = TypeVar("T")


def allocate(shape: tuple[int, int], dtype: npt.DTypeLike, limit: int | None, what: str) -> Floats:
    """Return an array of undefined content, in memory or in a temporary file.

    limit: bytes up to which the array is in memory; None for an eighth of the machine's, and for half of it where the
    disk has no room. what: the pool that the features are of, for messages. Raises MemoryLimitError, OutputError when
    there is no room on disk.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= memory_limit(limit):
        try:
            return np.empty(shape, dtype)
        except MemoryError:
            hint = "use --candidates, or --max-memory to keep them on disk"
            raise MemoryLimitError(f"{what}: no memory for {size >> 20} MiB of features", hint=hint) from None
    with tempfile.TemporaryFile(prefix="alcli-features-") as file:
        try:
            # Allocated at once, a full disk is an error here; later, it would be a SIGBUS in the middle of the work.
            os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            if limit is None and size <= half_of_memory():
                return np.empty(shape, dtype)
            what = f"{tempfile.gettempdir()}: no room for {size >> 20} MiB of features: {reason(error)}"
            raise OutputError(what, hint="set TMPDIR to a larger disk, or use --candidates") from error
        return np.memmap(file, dtype, "r+", shape=shape)


def memory_limit(given: int | None) -> int:
    """The bytes of memory that features may take: `given`, or an eighth of the machine's where that is None."""
    return half_of_memory() // 4 if given is None else given


def half_of_memory() -> int:
    """Half of the machine's memory, in bytes."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2


def ahead(items: Iterator[T]) -> Iterator[T]:
    """Yield the same items; a thread makes the next item while the caller uses the current one."""
    end = object()

    def step() -> T | object:
        return next(items, end)

    with ThreadPoolExecutor(1, "alcli-read") as reader:
        pending = reader.submit(step)
        while (item := pending.result()) is not end:
            pending = reader.submit(step)
            yield item  # type: ignore[misc]
