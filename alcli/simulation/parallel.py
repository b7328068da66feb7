"""Cells in several processes that share one memory-mapped feature matrix, one thread of linear algebra each.

Every process waits for cells on a pipe of its own, and watches this process: when it ends, however it does, so do they.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from alcli.arrays import Array, Floats, Int64
from alcli.errors import AlcliError, MemoryLimitError
from alcli.numerics.blocks import thread_limit
from alcli.simulation.plan import Cell, Plan
from alcli.simulation.results import CellResult
from alcli.simulation.rounds import Bench, run_cell
from alcli.strategies._arrays import ArraySource


@dataclass(frozen=True)
class Matrix:
    """A file of raw numbers, row by row."""

    path: Path
    dtype: str
    shape: tuple[int, int]

    def open(self) -> Floats:
        """The matrix as a read-only memory map."""
        return np.memmap(self.path, self.dtype, "r", shape=self.shape)


@dataclass(frozen=True)
class Shared:
    """A `Bench` in a form that can be sent to another process: the features stay in their file."""

    features: Matrix
    ids: Array
    y_N: Array
    usable: Int64
    test: Int64 | None
    n_classes: int | None
    plan: Plan

    def bench(self) -> Bench:
        source = ArraySource(self.features.open(), self.ids)
        return Bench(source, self.y_N, self.usable, self.test, self.n_classes, self.plan)


def run_cells(shared: Shared, cells: Sequence[Cell], jobs: int) -> Generator[CellResult, None, None]:
    """The results of `cells`, each as soon as it is there. One job runs here, more run in as many processes.

    An error in a cell ends the others and is raised here. Raises MemoryLimitError when a worker is killed.
    """
    if min(jobs, len(cells)) <= 1:
        bench = shared.bench()
        for cell in cells:
            with threadpool_limits(1):
                result = run_cell(bench, cell)
            yield result
        return
    workers = [_Worker(shared) for _ in range(min(jobs, len(cells)))]
    try:
        yield from _hand_out(workers, list(cells))
    finally:
        for worker in workers:
            worker.stop()


class _Worker:
    """A process and this end of its pipe."""

    def __init__(self, shared: Shared) -> None:
        # Not fork: threads of the parent (BLAS, faiss, the reader of a pool) may hold locks at that moment.
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, shared), daemon=True)
        self.process.start()
        theirs.close()

    def receive(self) -> CellResult:
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            how = f"was killed by signal {-(self.process.exitcode or 0)}" if (self.process.exitcode or 0) < 0 else "ended early"
            raise MemoryLimitError(
                f"a worker process {how}, perhaps for want of memory", hint="use fewer --jobs; what is finished is kept"
            ) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]

    def stop(self) -> None:
        self.pipe.close()
        self.process.terminate()
        self.process.join()


def _hand_out(workers: list[_Worker], cells: list[Cell]) -> Generator[CellResult, None, None]:
    """Give every free worker the next cell until all are answered."""
    waiting = iter(cells)
    by_pipe: dict[Any, _Worker] = {}
    for worker, cell in zip(workers, waiting):
        worker.pipe.send(cell)
        by_pipe[worker.pipe] = worker
    while by_pipe:
        for pipe in wait(list(by_pipe)):
            worker = by_pipe[pipe]
            result = worker.receive()
            following = next(waiting, None)
            if following is None:
                del by_pipe[pipe]
            else:
                worker.pipe.send(following)
            yield result


def _serve(pipe: Connection, shared: Shared) -> None:
    """A worker's life. Ctrl-C reaches the whole group of processes; the parent decides when workers end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Read by libraries that are loaded later, when a strategy first needs them.
    os.environ.update(OMP_NUM_THREADS="1", OPENBLAS_NUM_THREADS="1", MKL_NUM_THREADS="1")
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
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def _answer(bench: Bench, cell: Cell) -> CellResult | Exception:
    try:
        return run_cell(bench, cell)
    except (AlcliError, MemoryError) as error:
        return error
    except Exception:  # sent to the parent as text: the original may not survive the pipe
        return RuntimeError(f"strategy {cell.strategy}, seed {cell.seed}:\n{traceback.format_exc()}")
