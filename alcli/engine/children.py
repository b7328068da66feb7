"""Child processes: how they start, and that none of them outlives its parent."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from threadpoolctl import threadpool_limits

from alcli.engine.kernels import ONE_THREAD
from alcli.errors import MemoryLimitError
from alcli.numerics.blocks import thread_limit

# Seconds in which a child ends by itself.
_PATIENCE = 2.0


class Child:
    """A child process that serves one end of a pipe by `serve(pipe, *args)`, and the parent's end of the pipe.

    threads: the most threads that the child uses.
    """

    def __init__(self, serve: Callable[..., None], args: tuple[Any, ...], threads: int = 1) -> None:
        # Not fork: threads of the parent (BLAS, faiss, the reader of a pool) may hold locks at that moment.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        target, given = _begin, (theirs, serve, args, threads)
        self.process: BaseProcess = context.Process(target=target, args=given, daemon=True)
        with _without_current_folder():
            self.process.start()
        theirs.close()

    def end(self) -> str:
        """Wait for the end of a child that has closed its pipe; return how it ended, in words."""
        self.process.join()
        code = self.process.exitcode or 0
        return f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"

    def stop(self) -> None:
        """End the child, which may have ended already.

        A child that waits for its pipe ends by itself, and so gives back what its libraries took of the system.
        """
        self.pipe.close()
        self.process.join(_PATIENCE)
        if self.process.is_alive():
            self.process.terminate()
            self.process.join()


@contextmanager
def _without_current_folder() -> Iterator[None]:
    """Keep new Python processes from importing modules of the current folder, where a signal.py or socket.py may lie.

    A child begins as `python -c`, which looks for modules in the current folder first.
    """
    before = os.environ.get("PYTHONSAFEPATH")
    os.environ["PYTHONSAFEPATH"] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ["PYTHONSAFEPATH"]
        else:
            os.environ["PYTHONSAFEPATH"] = before


def _begin(pipe: Connection, serve: Callable[..., None], args: tuple[Any, ...], threads: int) -> None:
    """Serve a pipe; the body of a child process.

    Ctrl-C reaches the whole group of processes, so the child ignores it: the parent decides when its children end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Libraries that are loaded later read these variables.
    os.environ.update(ONE_THREAD)
    # The parent ignores the same warnings.
    warnings.filterwarnings("ignore", message=".* encountered in (matmul|dot|vecdot)", category=RuntimeWarning)
    try:
        threading.Thread(target=_leave_with_parent, daemon=True).start()
        with thread_limit(threads), threadpool_limits(1):
            serve(pipe, *args)
    except (MemoryError, RuntimeError) as error:
        if isinstance(error, RuntimeError) and "can't start new thread" not in str(error):
            raise
        # The parent says in a sentence that a worker was lost, where a traceback would stand otherwise.
        sys.exit(MemoryLimitError.exit_code)


def _leave_with_parent() -> None:
    """Wait for the end of the parent process, and end this process then."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
