"""Worker processes of this machine, one shard each. They read the features from one file, which all of them share."""

from __future__ import annotations

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from alcli.engine.children import Child
from alcli.engine.lasting import LastingTeam, LostError
from alcli.errors import AlcliError
from alcli.numerics.blocks import n_threads, workers
from alcli.numerics.teams import Part, Parts, Team, ranges


@dataclass(frozen=True)
class Processes:
    """The engine of `--workers N`. n_shards: the shards of a choice; None makes one for each worker."""

    n_workers: int
    n_shards: int | None = None
    apart: bool = True

    @contextmanager
    def team(self, n: int, parts: Parts) -> Iterator[Team]:
        """Start a process for each shard of n rows; they end with the context."""
        found = ranges(n, self.n_shards or self.n_workers)
        threads = max(1, n_threads() // len(found))
        team = LastingTeam(found, [parts(a, b) for a, b in found], lambda part: _Process(part, threads))
        try:
            yield team
        finally:
            team.stop()


class _Process:
    """A `Member` in a child process."""

    def __init__(self, part: Part, threads: int) -> None:
        self._child = Child(_serve, (part,), threads)

    def send(self, call: str, args: tuple[Any, ...]) -> None:
        try:
            self._child.pipe.send((call, args))
        except OSError:
            raise LostError(self._child.end()) from None

    def receive(self) -> Any:
        try:
            answer = self._child.pipe.recv()
        except (EOFError, OSError):
            raise LostError(self._child.end()) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def stop(self) -> None:
        self._child.stop()


def _serve(pipe: Connection, part: Part) -> None:
    """Make the shard, and answer calls until the pipe is closed."""
    made: Any = None
    with workers() as spread:
        while True:
            try:
                call, args = pipe.recv()
            except (EOFError, OSError):
                return
            try:
                made = part.make(spread, *part.args) if made is None else made
                pipe.send(getattr(made, call)(*args))
            except (BrokenPipeError, ConnectionResetError):
                return
            except (AlcliError, MemoryError) as error:
                pipe.send(error)
            except Exception:
                # An unexpected error becomes text, since it may not survive a pipe.
                pipe.send(RuntimeError(f"{call}:\n{traceback.format_exc()}"))
