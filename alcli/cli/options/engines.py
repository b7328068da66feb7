"""Options about where the work is done: in this process, in worker processes, or on a cluster."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from alcli.cli.options.declare import ENGINE, option
from alcli.cli.options.values import whole_number
from alcli.engine.named import ENGINES

EngineName = Annotated[
    str,
    option(
        "--engine",
        ENGINE,
        "Where the rows are looked through: on this machine, or on a Ray cluster. The picks are the same.",
        choices=ENGINES,
    ),
]
Workers = Annotated[
    int,
    option(
        "--workers N",
        ENGINE,
        "Processes that share the rows; 1 does all in this process, with all processors. The picks are the same.",
        parse=whole_number(),
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


@dataclass(frozen=True)
class EngineOptions:
    """The options that say where the rows of a choice are looked through."""

    engine: EngineName = "local"
    workers: Workers = 1
    cache_dir: CacheDir = None
