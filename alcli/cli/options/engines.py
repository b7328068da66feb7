"""Options about where the work is done: in this process, in worker processes, or on a cluster."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from alcli.cli.options.declare import ENGINE, option
from alcli.cli.options.values import whole_number
from alcli.engine.named import ENGINES
from alcli.engine.on_ray import AUTO, LOCAL
from alcli.errors import UsageError


def ray_address(text: str, option: str) -> str:
    """The address of a Ray cluster. Raises UsageError for text of another form."""
    host, _, port = text.rpartition(":")
    if text in (AUTO, LOCAL) or (host and "/" not in host and port.isascii() and port.isdigit()):
        return text
    hint = "alcli runs on a node of the cluster, and ray:// is not needed" if text.startswith("ray://") else ""
    raise UsageError(f"{option} takes auto, local or HOST:PORT, got '{text}'", hint=hint)


# Strategies whose batch can be chosen in two rounds, and auto, which may take one of them.
_IN_TWO_ROUNDS = ("auto", "coreset", "maxherding", "uherding")

EngineName = Annotated[
    str,
    option(
        "--engine",
        ENGINE,
        "Where the work is done: on this machine, or on a Ray cluster. The result is the same.",
        choices=ENGINES,
    ),
]
RayAddress = Annotated[
    str | None,
    option(
        "--ray-address auto|local|HOST:PORT",
        ENGINE,
        "The Ray cluster that this machine is a node of: the one that runs here, or the one of a head node. local "
        "starts one on this machine for the command.",
        parse=ray_address,
        complete=lambda incomplete: [one for one in (AUTO, LOCAL) if one.startswith(incomplete)],
        default=AUTO,
    ),
]
Workers = Annotated[
    int | None,
    option(
        "--workers N",
        ENGINE,
        "Processes that share the rows; 1 does all in this process, with all processors. The result is the same.",
        parse=whole_number(1),
        default="1, on Ray all free processors",
    ),
]
CacheDir = Annotated[
    Path | None,
    option(
        "--cache-dir DIR",
        ENGINE,
        "Folder for features that do not fit in memory or that workers share. It keeps them for the next command.",
        default="a temporary folder, not kept",
    ),
]


Merge = Annotated[
    str,
    option(
        "--merge",
        ENGINE,
        "exact makes the batch of one process. With greedi, each worker chooses from its own rows, and the batch is "
        "chosen from what they chose: one round trip for a batch, for coreset, maxherding and uherding.",
        choices=("exact", "greedi"),
    ),
]


@dataclass(frozen=True)
class PlaceOptions:
    """The options that name the engine."""

    engine: EngineName = "local"
    ray_address: RayAddress = None

    def checked(self) -> None:
        """Raise UsageError for an address without a cluster."""
        if self.ray_address is not None and self.engine != "ray":
            raise UsageError("--ray-address is of a Ray cluster", hint="add --engine ray")

    @contextmanager
    def started(self, n_workers: int | None, folder: str | None, merge: str = "exact") -> Iterator[None]:
        """Do the work inside the context where the options say. folder: see `engine` of engine/named.py."""
        from alcli.engine.named import engine
        from alcli.numerics.teams import using

        with (
            engine(self.engine, n_workers, address=self.ray_address or AUTO, folder=folder) as found,
            using(found, merge),
        ):
            yield


@dataclass(frozen=True)
class ClusterOptions(PlaceOptions):
    """The options that say where the cells of a simulation are worked on."""

    cache_dir: CacheDir = None


@dataclass(frozen=True)
class EngineOptions(ClusterOptions):
    """The options that say where the rows of a choice are looked through."""

    workers: Workers = None
    merge: Merge = "exact"

    def checked_for(self, strategy: str) -> None:
        """Raise UsageError for options that do not go together, or not with a strategy."""
        self.checked()
        if self.merge != "exact" and strategy not in _IN_TWO_ROUNDS:
            *others, last = _IN_TWO_ROUNDS
            raise UsageError(f"--merge {self.merge} is for {', '.join(others)} and {last}, not for {strategy}")

    @contextmanager
    def working(self) -> Iterator[None]:
        """Look through rows inside the context where the options say."""
        from tempfile import gettempdir

        folder = gettempdir() if self.cache_dir is None else str(self.cache_dir)
        with self.started(self.workers, folder, self.merge):
            yield


@dataclass(frozen=True)
class EmbedEngineOptions(PlaceOptions):
    """The options that say where a model runs."""

    workers: Workers = None
