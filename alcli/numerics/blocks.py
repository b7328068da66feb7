"""Fixed blocks of rows over a few threads, with a BLAS that uses one.

A float32 product depends on the height of the block it is computed in, and on how the BLAS shares it among its threads. So every
kernel here works on blocks of `BLOCK_ROWS` rows that start at a multiple of it, and threads only share out whole blocks: which
thread computes a block cannot change its bits.
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
_MOST_THREADS = 8  # the kernels are bound by memory, which a few threads saturate

Spread: TypeAlias = Callable[[int, Callable[[int, int], None]], None]

_limit: ContextVar[int | None] = ContextVar("thread_limit", default=None)


@contextmanager
def thread_limit(threads: int) -> Iterator[None]:
    """Use at most `threads` threads inside; for processes that share a machine."""
    token = _limit.set(max(1, threads))
    try:
        yield
    finally:
        _limit.reset(token)


def n_threads() -> int:
    """The processors this process may use, at most 8, at most the limit in force."""
    available = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(available, _MOST_THREADS, _limit.get() or available)


@contextmanager
def workers() -> Iterator[Spread]:
    """A function `spread(n, work)` that calls work(first, last) over disjoint ranges of whole blocks that cover n rows."""
    threads = n_threads()
    with _libraries(len(sys.modules)).limit(limits=1, user_api="blas"):
        if threads == 1:
            yield lambda n, work: work(0, n)
            return
        with ThreadPoolExecutor(threads) as pool:
            yield lambda n, work: _spread(pool, threads, n, work)


@lru_cache(1)
def _libraries(n_modules: int) -> ThreadpoolController:
    """The BLAS libraries of this process. To look for them takes a millisecond, and there are more only once there are more modules."""
    return ThreadpoolController()


def _spread(pool: ThreadPoolExecutor, threads: int, n: int, work: Callable[[int, int], None]) -> None:
    n_blocks = -(-n // BLOCK_ROWS)
    cuts = [min(n, BLOCK_ROWS * (n_blocks * t // threads)) for t in range(threads + 1)]
    ranges = [(a, b) for a, b in itertools.pairwise(cuts) if a < b]
    # The caller works too: it takes the first range, so a small problem never waits for a thread to wake.
    others = [pool.submit(work, a, b) for a, b in ranges[1:]]
    for a, b in ranges[:1]:
        work(a, b)
    for other in others:
        other.result()


# -- folded ------
# Independent tasks over the threads of `blocks.workers`.


def share(spread: Spread, n: int, task: Callable[[int], None]) -> None:
    """Call task(0) .. task(n - 1), each in one thread: what a task computes cannot depend on how many threads there are."""

    def work(first: int, last: int) -> None:
        for i in range(first // BLOCK_ROWS, last // BLOCK_ROWS):
            task(i)

    spread(n * BLOCK_ROWS, work)
