"""The same picks and the same scores for any number of shards, in this process and in others."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alcli.data.cached.file_array import new_file
from alcli.engine.processes import Processes
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.diversity.kmeanspp import k_means_pp
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows, feature_rows
from alcli.numerics.teams import Engine, Here, ranges, using

N, D = 5 * BLOCK_ROWS + 77, 12


def features(kind: str) -> np.ndarray:
    rng = np.random.default_rng(5)
    X = rng.standard_normal((N, D)).astype(np.float32) + 4 * rng.standard_normal((20, D))[rng.integers(20, size=N)]
    if kind == "copies":
        # Copies in other shards, and rows that are all equal.
        X[rng.permutation(N)[: N // 2]] = X[rng.integers(30, size=N // 2)]
    return X.astype(np.float32)


def centres(X: BlockArray) -> Any:
    return k_center(feature_rows(X, X[:5])[0], 40, feature_rows(X, X[:5])[1])


def from_the_origin(X: BlockArray) -> Any:
    rows = Rows(Factor(X))
    return k_center(rows, 40, start_N=Rows(Factor(X[0:N])).sq_norms)


def seeds(X: BlockArray) -> Any:
    rng = np.random.default_rng(1)
    return k_means_pp(Rows(Factor(X), Factor(X[0:N][:, :3], offset=1.0)), 60, None, rng, from_zero=True)


CHOICES: dict[str, Callable[[BlockArray], Any]] = {
    "k-center": centres,
    "k-center from the origin": from_the_origin,
    "k-means++": seeds,
}


def digest(found: Any) -> list[bytes]:
    return [np.asarray(part).tobytes() for part in found]


@pytest.fixture(params=["plain", "copies"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> BlockArray:
    file = new_file(str(tmp_path / "features"), (N, D), np.float32)
    file.write(0, features(request.param))
    return file


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_the_number_of_shards_does_not_matter(choice: Callable[[BlockArray], Any], stored: BlockArray) -> None:
    expected = digest(choice(stored[0:N]))
    for engine in (Here(1), Here(3), Here(8), Here(50)):
        with using(engine):
            assert digest(choice(stored)) == expected


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_worker_processes_find_the_same(choice: Callable[[BlockArray], Any], stored: BlockArray) -> None:
    expected = digest(choice(stored[0:N]))
    for engine in (Processes(1), Processes(2), Processes(2, n_shards=3)):
        with using(engine):
            assert digest(choice(stored)) == expected


class Mortal:
    """Adds numbers, and kills its process at the third one of a run, as long as a file exists."""

    def __init__(self, spread: Any, first: int, file: str) -> None:
        self.total, self.first, self.file, self.n = 0, first, file, 0

    def add(self, number: int) -> int:
        self.n += 1
        if self.n == 3 and self.first and os.path.exists(self.file):
            os.unlink(self.file)
            os.kill(os.getpid(), signal.SIGKILL)
        self.total += number
        return self.total + self.first

    def twice(self) -> int:
        return 2 * self.total


def test_a_killed_worker_is_made_again_and_told_what_it_was_told(tmp_path: Path) -> None:
    from alcli.numerics.teams import Blueprint

    file = tmp_path / "alive"
    file.touch()
    engine: Engine = Processes(2)
    with engine.team(2 * BLOCK_ROWS, lambda a, b: Blueprint(Mortal, (a, str(file)))) as team:
        answers = [team.tell("add", number) for number in range(5)]
        assert team.ask("twice") == [20, 20]
    assert not file.exists()
    assert answers == [[total, total + BLOCK_ROWS] for total in (0, 1, 3, 6, 10)]


def test_ranges_are_whole_blocks() -> None:
    found = ranges(N, 4)
    assert found[0][0] == 0
    assert found[-1][1] == N
    assert all(a % BLOCK_ROWS == 0 for a, _ in found)
    assert [b for _, b in found[:-1]] == [a for a, _ in found[1:]]
    assert ranges(0, 3) == [(0, 0)]
