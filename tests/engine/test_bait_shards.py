"""bait picks the same rows with the same gains over any number of shards, in this process and in others."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alcli.arrays import with_bias
from alcli.data.cached.file_array import new_file
from alcli.engine.processes import Processes
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.gradients import design_shards
from alcli.numerics.gradients.design import MovingCovariance
from alcli.numerics.gradients.design_shards import choose, design_team, pool_information
from alcli.numerics.gradients.fisher import information, with_prior
from alcli.numerics.teams import Here, using

N, D = 5 * BLOCK_ROWS + 77, 6


def problem(kind: str) -> tuple[np.ndarray, np.ndarray]:
    """Features [N, D] and roots [N, 1, 1]."""
    rng = np.random.default_rng(3)
    H = rng.standard_normal((N, D)).astype(np.float32)
    root = np.sqrt(rng.random(N))
    if kind == "copies":
        # The best rows have copies in other shards, and many rows are zero vectors.
        best = np.argsort(-root * np.linalg.norm(H, axis=1))[:15]
        at = rng.permutation(N)[: N // 2]
        of = best[rng.integers(15, size=len(at))]
        H[at], root[at] = H[of], root[of]
        H[rng.permutation(N)[:3000]] = 0.0
    if kind == "nothing to gain":
        root[:] = 0.0
    return H, root[:, None, None]


def found(H: BlockArray, R: np.ndarray, k: int = 12, ahead: int = 24) -> list[bytes]:
    with design_team(H, R) as team:
        F = pool_information(team) / len(R) + 1e-3 * np.eye(D + 1)
        picks, gains = choose(team, with_prior(np.zeros_like(F), np.full(D + 1, 0.5), F), F, k, ahead)
    return [F.tobytes(), picks.tobytes(), gains.tobytes()]


@pytest.fixture(params=["plain", "copies", "nothing to gain"])
def given(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[np.ndarray, np.ndarray, BlockArray]:
    H, R = problem(request.param)
    file = new_file(str(tmp_path / "features"), H.shape, H.dtype)
    file.write(0, H)
    return H, R, file


def test_the_number_of_shards_does_not_matter(given: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    H, R, file = given
    # Several blocks in a group, so that groups reach from one shard into the next.
    monkeypatch.setattr(design_shards, "_MOST_GROUPS", 3)
    expected = found(H, R)
    for engine in (Here(1), Here(3), Here(8), Here(50)):
        with using(engine):
            assert found(file, R) == expected
            assert found(H, R) == expected


def test_worker_processes_find_the_same(given: Any) -> None:
    H, R, file = given
    expected = found(H, R)
    for engine in (Processes(1), Processes(2), Processes(2, n_shards=3)):
        with using(engine):
            assert found(file, R) == expected


def test_a_killed_worker_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    H, R = problem("copies")
    expected = found(H, R)
    file = new_file(str(tmp_path / "features"), H.shape, H.dtype)
    file.write(0, H)
    calls: list[int] = []
    added = MovingCovariance.added

    def and_kill(self: MovingCovariance, *args: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            multiprocessing.active_children()[0].kill()
        return added(self, *args)

    monkeypatch.setattr(MovingCovariance, "added", and_kill)
    with using(Processes(2)):
        assert found(file, R) == expected
    assert len(calls) == 24


def test_copies_in_other_shards_are_picked_in_the_order_of_their_rows() -> None:
    H, root = np.zeros((N, 1), np.float32), np.full(N, 0.01)
    at = [10, BLOCK_ROWS + 3, 3 * BLOCK_ROWS, N - 1]
    H[at], root[at] = 5.0, 1.0
    R = root[:, None, None]
    for engine in (Here(1), Here(50)):
        with using(engine), design_team(H, R) as team:
            picks, gains = choose(team, np.eye(2), np.eye(2), 4, 4)
        assert picks.tolist() == at
        assert (np.diff(gains) < 0).all()


def test_the_information_of_the_pool_is_that_of_all_rows() -> None:
    H, R = problem("plain")
    with using(Here(3)), design_team(H, R) as team:
        F = pool_information(team)
    assert np.allclose(F, information(H, R), rtol=1e-12)
    V = R[:, 0] * with_bias(H)
    assert np.allclose(F, V.T @ V, rtol=1e-10)
