"""Cells in several processes, with one thread of linear algebra each, that share one memory-mapped feature matrix.

Every process waits for cells on a pipe of its own.
"""

from __future__ import annotations

import traceback
from collections.abc import Generator, Sequence
from multiprocessing.connection import Connection, wait
from typing import Any

from threadpoolctl import threadpool_limits

from alcli.engine.children import Child
from alcli.errors import AlcliError, MemoryLimitError
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
        for _ in range(min(jobs, len(cells))):
            workers.append(_Worker(shared))
        yield from _hand_out(workers, list(cells))
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A child process, and the parent's end of its pipe."""

    def __init__(self, shared: Shared) -> None:
        self._child = Child(_serve, (shared,))
        self.pipe, self.process = self._child.pipe, self._child.process

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
        return MemoryLimitError(
            f"a worker process {self._child.end()}, perhaps for want of memory",
            hint="use fewer --jobs; what is finished is kept",
        )

    def stop(self) -> None:
        self._child.stop()


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
    """Answer cells until the pipe is closed."""
    bench = shared.bench()
    while True:
        try:
            cell = pipe.recv()
        except (EOFError, OSError):
            return
        try:
            pipe.send(_answer(bench, cell))
        except (BrokenPipeError, ConnectionResetError):
            return


def _answer(bench: Bench, cell: Cell) -> CellResult | Exception:
    """Run a cell; return its result or its error. An unexpected error becomes text, since it may not survive a pipe."""
    try:
        return run_cell(bench, cell)
    except (AlcliError, MemoryError) as error:
        return error
    except Exception:
        return RuntimeError(f"strategy {cell.strategy}, seed {cell.seed}:\n{traceback.format_exc()}")
