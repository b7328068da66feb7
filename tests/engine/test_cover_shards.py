"""Balls: the same picks, counts and radius for any number of shards, in this process and in others."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from alcli.data.cached.file_array import new_file
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.diversity import balls
from alcli.numerics.diversity.balls import BallCover, ball_cover
from alcli.numerics.rows import stored_unit_rows
from alcli.numerics.teams import Here, using
from tests.engine.problems import ELSEWHERE, HERE, N, agree, clustered, in_file

D, M = 6, 900


@dataclass(frozen=True)
class Cover:
    """A cover by k rows. most: the pairs that may be kept. L: labelled rows. own: the targets are the rows."""

    k: int
    radius: float
    most: int = 1 << 24
    L: int = 0
    own: bool = False

    def found(self, X: BlockArray) -> BallCover:
        U = stored_unit_rows(X)
        targets = U if self.own else U[np.sort(np.random.default_rng(3).permutation(N)[:M])]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(balls, "MOST_PAIRS", self.most)
            return ball_cover(U, self.k, targets, U[0 : self.L], self.radius)

    def __call__(self, X: BlockArray) -> tuple[bytes, bytes, float]:
        found = self.found(X)
        return found.picks.tobytes(), found.counts.tobytes(), found.radius


COVERS = {
    "all pairs": Cover(200, 0.5),
    "labelled": Cover(300, 0.4, L=20),
    "some too many": Cover(100, 0.9, most=400_000),
    "far too many": Cover(100, 1.9, most=100_000),
    "rows are targets": Cover(60, 0.15, own=True),
}


@pytest.fixture(params=["plain", "copies"])
def stored(request: pytest.FixtureRequest, tmp_path: Path) -> BlockArray:
    return in_file(tmp_path, clustered(request.param, D, 3.0, in_order=True))


@pytest.mark.parametrize("cover", COVERS.values(), ids=COVERS)
def test_the_number_of_shards_does_not_matter(cover: Cover, stored: BlockArray) -> None:
    agree(cover, stored, HERE)


@pytest.mark.parametrize("name", ["labelled", "far too many"])
def test_worker_processes_find_the_same(name: str, stored: BlockArray) -> None:
    agree(COVERS[name], stored, ELSEWHERE)


@pytest.mark.parametrize("name", ["some too many", "far too many"])
@pytest.mark.parametrize("n_shards", [1, 4])
def test_a_lowered_radius_leaves_no_more_pairs_than_may_be_kept(name: str, n_shards: int, stored: BlockArray) -> None:
    cover = COVERS[name]
    with using(Here(n_shards)):
        found = cover.found(stored)
    assert 0.0 < found.radius < cover.radius
    U = stored_unit_rows(stored[0:N]).astype(np.float64)
    T = U[np.sort(np.random.default_rng(3).permutation(N)[:M])]
    near = np.square(U).sum(axis=1)[:, None] + np.square(T).sum(axis=1) - 2.0 * U @ T.T < found.radius**2 - 1e-6
    assert near.sum() <= cover.most


def test_ties_go_to_the_lowest_row_of_all_shards(tmp_path: Path) -> None:
    """Blocks that are all the same: the pick is a row of the first block each time."""
    block = np.random.default_rng(0).standard_normal((BLOCK_ROWS, 3)).astype(np.float32)
    file = new_file(str(tmp_path / "features"), (3 * BLOCK_ROWS, 3), np.float32)
    file.write(0, np.tile(block, (3, 1)))
    for n_shards in (1, 3):
        with using(Here(n_shards)):
            found = ball_cover(file, 50, file[0:500], file[0:0], 0.2)
        assert len(found.picks) == 50
        assert (found.picks < BLOCK_ROWS).all()
