"""Tasks that do not depend on each other, handed to workers one at a time, each as soon as a worker is free.

A task is a call of one method of an object that every worker makes for itself. Its answer follows from the object and
the task alone, so a task whose worker was lost is given to a new worker.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Sequence
from typing import Any, Protocol, runtime_checkable

from alcli.engine.lasting import MOST_LOSSES, LostError, Member
from alcli.errors import MemoryLimitError
from alcli.numerics.teams import Blueprint


@runtime_checkable
class Crew(Protocol):
    """Starts workers."""

    @property
    def n_workers(self) -> int:
        """The number of workers at a time."""

    def begin(self, part: Blueprint) -> Member:
        """Start a worker that makes the object of a part. It uses one thread."""

    def ready(self, members: Sequence[Any]) -> list[int]:
        """Wait for the answer of any of these workers, and return the places of those whose answer has come."""


def answers(crew: Crew, part: Blueprint, call: str, tasks: Iterable[Any], hint: str) -> Generator[Any, None, None]:
    """Yield the answers to the tasks, in the order in which they come.

    An error of a task ends the workers and is raised here. Raises MemoryLimitError with the hint where a task has lost
    its worker too often.
    """
    floor = _Floor(crew, part, call, hint)
    waiting = iter(tasks)
    try:
        for _, task in zip(range(crew.n_workers), waiting):
            floor.give(None, task)
        while floor.busy:
            for member, task in [floor.busy[place] for place in crew.ready([one for one, _ in floor.busy])]:
                floor.busy.remove((member, task))
                try:
                    answer = member.receive()
                except LostError as loss:
                    floor.again(member, task, loss)
                    continue
                following = next(waiting, floor)
                if following is floor:
                    floor.dismiss(member)
                else:
                    floor.give(member, following)
                yield answer
    finally:
        floor.close()


class _Floor:
    """The workers and the tasks that they are at. busy: (worker, its task)."""

    def __init__(self, crew: Crew, part: Blueprint, call: str, hint: str) -> None:
        self._crew, self._part, self._call, self._hint = crew, part, call, hint
        self._all: list[Member] = []
        self._losses: dict[int, int] = {}
        self.busy: list[tuple[Member, Any]] = []

    def give(self, member: Member | None, task: Any) -> None:
        """Give a task to a worker; None starts one."""
        if member is None:
            member = self._crew.begin(self._part)
            self._all.append(member)
        try:
            member.send(self._call, (task,))
        except LostError as loss:
            return self.again(member, task, loss)
        self.busy.append((member, task))

    def again(self, lost: Member, task: Any, loss: LostError) -> None:
        """Give the task of a lost worker to a new one."""
        self.dismiss(lost)
        losses = self._losses[id(task)] = self._losses.get(id(task), 0) + 1
        if losses > MOST_LOSSES:
            what = f"a worker {loss}, {losses} times at the same task, perhaps for want of memory"
            raise MemoryLimitError(what, hint=self._hint) from loss
        self.give(None, task)

    def dismiss(self, member: Member) -> None:
        """End a worker."""
        self._all.remove(member)
        member.stop()

    def close(self) -> None:
        """End all workers."""
        for member in self._all:
            member.stop()
