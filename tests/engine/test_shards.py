"""The same picks and the same scores for any number of shards, in this process and in others."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alcli.engine.processes import Processes
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.diversity.kmeanspp import k_means_pp
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows, feature_rows
from alcli.numerics.teams import Blueprint, Engine, ranges
from tests.engine.problems import ELSEWHERE, HERE, Mortal, N, agree, clustered, in_file

D = 12


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
    return in_file(tmp_path, clustered(request.param, D))


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_the_number_of_shards_does_not_matter(choice: Callable[[BlockArray], Any], stored: BlockArray) -> None:
    agree(lambda X: digest(choice(X)), stored, HERE)


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_worker_processes_find_the_same(choice: Callable[[BlockArray], Any], stored: BlockArray) -> None:
    agree(lambda X: digest(choice(X)), stored, ELSEWHERE)


def test_a_killed_worker_is_made_again_and_told_what_it_was_told(tmp_path: Path) -> None:
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
