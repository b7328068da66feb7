"""A team whose shards live elsewhere, and are made again where they are lost.

A worker process can be killed, and a machine of a cluster can go away. Every answer of a shard follows from how the
shard was made and from what it was told since, in that order. So the team keeps the list of what it told, and tells all
of it to a new shard in the place of one that was lost. No pick and no score can differ.
Memory: what was told, which is small: numbers of rows, and a few vectors for each pick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from alcli.errors import MemoryLimitError
from alcli.numerics.teams import Blueprint, Range

# A shard that is lost more often is given up: the cause is probably the shard itself.
MOST_LOSSES = 3


class LostError(Exception):
    """A member has gone. The text says how, such as "was killed by signal 9"."""


class Member(Protocol):
    """Holds one shard elsewhere. It answers calls in order; its methods raise `LostError` when it has gone."""

    def send(self, call: str, args: Any) -> None:
        """Ask for a call of a method of the shard, and do not wait. args: as `pack` of the team returned them."""

    def receive(self) -> Any:
        """Wait for the next answer and return it. An error of the shard is raised."""

    def stop(self) -> None:
        """End the member; it may have ended already."""


class LastingTeam:
    """A `Team` of members.

    begin: starts a member that makes the shard of a part. pack: turns arguments for all members into what each is sent.
    """

    def __init__(
        self,
        ranges: list[Range],
        parts: list[Blueprint],
        begin: Callable[[Blueprint], Member],
        pack: Callable[[tuple[Any, ...]], Any] = tuple,
    ) -> None:
        self.ranges = ranges
        self._parts, self._begin, self._pack = parts, begin, pack
        self._told: list[list[tuple[str, Any]]] = [[] for _ in parts]
        self._losses = [0] * len(parts)
        self._members: list[Member | None] = [begin(part) for part in parts]

    def ask(self, call: str, *args: Any) -> list[Any]:
        return self._call(range(len(self._parts)), call, self._pack(args))

    def tell(self, call: str, *args: Any) -> list[Any]:
        packed = self._pack(args)
        answers = self._call(range(len(self._parts)), call, packed)
        for told in self._told:
            told.append((call, packed))
        return answers

    def ask_one(self, shard: int, call: str, *args: Any) -> Any:
        return self._call([shard], call, args)[0]

    def tell_one(self, shard: int, call: str, *args: Any) -> Any:
        answer = self.ask_one(shard, call, *args)
        self._told[shard].append((call, args))
        return answer

    def stop(self) -> None:
        """End all members."""
        for member in filter(None, self._members):
            member.stop()

    def _call(self, shards: range | list[int], call: str, args: Any) -> list[Any]:
        """Call all shards before the first answer is waited for, so that they work at the same time."""
        for shard in shards:
            self._send(shard, call, args)
        return [self._answer(shard, call, args) for shard in shards]

    def _send(self, shard: int, call: str, args: Any) -> None:
        member = self._members[shard]
        assert member is not None
        try:
            member.send(call, args)
        except LostError as loss:
            self._renew(shard, loss)
            self._send(shard, call, args)

    def _answer(self, shard: int, call: str, args: Any) -> Any:
        member = self._members[shard]
        assert member is not None
        try:
            return member.receive()
        except LostError as loss:
            self._renew(shard, loss)
            self._send(shard, call, args)
            return self._answer(shard, call, args)

    def _renew(self, shard: int, loss: LostError) -> None:
        """Put a new member in the place of a lost one, and tell it what the lost one was told.

        Raises MemoryLimitError where the shard was lost too often.
        """
        while True:
            self._losses[shard] += 1
            if self._losses[shard] > MOST_LOSSES:
                raise MemoryLimitError(
                    f"a worker {loss}, {self._losses[shard]} times, perhaps for want of memory",
                    hint="use fewer --workers",
                ) from loss
            lost, self._members[shard] = self._members[shard], None
            if lost is not None:
                lost.stop()
            try:
                member = self._begin(self._parts[shard])
                self._members[shard] = member
                for call, args in self._told[shard]:
                    member.send(call, args)
                    member.receive()
                return
            except LostError as another:
                loss = another
