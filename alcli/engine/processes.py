"""Worker processes of this machine, one shard each. They read the features from one file, which all of them share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from alcli.engine.children import Child
from alcli.engine.holder import Holder
from alcli.engine.lasting import LastingTeam, LostError, Member
from alcli.numerics.blocks import n_threads, workers
from alcli.numerics.teams import Blueprint, Blueprints, Team, ranges


@dataclass(frozen=True)
class Processes:
    """The engine of `--workers N`. n_shards: the shards of a choice; None makes one for each worker."""

    n_workers: int
    n_shards: int | None = None
    apart: bool = True

    @contextmanager
    def team(self, n: int, parts: Blueprints) -> Iterator[Team]:
        """Start a process for each shard of n rows; they end with the context."""
        found = ranges(n, self.n_shards or self.n_workers)
        threads = max(1, n_threads() // len(found))
        team = LastingTeam(found, [parts(a, b) for a, b in found], lambda part: _Process(part, threads))
        try:
            yield team
        finally:
            team.stop()

    def begin(self, part: Blueprint) -> Member:
        """Start a process of one thread; see `Crew`."""
        return _Process(part, 1)

    def ready(self, members: Sequence[Any]) -> list[int]:
        """Wait for any of the processes; one that has ended counts as ready."""
        pipes = [member.pipe for member in members]
        return [pipes.index(pipe) for pipe in wait(pipes)]


class _Process:
    """A `Member` in a child process."""

    def __init__(self, part: Blueprint, threads: int) -> None:
        self._child = Child(_serve, (part,), threads)
        self.pipe, self.process = self._child.pipe, self._child.process

    def send(self, call: str, args: tuple[Any, ...]) -> None:
        try:
            self.pipe.send((call, args))
        except OSError:
            raise LostError(self._child.end()) from None

    def receive(self) -> Any:
        try:
            answer = self.pipe.recv()
        except (EOFError, OSError):
            raise LostError(self._child.end()) from None
        if isinstance(answer, BaseException):
            raise answer
        return answer

    def stop(self) -> None:
        self._child.stop()


def _serve(pipe: Connection, part: Blueprint) -> None:
    """Answer calls until the pipe is closed."""
    with workers() as spread:
        holder = Holder(part, spread)
        while True:
            try:
                call, args = pipe.recv()
            except (EOFError, OSError):
                return
            try:
                pipe.send(holder.answer(call, args))
            except (BrokenPipeError, ConnectionResetError):
                return
