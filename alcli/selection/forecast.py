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
_COLUMNS = 256
_TIMES = 3


def foretell(tell: Note, what: str, X_ND: BlockArray, columns: float) -> None:
    """Tell what a choice costs that multiplies all rows by `columns` other rows, if it takes longer than a while.

    what: the work in words, such as "maxherding".
    """
    N, D = X_ND.shape
    if N < BLOCK_ROWS or (seconds := columns * N * seconds_of_a_product(X_ND)) < _WORTH_TELLING:
        return
    gibibytes = N * D * X_ND.dtype.itemsize / 2**30
    tell(
        f"{what} of {N:,} rows by {D:,} features ({gibibytes:.1f} GiB) takes about {in_words(seconds)}: "
        f"{2 * columns * N * D:.1e} operations"
    )


def seconds_of_a_product(X_ND: BlockArray) -> float:
    """Measure the time of the product of a row with another one, in seconds, with all threads."""
    X_BD = X_ND[0:BLOCK_ROWS]
    V_DM = np.ascontiguousarray(X_BD[:_COLUMNS].T)
    taken = []
    with workers():
        for _ in range(_TIMES):
            began = time.perf_counter()
            X_BD @ V_DM
            taken.append(time.perf_counter() - began)
    return min(taken) / (len(X_BD) * V_DM.shape[1] * n_threads())


def in_words(seconds: float) -> str:
    """A length of time in words, such as "3 minutes"."""
    if seconds < 90:
        return f"{10 * max(1, round(seconds / 10))} seconds"
    return f"{round(seconds / 60)} minutes" if seconds < 5400 else f"{seconds / 3600:.1f} hours"
