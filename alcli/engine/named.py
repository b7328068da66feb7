"""The engines by name. Importing this page loads none of them, so that help stays quick."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from alcli.engine.on_ray import AUTO

if TYPE_CHECKING:
    from alcli.numerics.teams import Engine

ENGINES = ("local", "ray")


@contextmanager
def engine(
    name: str, n_workers: int | None = None, *, address: str = AUTO, folder: str | None = None
) -> Iterator[Engine]:
    """The engine of a name; what it needs lasts as long as the context.

    n_workers: None takes this process itself, or all free processors of a cluster. address: of the Ray cluster.
    folder: where files lie that the workers of a cluster are to read; None looks for no file.
    Raises UnavailableError, MismatchError; see on_ray/cluster.py.
    """
    if name == "ray":
        from alcli.engine.on_ray.actors import on_ray

        with on_ray(address, n_workers, folder) as found:
            yield found
        return
    from alcli.engine.processes import Processes
    from alcli.numerics.teams import Here

    yield Here() if n_workers in (None, 1) else Processes(n_workers or 1)
