"""Independent tasks over the threads of `blocks.workers`."""

from __future__ import annotations

from collections.abc import Callable

from alcli.numerics.blocks import BLOCK_ROWS, Spread


def share(spread: Spread, n: int, task: Callable[[int], None]) -> None:
    """Call task(0) .. task(n - 1), each in one thread: what a task computes cannot depend on how many threads there are."""

    def work(first: int, last: int) -> None:
        for i in range(first // BLOCK_ROWS, last // BLOCK_ROWS):
            task(i)

    spread(n * BLOCK_ROWS, work)
