"""Work on fixed blocks of rows, divided among a few threads, while BLAS itself uses one thread.

The bits of a float32 product depend on the height of the block and on how BLAS divides the product among its own
threads. Every kernel therefore works on blocks of `BLOCK_ROWS` rows that start at a multiple of `BLOCK_ROWS`, and a
thread is given whole blocks only. So the number of threads never changes a bit of a result.
"""

from __future__ import annotations

import itertools
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from functools import lru_cache
from typing import TypeAlias

from threadpoolctl import ThreadpoolController

BLOCK_ROWS = 2048
# The kernels are bound by memory bandwidth, which a few threads saturate.
_MOST_THREADS = 8

Spread: TypeAlias = Callable[[int, Callable[[int, int], None]], None]

_limit: ContextVar[int | None] = ContextVar("thread_limit", default=None)


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Use at most `threads` threads inside the context. For several processes on one machine."""
    token = _limit.set(max(1, threads))
    try:
        yield
    finally:
        _limit.reset(token)


def n_processors() -> int:
    """The number of processors that this process may use, at most the limit of `thread_limit`."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, _limit.get() or available)


def n_threads() -> int:
    """The number of threads of a kernel: `n_processors`, and at most 8."""
    return min(n_processors(), _MOST_THREADS)


@contextmanager
def workers() -> Iterator[Spread]:
    """Provide a function `spread(n, work)` for the length of the context.

    `spread` calls work(first, last) for disjoint ranges of whole blocks that together cover n rows, one range a thread.
    """
    threads = n_threads()
    with _libraries(len(sys.modules)).limit(limits=1, user_api="blas"):
        if threads == 1:
            yield lambda n, work: work(0, n)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield lambda n, work: _spread(pool, threads, n, work)


@lru_cache(1)
def _libraries(n_modules: int) -> ThreadpoolController:
    """Find the BLAS libraries of this process, which takes a millisecond.

    A new library comes only with new modules, so the answer is kept for as long as the number of modules stays the
    same.
    """
    return ThreadpoolController()


def _spread(pool: ThreadPoolExecutor, threads: int, n: int, work: Callable[[int, int], None]) -> None:
    n_blocks = -(-n // BLOCK_ROWS)
    cuts = [min(n, BLOCK_ROWS * (n_blocks * t // threads)) for t in range(threads + 1)]
    ranges = [(a, b) for a, b in itertools.pairwise(cuts) if a < b]
    # The calling thread computes the first range itself, so that a small problem does not wait for a thread to wake up.
    others = [pool.submit(work, a, b) for a, b in ranges[1:]]
    for a, b in ranges[:1]:
        work(a, b)
    for other in others:
        other.result()


def alone(n: int, work: Callable[[int, int], None]) -> None:
    """A `Spread` of the calling thread alone."""
    work(0, n)


def share(spread: Spread, n: int, task: Callable[[int], None]) -> None:
    """Call task(0) .. task(n - 1) with the threads of `workers`, each task in one thread.

    The tasks must be independent. A task's result does not depend on the number of threads.
    """

    def work(first: int, last: int) -> None:
        for i in range(first // BLOCK_ROWS, last // BLOCK_ROWS):
            task(i)

    spread(n * BLOCK_ROWS, work)
