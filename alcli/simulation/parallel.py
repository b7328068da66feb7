"""Cells in several processes, with one thread of linear algebra each, that share one memory-mapped feature matrix."""

from __future__ import annotations

import traceback
from collections.abc import Generator, Sequence

from threadpoolctl import threadpool_limits

from alcli.engine.crews import Crew, answers
from alcli.engine.processes import Processes
from alcli.errors import AlcliError
from alcli.numerics.blocks import Spread
from alcli.numerics.teams import Blueprint, current_engine
from alcli.simulation.cell import run_cell
from alcli.simulation.plan import Cell
from alcli.simulation.results import CellResult
from alcli.simulation.shared import Shared


def run_cells(shared: Shared, cells: Sequence[Cell], jobs: int) -> Generator[CellResult, None, None]:
    """Yield the results of `cells`, each as soon as it is ready.

    The engine of the context runs the cells where it has workers of its own. Otherwise one job runs in this process,
    more in child processes. A cell whose worker was lost runs again. An error in a cell ends the workers and is raised
    here. Raises MemoryLimitError when a cell loses its worker again and again.
    """
    crew = current_engine()
    if not isinstance(crew, Crew):
        if min(jobs, len(cells)) <= 1:
            bench = shared.bench()
            for cell in cells:
                with threadpool_limits(1):
                    result = run_cell(bench, cell)
                yield result
            return
        crew = Processes(jobs)
    yield from answers(
        crew, Blueprint(CellRunner, (shared,)), "run", cells, hint="use fewer --jobs; what is finished is kept"
    )


class CellRunner:
    """Runs cells in a worker."""

    def __init__(self, spread: Spread, shared: Shared) -> None:
        self._bench = shared.bench()

    def run(self, cell: Cell) -> CellResult:
        """Run a cell. An unexpected error gets the name of the cell."""
        try:
            return run_cell(self._bench, cell)
        except (AlcliError, MemoryError):
            raise
        except Exception:
            text = f"strategy {cell.strategy}, seed {cell.seed}:\n{traceback.format_exc()}"
            raise RuntimeError(text) from None
