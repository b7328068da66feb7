"""Teams of shards: the rows of a choice in ranges of whole blocks, each looked after by a shard of its own.

A greedy choice asks every shard for its best row, takes the best of these, and tells every shard the pick. A shard is
an object of any class that is written beside the choice; it holds rows first..last and what is known of them. This page
makes shards in this process. Worker processes and a cluster make the same shards elsewhere (engine/).

A shard begins where a block of `BLOCK_ROWS` rows begins. Products are computed by whole blocks, and the best of the
shards' bests is the best, so that no pick and no score depends on the number of shards, or on where the shards are.

Whatever passes between a choice and its shards must be picklable. A shard may be lost with its process: it is then made
again, and told again whatever it was told. So a method that changes a shard is called by `tell`, and its outcome
follows from the shard and the arguments alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np

from alcli.numerics.blocks import BLOCK_ROWS, workers

Range: TypeAlias = tuple[int, int]


@dataclass(frozen=True)
class Blueprint:
    """A shard that is to be made: its class, or a function, and the arguments after the first one.

    The first argument is a `Spread` of blocks.py: the threads that the shard may use. gpus: those that it claims on a
    cluster.
    """

    make: Callable[..., Any]
    args: tuple[Any, ...]
    gpus: int = 0


# (first, last) -> the shard of rows first..last
Blueprints: TypeAlias = Callable[[int, int], Blueprint]


class Team(Protocol):
    """The shards of one choice."""

    @property
    def ranges(self) -> list[Range]:
        """(first, last) of the rows of each shard, ascending; together they are all rows."""

    def ask(self, call: str, *args: Any) -> list[Any]:
        """Call a method of every shard that changes nothing; return the answers in the order of the shards."""

    def tell(self, call: str, *args: Any) -> list[Any]:
        """Call a method of every shard that changes the shard; return the answers in the order of the shards."""

    def ask_one(self, shard: int, call: str, *args: Any) -> Any:
        """Call a method of one shard that changes nothing."""

    def tell_one(self, shard: int, call: str, *args: Any) -> Any:
        """Call a method of one shard that changes the shard."""


class Engine(Protocol):
    """Makes teams."""

    @property
    def apart(self) -> bool:
        """True where the shards live in other processes, which read large arrays from files."""

    def team(self, n: int, parts: Blueprints) -> AbstractContextManager[Team]:
        """A team for n rows, which ends with the context."""


class HereTeam:
    """Shards in this process, asked one after another; each uses all threads."""

    def __init__(self, ranges: list[Range], shards: list[Any]) -> None:
        self.ranges, self._shards = ranges, shards

    def ask(self, call: str, *args: Any) -> list[Any]:
        return [getattr(shard, call)(*args) for shard in self._shards]

    def ask_one(self, shard: int, call: str, *args: Any) -> Any:
        return getattr(self._shards[shard], call)(*args)

    tell, tell_one = ask, ask_one


@dataclass(frozen=True)
class Here:
    """The engine that makes shards in this process: one, unless a test of the law above asks for more."""

    n_shards: int = 1
    apart: bool = False

    @contextmanager
    def team(self, n: int, parts: Blueprints) -> Iterator[Team]:
        """Make the shards of n rows."""
        found = ranges(n, self.n_shards)
        with workers() as spread:
            yield HereTeam(found, [part.make(spread, *part.args) for part in (parts(a, b) for a, b in found)])


_engine: ContextVar[Engine | None] = ContextVar("engine", default=None)
_merge: ContextVar[str] = ContextVar("merge", default="exact")


@contextmanager
def using(engine: Engine, merge: str = "exact") -> Iterator[None]:
    """Make the teams of choices inside the context by an engine. merge: exact, or greedi for two_rounds.py."""
    tokens = _engine.set(engine), _merge.set(merge)
    try:
        yield
    finally:
        _engine.reset(tokens[0])
        _merge.reset(tokens[1])


def current_engine() -> Engine:
    """The engine of the context; that of this process unless `using` names another."""
    return _engine.get() or Here()


def current_merge() -> str:
    """The rule of the context by which a greedy choice joins what shards find: exact, or greedi."""
    return _merge.get()


def team(n: int, parts: Blueprints) -> AbstractContextManager[Team]:
    """Make a team for n rows by the engine of the context."""
    return current_engine().team(n, parts)


def one_shard(n: int, parts: Blueprints) -> AbstractContextManager[Team]:
    """Make a team of a single shard in this process, for rows that cannot be cut."""
    return Here().team(n, parts)


def ranges(n: int, n_shards: int) -> list[Range]:
    """Cut n rows into at most n_shards ranges of whole blocks, as even as whole blocks allow; one range for 0 rows."""
    n_blocks = -(-n // BLOCK_ROWS)
    n_shards = max(1, min(n_shards, n_blocks))
    cuts = [min(n, BLOCK_ROWS * (n_blocks * s // n_shards)) for s in range(n_shards + 1)]
    return list(itertools.pairwise(cuts))


def owner(team: Team, row: int) -> int:
    """The number of the shard that holds a row."""
    return int(np.searchsorted([last for _, last in team.ranges], row, side="right"))
