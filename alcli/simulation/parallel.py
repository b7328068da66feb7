"""Cells in several processes, with one thread of linear algebra each, that share one memory-mapped feature matrix.

Every process waits for cells on a pipe of its own. It also watches its parent, and ends when the parent ends, however
that happens.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
import warnings
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from threadpoolctl import threadpool_limits

from alcli.errors import AlcliError, MemoryLimitError
from alcli.numerics.blocks import thread_limit
from alcli.simulation.bench import Bench
from alcli.simulation.cell import run_cell
from alcli.simulation.plan import Cell
from alcli.simulation.results import CellResult
from alcli.simulation.shared import Shared


def run_cells(shared: Shared, cells: Sequence[Cell], jobs: int) -> Generator[CellResult, None, None]:
    """Yield the results of `cells`, each as soon as it is ready. One job runs in this process, more in child processes.

    An error in a cell ends the other processes and is raised here. Raises MemoryLimitError when a process is killed.
    """
    if min(jobs, len(cells)) <= 1:
        bench = shared.bench()
        for cell in cells:
            with threadpool_limits(1):
                result = run_cell(bench, cell)
            yield result
        return
    workers: list[_Worker] = []
    try:
        with _without_current_folder():
            for _ in range(min(jobs, len(cells))):
                workers.append(_Worker(shared))
        yield from _hand_out(workers, list(cells))
    finally:
        for worker in workers:
            worker.stop()


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


class _Worker:
    """A child process, and the parent's end of its pipe."""

    def __init__(self, shared: Shared) -> None:
        # Not fork: threads of the parent (BLAS, faiss, the reader of a pool) may hold locks at that moment.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, shared), daemon=True)
        self.process.start()
        theirs.close()

    def give(self, cell: Cell) -> None:
        """Send a cell to the process. Raises MemoryLimitError when the process has ended."""
        try:
            self.pipe.send(cell)
        except OSError:
            raise self._gone() from None

    def receive(self) -> CellResult:
        """Wait for the answer and return it. An answer that is an error is raised."""
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            raise self._gone() from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def _gone(self) -> MemoryLimitError:
        self.process.join()
        code = self.process.exitcode or 0
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        return MemoryLimitError(
            f"a worker process {how}, perhaps for want of memory", hint="use fewer --jobs; what is finished is kept"
        )

    def stop(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join()


def _hand_out(workers: list[_Worker], cells: list[Cell]) -> Generator[CellResult, None, None]:
    """Give every free worker the next cell until all cells are answered."""
    waiting = iter(cells)
    by_pipe: dict[Any, _Worker] = {}
    for worker, cell in zip(workers, waiting):
        worker.give(cell)
        by_pipe[worker.pipe] = worker
    while by_pipe:
        for pipe in wait(list(by_pipe)):
            worker = by_pipe[pipe]
            result = worker.receive()
            following = next(waiting, None)
            if following is None:
                del by_pipe[pipe]
            else:
                worker.give(following)
            yield result


def _serve(pipe: Connection, shared: Shared) -> None:
    """Answer cells until the pipe is closed; the body of a child process.

    Ctrl-C reaches the whole group of processes, so the child ignores it: the parent decides when its children end.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Libraries that a strategy loads later read these variables.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
    # The parent ignores the same warnings.
    warnings.filterwarnings("ignore", message=".* encountered in (matmul|dot|vecdot)", category=RuntimeWarning)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    bench = shared.bench()
    with thread_limit(1), threadpool_limits(1):
        while True:
            try:
                cell = pipe.recv()
            except (EOFError, OSError):
                return
            try:
                pipe.send(_answer(bench, cell))
            except (BrokenPipeError, ConnectionResetError):
                return


def _leave_with_parent() -> None:
    """Wait for the end of the parent process, and end this process then."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _answer(bench: Bench, cell: Cell) -> CellResult | Exception:
    """Run a cell; return its result or its error. An unexpected error becomes text, since it may not survive a pipe."""
    try:
        return run_cell(bench, cell)
    except (AlcliError, MemoryError) as error:
        return error
    except Exception:
        return RuntimeError(f"strategy {cell.strategy}, seed {cell.seed}:\n{traceback.format_exc()}")
