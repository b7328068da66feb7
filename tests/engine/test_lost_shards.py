"""Choices whose shards are lost on the way: made again and told what they were told, they find the same."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from alcli.engine.lasting import LastingTeam, LostError
from alcli.numerics.blocks import BLOCK_ROWS, alone
from alcli.numerics.diversity import balls, herding
from alcli.numerics.diversity.balls import ball_cover
from alcli.numerics.diversity.herding import max_herding
from alcli.numerics.rows import unit_rows
from alcli.numerics.teams import Blueprint, Blueprints, Team, ranges, using

X = unit_rows(np.random.default_rng(0).standard_normal((3 * BLOCK_ROWS, 4)).astype(np.float32))


@dataclass
class Frail:
    """Shards in this process, one of which is lost at some of the calls."""

    losses: tuple[int, ...]
    calls: int = 0
    lost: list[str] = field(default_factory=list)
    apart: bool = False

    def team(self, n: int, parts: Blueprints) -> AbstractContextManager[Team]:
        found = ranges(n, 3)
        made = [parts(a, b) for a, b in found]
        return nullcontext(LastingTeam(found, made, lambda part: FrailMember(part, self)))


class FrailMember:
    """A shard that may be lost when it is called."""

    def __init__(self, part: Blueprint, engine: Frail) -> None:
        self.shard, self.engine, self.answers = part.make(alone, *part.args), engine, list[Any]()

    def send(self, call: str, args: tuple[Any, ...]) -> None:
        self.engine.calls += 1
        if self.engine.calls in self.engine.losses:
            self.engine.lost.append(call)
            raise LostError("was killed by signal 9")
        self.answers.append(getattr(self.shard, call)(*args))

    def receive(self) -> Any:
        return self.answers.pop(0)

    def stop(self) -> None:
        self.shard = None


def herded(kept: int) -> list[bytes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(herding, "KEPT", kept)
        return [part.tobytes() for part in max_herding(X, 40, X[:300].copy(), X[:0], bandwidth=0.7)]


def covered() -> list[bytes]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(balls, "MOST_PAIRS", 20_000)
        found = ball_cover(X, 40, X[:300].copy(), X[:3], 0.9)
    return [found.picks.tobytes(), found.counts.tobytes(), np.float64(found.radius).tobytes()]


@pytest.mark.parametrize("losses", [(2,), (20, 41, 62), (50, 100)])
@pytest.mark.parametrize(
    "choice",
    [lambda: herded(0), lambda: herded(150_000), lambda: herded(1 << 23), covered],
    ids=["bounds", "bounds, then pairs", "pairs", "balls"],
)
def test_lost_shards_do_not_matter(choice: Callable[[], list[bytes]], losses: tuple[int, ...]) -> None:
    expected, engine = choice(), Frail(losses)
    with using(engine):
        assert choice() == expected
    assert len(engine.lost) == len(losses)
