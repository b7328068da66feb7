"""The limit on addresses (`ulimit -v`): refuse one that is too small before the numeric libraries are loaded.

OpenBLAS, the library below numpy and scipy, ends the process, or asks again and again for good, where the system
refuses it a buffer. So a limit too small for the buffers is refused first, and under a larger one the buffers are taken
before data are read. What is refused later is then memory of Python or numpy, which becomes a MemoryError.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from threading import Barrier, BrokenBarrierError

from alcli.errors import MemoryLimitError

# Bytes of addresses that the libraries of a command take, and those of a thread: its stack, an arena of malloc, and a
# buffer of OpenBLAS.
_LIBRARIES = 640 << 20
_THREAD = 128 << 20
# A thread that waits longer for the others goes on without them.
_PATIENCE = 5.0


@contextmanager
def within_limits() -> Iterator[None]:
    """Do the work of a command within the limit on addresses: fewer threads where it is small.

    Raises MemoryLimitError where no command fits. Without a limit, and once numpy is loaded, nothing is looked at.
    """
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit == resource.RLIM_INFINITY or "numpy" in sys.modules:
        yield
        return
    if limit < _LIBRARIES + _THREAD:
        what = f"the limit on addresses is {limit >> 20} MiB, alcli needs {(_LIBRARIES + _THREAD) >> 20} MiB"
        raise MemoryLimitError(
            what, hint="`ulimit -v` shows the limit in KiB; --max-memory bounds what a command holds"
        )
    # The allocator of Arrow would set a GiB of addresses aside that it does not use.
    os.environ.setdefault("MIMALLOC_ARENA_RESERVE", "0")
    from alcli.numerics.blocks import n_threads, thread_limit

    with thread_limit(min(n_threads(), (limit - _LIBRARIES) // _THREAD)):
        take_buffers(n_threads())
        yield


def take_buffers(threads: int) -> None:
    """Let OpenBLAS take the buffers that `threads` threads need at a time; it keeps them."""
    import numpy as np
    from scipy.linalg.blas import dgemm

    # A smaller product does without a buffer.
    square = np.zeros((256, 256))
    together = Barrier(threads)

    def multiply(_: int) -> None:
        try:
            together.wait(_PATIENCE)
        except BrokenBarrierError:
            return
        for _ in range(3):
            square @ square

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(multiply, range(threads)))
    dgemm(1.0, square, square)
