"""Tell before the work what a choice over a large pool costs.

A choice is mostly products of all rows with others. The speed of products is measured on
one block. So the time is that of this machine, and right to about a factor of two: later products can be
fewer than expected, and other work slows all of them.
Cost: a hundredth of a second.
"""

from __future__ import annotations

import time

import numpy as np

from alcli.numerics.blocks import BLOCK_ROWS, n_threads, workers
from alcli.remarks import Note

# Choices that take longer are told of.
_WORTH_TELLING = 20.0
# Smaller pools are not looked at.
LARGE = 50_000
_TIMES = 8


def foretell(tell: Note, what: str, shape: tuple[int, ...], columns: float, width: int) -> None:
    """Tell what a choice costs that multiplies all rows by `columns` other rows, if it takes longer than a while.

    what: the work in words, such as "maxherding". shape: N rows of D features. width: the columns that are multiplied
    at a time.
    """
    N, D = shape
    if N < LARGE or (seconds := columns * N * _seconds_of_a_product(D, width)) < _WORTH_TELLING:
        return
    rows = f"{N:,} rows by {D:,} features ({N * D * 4 / 2**30:.1f} GiB)"
    work = f"{2 * columns * N * D:.1e} operations"
    tell(f"{what} of {rows} takes about {in_words(seconds)} once they are read: {work}")


def _seconds_of_a_product(dim: int, width: int) -> float:
    """Measure the time of the product of a row with another one, float32, in seconds, with all threads."""
    X_BD, V_DM = np.ones((BLOCK_ROWS, dim), np.float32), np.ones((dim, width), np.float32)
    taken = []
    with workers():
        for _ in range(_TIMES):
            began = time.perf_counter()
            X_BD @ V_DM
            taken.append(time.perf_counter() - began)
    return min(taken) / (BLOCK_ROWS * width * n_threads())


def in_words(seconds: float) -> str:
    """A length of time in words, such as "3 minutes"."""
    if seconds < 90:
        return f"{10 * max(1, round(seconds / 10))} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
