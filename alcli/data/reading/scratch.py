"""Room for features: in memory or in a temporary file; and reading one block ahead."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from alcli.arrays import Floats
from alcli.errors import MemoryLimitError, OutputError

T = TypeVar("T")


def allocate(shape: tuple[int, int], dtype: npt.DTypeLike, limit: int | None, what: str) -> Floats:
    """An array of undefined content: in memory up to `limit` bytes (None: half of what the machine has), else in a temporary file.

    what: whose features they are, for messages. Raises MemoryLimitError, OutputError when there is no room on disk.
    """
    size = int(np.prod(shape)) * np.dtype(dtype).itemsize
    if size <= memory_limit(limit):
        try:
            return np.empty(shape, dtype)
        except MemoryError:
            raise MemoryLimitError(f"{what}: no memory for {size >> 20} MiB of features", hint="use --candidates, or --max-memory to keep them on disk") from None
    with tempfile.TemporaryFile(prefix="alcli-features-") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, size)  # a full disk is an error now, and not a SIGBUS later
        except OSError as error:
            raise OutputError(f"{tempfile.gettempdir()}: no room for {size >> 20} MiB of features: {os.strerror(error.errno or 0)}", hint="set TMPDIR to a larger disk, or use --candidates") from error
        return np.memmap(file, dtype, "r+", shape=shape)


def memory_limit(given: int | None) -> int:
    """The bytes that may be used: those given, else half of what the machine has."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2 if given is None else given


def ahead(items: Iterator[T]) -> Iterator[T]:
    """The same items, the next one being made in a thread while the current one is used."""
    end = object()

    def step() -> T | object:
        return next(items, end)

    with ThreadPoolExecutor(1, "alcli-read") as reader:
        pending = reader.submit(step)
        while (item := pending.result()) is not end:
            pending = reader.submit(step)
            yield item  # type: ignore[misc]
