"""Workers of a Ray cluster: one actor for each shard of a choice, or for each row of cells.

Ray is told to restart and repeat nothing. A lost actor is made again here and told what the lost one was told, as a
lost process is, so that one rule holds for all engines.
Cost: about 1.5 ms for a round trip to two actors, and 1.5 to 2.5 s for their start.
"""

from __future__ import annotations

import dataclasses
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from copy import deepcopy
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from alcli.engine.holder import Holder
from alcli.engine.lasting import LastingTeam, LostError, Member
from alcli.engine.on_ray.cluster import WATCH, RayCluster, connected
from alcli.engine.on_ray.nodes import Node, about, move_to
from alcli.errors import UnavailableError
from alcli.numerics.blocks import thread_limit, workers
from alcli.numerics.teams import Blueprint, Blueprints, Team, ranges

# Seconds until a worker must have started.
_STARTING = 120.0
# Arguments of this size are sent to a node once, and not to each of its workers.
_LARGE = 1 << 17


@contextmanager
def on_ray(address: str, n_workers: int | None, folder: str | None) -> Iterator[Ray]:
    """The engine of a cluster, connected for as long as the context lasts; see `connected`."""
    with connected(address, n_workers, folder) as cluster:
        yield Ray(cluster, min(n_workers or cluster.n_free, cluster.n_free))


class Ray:
    """The engine of `--engine ray`. n_workers: shards of a choice, and cells at a time, at most the free processors."""

    apart = True

    def __init__(self, cluster: RayCluster, n_workers: int, n_shards: int | None = None) -> None:
        self.n_workers = n_workers
        self._cluster, self._n_shards = cluster, n_shards
        self._claims = n_workers
        self._actors: list[_Actor] = []

    @contextmanager
    def team(self, n: int, parts: Blueprints) -> Iterator[Team]:
        """Start an actor for each shard of n rows; they end with the context."""
        found = ranges(n, self._n_shards or self.n_workers)
        team = LastingTeam(found, [parts(a, b) for a, b in found], self.begin, self._pack)
        try:
            yield team
        finally:
            team.stop()

    def begin(self, part: Blueprint) -> Member:
        """Start an actor of one thread.

        Each of the first `n_workers` claims a processor. One that takes the place of a lost actor claims none, for the
        processor may be lost too: it goes to the node that is left with the fewest actors a processor.
        """
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._cluster.alive()
        claims = self._claims > 0
        where: Any = "SPREAD"
        if claims:
            self._claims -= 1
        elif processors := self._cluster.processors():
            taken = Counter(actor.place for actor in self._actors)
            place = min(processors, key=lambda place: taken[place] / processors[place])
            where = NodeAffinitySchedulingStrategy(place, soft=False)
        needs = {"num_cpus": int(claims), "num_gpus": part.gpus}
        make = self._cluster.ray.remote(**needs, max_restarts=0, max_task_retries=0)(Servant)
        actor = make.options(scheduling_strategy=where).remote(part, self._cluster.folder)
        self._actors.append(_Actor(self, self._cluster, actor, claims))
        return self._actors[-1]

    def ready(self, members: Sequence[Any]) -> list[int]:
        """Wait for any of the actors; one that was lost counts as ready."""
        refs = [member.waited for member in members]
        while True:
            done, _ = self._cluster.ray.wait(refs, num_returns=1, timeout=WATCH, fetch_local=False)
            if done:
                return [refs.index(ref) for ref in done]
            self._cluster.alive()

    def ended(self, actor: _Actor, frees: bool) -> None:
        """Forget an actor. frees: True where its processor is free again."""
        self._claims += frees
        if actor in self._actors:
            self._actors.remove(actor)

    def _pack(self, args: tuple[Any, ...]) -> Any:
        return self._cluster.ray.put(args) if _size(args) >= _LARGE else args


class _Actor:
    """A `Member` that is an actor. place: the id of its node, once it is known."""

    place: str | None = None

    def __init__(self, owner: Ray, cluster: RayCluster, actor: Any, claims: bool) -> None:
        self._owner, self._cluster, self._actor, self._claims = owner, cluster, actor, claims
        self._refs: deque[Any] = deque()
        self._about: Any = actor.about.remote()

    @property
    def waited(self) -> Any:
        """The reference that stands for the next answer until it has come."""
        return self._refs[0]

    def send(self, call: str, args: Any) -> None:
        try:
            self._refs.append(self._actor.answer.remote(call, args))
        except self._cluster.ray.exceptions.RayError as error:
            raise self._lost(error) from None

    def receive(self) -> Any:
        if self._about is not None:
            # Nodes that have joined since the beginning are looked at here.
            self.place, node = self._wait(self._about, _STARTING)
            self._about = None
            self._cluster.refuse_other(node)
        answer = self._wait(self._refs.popleft())
        if isinstance(answer, BaseException):
            raise answer
        # Ray's arrays are read-only views of its memory.
        return deepcopy(answer)

    def stop(self) -> None:
        with suppress(Exception):
            self._cluster.ray.kill(self._actor)
        self._owner.ended(self, self._claims)
        self._claims = False

    def _wait(self, ref: Any, most: float = float("inf")) -> Any:
        """Wait for an answer, and look now and then whether the cluster is still there."""
        from ray.exceptions import GetTimeoutError, RayError, RayTaskError

        begun = time.monotonic()
        while True:
            try:
                return self._cluster.ray.get(ref, timeout=WATCH)
            except GetTimeoutError:
                self._cluster.alive()
                if time.monotonic() - begun > most:
                    what = f"a worker of the Ray cluster has not started within {most:.0f} s"
                    raise UnavailableError(what, hint="use fewer --workers, or wait for others to finish") from None
            except RayTaskError as error:
                raise RuntimeError(str(error)) from error
            except RayError as error:
                raise self._lost(error) from None

    def _lost(self, error: Exception) -> LostError:
        self._cluster.alive()
        # Its processor may be lost with it.
        self._claims = False
        return LostError(f"of the Ray cluster was lost ({type(error).__name__})")


class Servant:
    """The actor: holds a shard, and lets it use one thread."""

    def __init__(self, part: Blueprint, folder: str) -> None:
        move_to(folder)
        self._limits = ExitStack()
        self._limits.enter_context(threadpool_limits(1))
        with thread_limit(1):
            self._holder = Holder(deepcopy(part), self._limits.enter_context(workers()))

    def about(self) -> tuple[str, Node]:
        """The id of the node, and what there is to know of it."""
        import ray

        return ray.get_runtime_context().get_node_id(), about()

    def answer(self, call: str, args: tuple[Any, ...]) -> Any:
        """See `Holder`."""
        with thread_limit(1):
            return self._holder.answer(call, deepcopy(args))


def _size(value: Any) -> int:
    """The bytes of the arrays in a value."""
    if isinstance(value, np.ndarray):
        return value.nbytes
    if isinstance(value, (list, tuple)):
        return sum(map(_size, value))
    if dataclasses.is_dataclass(value):
        return sum(_size(getattr(value, field.name)) for field in dataclasses.fields(value))
    return 0
