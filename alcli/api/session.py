"""The surroundings of one call from Python: the arithmetic of the command line, and remarks as warnings.

A BLAS with several threads gives other last digits than a BLAS with one. The command line sets one thread
before NumPy loads. A program that imports alcli has often loaded NumPy already, so each call limits the BLAS
while it runs and restores the limit.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# The BLAS that SciPy brings along must be loaded before it can be limited.
import scipy.linalg  # noqa: F401
from threadpoolctl import threadpool_limits

from alcli.errors import AlcliWarning
from alcli.remarks import Note


@contextmanager
def session(note: Note | None) -> Iterator[Note]:
    """Run a block as the command line runs a command; the block gets a function that takes its remarks.

    note: is told each remark once, after the block has succeeded. None makes each remark an `AlcliWarning`,
    which names the line of the caller's program. A block that raises makes no remarks.
    """
    remarks: dict[str, None] = {}

    def remark(text: str) -> None:
        remarks[text] = None

    with threadpool_limits(1), warnings.catch_warnings():
        # Some BLAS kernels read past the end of a row and set floating-point flags for the garbage there.
        # Reading has refused NaN in features, so the warning is noise.
        warnings.filterwarnings("ignore", message=".* encountered in (matmul|dot|vecdot)", category=RuntimeWarning)
        yield remark
    for text in remarks:
        (note or warn)(text)


def warn(text: str) -> None:
    """Issue an `AlcliWarning` at the line of the program that called into alcli."""
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("alcli", "contextlib"):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, AlcliWarning, stacklevel=depth)
