"""A node of the cluster, seen from inside: its versions, and whether it sees a file.

A node is asked before the work. NumPy of another version may compute other bits, and another alcli may have other
shards, so a node with other versions is refused. This page loads nothing that needs NumPy, for a node may lack it.
"""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata

from alcli.engine.kernels import can_pin

LIBRARIES = ("ray", "numpy", "pyarrow")


@dataclass(frozen=True)
class Node:
    """The answer of a node about itself. versions: by name. sees: True where it reads the probe, or need read none.

    pins: see `kernels.can_pin`.
    """

    name: str
    versions: dict[str, str]
    sees: bool = True
    pins: bool = True


@dataclass(frozen=True)
class Probe:
    """A small file that every node is to read. path: may be relative to `folder`, the folder of the command."""

    path: str
    content: bytes
    folder: str


def versions() -> dict[str, str]:
    """The versions of alcli, of Python, and of the libraries, in this process."""
    from alcli import __version__

    return {"alcli": __version__, "python": platform.python_version()} | {name: _version(name) for name in LIBRARIES}


def about(probe: Probe | None = None) -> Node:
    """Versions of the node of this process, and whether it sees the probe."""
    return Node(platform.node(), versions(), probe is None or _sees(probe), can_pin())


def move_to(folder: str) -> None:
    """Make a folder the current one, so that relative paths mean the same as in the command; skip one not there."""
    with suppress(OSError):
        os.chdir(folder)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "none"


def _sees(probe: Probe) -> bool:
    move_to(probe.folder)
    try:
        with open(probe.path, "rb") as file:
            return file.read() == probe.content
    except OSError:
        return False
