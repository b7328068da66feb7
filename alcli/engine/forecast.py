"""Tell before the work what a choice over a large pool costs.

A choice is mostly products of all rows with others, and passes over the features. The speed of products is measured on
one block of the rows. So the time is that of this machine, and right to about a factor of two: later products can be
fewer than expected, and other work slows all of them.
Cost: a hundredth of a second.
"""

from __future__ import annotations

import time

import numpy as np

from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS, n_threads, workers
from alcli.remarks import Note

# Choices that take longer are told of.
_WORTH_TELLING = 20.0
# Smaller pools are not looked at.
LARGE = 50_000
_TIMES = 8


def foretell(tell: Note, what: str, X_ND: BlockArray, columns: float, width: int) -> None:
    """Tell what a choice costs that multiplies all rows by `columns` other rows, if it takes longer than a while.

    what: the work in words, such as "maxherding". width: the columns that are multiplied at a time.
    """
    N, D = X_ND.shape
    if N < LARGE or (seconds := columns * N * _seconds_of_a_product(X_ND, width)) < _WORTH_TELLING:
        return
    gibibytes = N * D * X_ND.dtype.itemsize / 2**30
    tell(
        f"{what} of {N:,} rows by {D:,} features ({gibibytes:.1f} GiB) takes about {in_words(seconds)}: "
        f"{2 * columns * N * D:.1e} operations"
    )


def _seconds_of_a_product(X_ND: BlockArray, width: int) -> float:
    """Measure the time of reading a row and of its product with another one, in seconds, with all threads."""
    V_DM = np.ascontiguousarray(X_ND[0:width].T)
    taken = []
    with workers():
        for place in range(_TIMES):
            began = time.perf_counter()
            X_ND[place * BLOCK_ROWS : (place + 1) * BLOCK_ROWS] @ V_DM
            taken.append(time.perf_counter() - began)
    return min(taken) / (BLOCK_ROWS * width * n_threads())


def in_words(seconds: float) -> str:
    """A length of time in words, such as "3 minutes"."""
    if seconds < 90:
        return f"{10 * max(1, round(seconds / 10))} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
