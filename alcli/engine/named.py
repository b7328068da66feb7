"""The engines by name."""

from __future__ import annotations

from alcli.engine.processes import Processes
from alcli.numerics.teams import Engine, Here

ENGINES = ("local",)


def engine(name: str, n_workers: int) -> Engine:
    """The engine of a name for a number of workers; one local worker is this process itself."""
    return Here() if n_workers == 1 else Processes(n_workers)
