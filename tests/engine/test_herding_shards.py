"""Coverage: the same picks and gains for any number of shards, in memory and in a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from alcli.data.cached.file_array import new_file
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.diversity import coverage_shard, herding
from alcli.numerics.diversity.herding import max_herding
from alcli.numerics.rows import stored_unit_rows
from alcli.numerics.teams import Here, using
from tests.engine.problems import ELSEWHERE, HERE, N, agree, clustered, in_file

D, M = 8, 700


@dataclass(frozen=True)
class Choice:
    """A choice of k rows. kept: the pairs that may be kept. L: labelled rows. own: the targets are the rows."""

    k: int
    kept: int
    L: int = 0
    own: bool = False
    weighted: bool = False
    dense: int = 16
    rows_a_target: int = 20_000

    def __call__(self, X: BlockArray) -> tuple[bytes, bytes]:
        U, rng = stored_unit_rows(X), np.random.default_rng(3)
        targets = U if self.own else U[np.sort(rng.permutation(N)[:M])]
        weights = rng.random(len(targets)) if self.weighted else None
        if weights is not None:
            weights[::5] = 0.0
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(herding, "KEPT", self.kept)
            patch.setattr(herding, "_DENSE", self.dense)
            patch.setattr(herding, "_ROWS_A_TARGET", self.rows_a_target)
            # Fewer rows than a shard has, so that the front is found anew.
            patch.setattr(coverage_shard, "_FRONT", 300)
            picks, gains = max_herding(U, self.k, targets, U[0 : self.L], bandwidth=0.8, weights_M=weights)
        return picks.tobytes(), gains.tobytes()


CHOICES = {
    "bounds alone": Choice(25, 0),
    "bounds, then pairs": Choice(60, 400_000),
    "pairs of labelled": Choice(80, 1 << 23, L=50, weighted=True),
    "few of all pairs": Choice(20, 0, L=60, weighted=True, dense=1),
    "weights": Choice(50, 400_000, weighted=True),
    "bounds lowered seldom": Choice(60, 0, L=20, weighted=True, rows_a_target=100),
    "rows are targets": Choice(12, 3_000_000, L=9, own=True),
}


@pytest.fixture(params=["plain", "copies"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> BlockArray:
    return in_file(tmp_path, clustered(request.param, D))


@pytest.mark.parametrize("choice", CHOICES.values(), ids=CHOICES)
def test_the_number_of_shards_does_not_matter(choice: Choice, stored: BlockArray) -> None:
    agree(choice, stored, HERE)


@pytest.mark.parametrize("choice", [CHOICES["bounds, then pairs"], CHOICES["weights"]], ids=["bare", "weights"])
def test_worker_processes_find_the_same(choice: Choice, stored: BlockArray) -> None:
    agree(choice, stored, ELSEWHERE)


def test_bounds_that_are_lowered_seldom_lead_to_the_same_picks(
    stored: BlockArray, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []
    for name in ("cover_alone", "cover_and_fall"):
        counted(monkeypatch, name, calls)
    often = Choice(60, 0, L=20, weighted=True)(stored)
    assert "cover_alone" not in calls
    seldom = CHOICES["bounds lowered seldom"](stored)
    assert calls.count("cover_alone") >= 10
    assert seldom[0] == often[0]
    assert np.allclose(np.frombuffer(seldom[1]), np.frombuffer(often[1]), rtol=1e-6)


def test_both_phases_are_gone_through(stored: BlockArray, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    for name in ("cover_and_fall", "fall", "keep", "cover_and_find"):
        counted(monkeypatch, name, calls)
    CHOICES["bounds, then pairs"](stored)
    assert min(calls.count(name) for name in ("cover_and_fall", "cover_and_find")) >= 3
    assert calls.count("keep") == 1
    assert calls.index("keep") > calls.index("cover_and_fall")


def counted(monkeypatch: pytest.MonkeyPatch, name: str, calls: list[str]) -> None:
    """Make a method of a shard write its name down."""
    method: Callable[..., object] = getattr(coverage_shard.CoverageShard, name)

    def noted(self: object, *args: object) -> object:
        calls.append(name)
        return method(self, *args)

    monkeypatch.setattr(coverage_shard.CoverageShard, name, noted)


def test_a_copy_in_another_shard_gains_nothing(tmp_path: Path) -> None:
    """Picks of a pool in which every block is the same are rows of the first block, until nothing gains."""
    block = np.random.default_rng(0).standard_normal((BLOCK_ROWS, 3)).astype(np.float32)
    file = new_file(str(tmp_path / "features"), (3 * BLOCK_ROWS, 3), np.float32)
    file.write(0, np.tile(block, (3, 1)))
    U = stored_unit_rows(file)
    for engine in (Here(1), Here(3)):
        with using(engine):
            picks, gains = max_herding(U, 40, U[0:30], U[0:0], bandwidth=0.1)
        assert (picks < BLOCK_ROWS).all()
        assert len(set(picks.tolist())) == 40
        assert (gains[:30] > 0.0).all()
