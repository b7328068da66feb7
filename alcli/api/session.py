"""The surroundings of one call from Python: the arithmetic of the command line, and remarks as warnings.

A BLAS with several threads gives other last digits than a BLAS with one. The command line sets one thread
before NumPy loads. A program that imports alcli has often loaded NumPy already, so each call limits the BLAS
while it runs and restores the limit.
"""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

# The BLAS that SciPy brings along must be loaded before it can be limited.
import scipy.linalg  # noqa: F401
from threadpoolctl import ThreadpoolController

from alcli.errors import AlcliWarning, UsageError, printable
from alcli.remarks import Note


def _one_thread(api: str) -> AbstractContextManager[Any]:
    """One thread for the libraries of an interface, "blas" or "openmp", and for no others."""
    limit: AbstractContextManager[Any] = ThreadpoolController().select(user_api=api).limit(limits=1)
    return limit


class _Arithmetic:
    """The BLAS limit and the warning filters of all calls that run at the moment, in any thread.

    Limit and filters belong to the process: the first call sets them, and the last one to end restores them.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._settings = ExitStack()

    def __enter__(self) -> None:
        with self._lock:
            if self._calls == 0:
                self._settings.enter_context(_one_thread("blas"))
                self._settings.enter_context(warnings.catch_warnings())
                # Some BLAS kernels read past the end of a row and set floating-point flags for the garbage there.
                # Reading has refused NaN in features, so the warning is noise.
                noise = ".* encountered in (matmul|dot|vecdot)"
                warnings.filterwarnings("ignore", message=noise, category=RuntimeWarning)
            self._calls += 1

    def __exit__(self, *error: object) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls == 0:
                self._settings.close()


_ARITHMETIC = _Arithmetic()


@contextmanager
def session(note: Note | None) -> Iterator[Note]:
    """Run a block as the command line runs a command; the block gets a function that takes its remarks.

    note: is told each remark once, after the block has succeeded. None makes each remark an `AlcliWarning`,
    which names the line of the caller's program. A block that raises makes no remarks. Raises UsageError for another
    note.
    """
    remarks: dict[str, None] = {}

    def remark(text: str) -> None:
        remarks[text] = None

    if not (note is None or callable(note)):
        raise UsageError(f"note must be a function or None, got {printable(repr(note))}")
    # Each thread has an OpenMP limit of its own.
    with _ARITHMETIC, _one_thread("openmp"):
        yield remark
    for text in remarks:
        (note or warn)(text)


def warn(text: str) -> None:
    """Issue an `AlcliWarning` at the line of the program that called into alcli."""
    depth, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_globals.get("__name__", "").partition(".")[0] in ("alcli", "contextlib"):
        depth, frame = depth + 1, frame.f_back
    warnings.warn(text, AlcliWarning, stacklevel=depth)
