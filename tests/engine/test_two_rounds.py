"""Two-round greedy: every shard chooses, and the batch is chosen from what they chose."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from alcli import plugins
from alcli.engine.processes import Processes
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.diversity.kcenter import k_center
from alcli.numerics.rows import feature_rows
from alcli.numerics.teams import Here, ranges, using
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from tests.helpers import TableHead, view_of
from tests.pools import write_pool

N, D, K = 4 * BLOCK_ROWS + 33, 8, 25
STRATEGIES = {"coreset": {}, "maxherding": {"evaluation": "600"}, "uherding": {"evaluation": "600"}}


def rows() -> np.ndarray:
    rng = np.random.default_rng(4)
    return (rng.standard_normal((N, D)) + 3 * rng.standard_normal((30, D))[rng.integers(30, size=N)]).astype(np.float32)


X = rows()


def choose(name: str, engine: Any, merge: str = "greedi") -> Any:
    view = view_of(X, labelled=np.arange(6), head=TableHead(np.eye(3, D)))
    with using(engine, merge):
        return select(strategy_of(plugins.load("strategies", name)), view, K, seed=0, options=STRATEGIES[name])


@pytest.mark.parametrize("name", STRATEGIES)
def test_one_part_gives_the_exact_batch(name: str) -> None:
    exact, found = choose(name, Here(), "exact"), choose(name, Here(1))
    assert found.rows_K.tolist() == exact.rows_K.tolist()
    assert not any("two rounds" in note for note in found.notes)


@pytest.mark.parametrize("name", STRATEGIES)
def test_several_parts_choose_and_say_so(name: str) -> None:
    found = choose(name, Here(3))
    assert len(set(found.rows_K.tolist())) == K
    assert any(f"3 parts of the pool chose {3 * K} rows" in note for note in found.notes)
    assert choose(name, Here(3)).rows_K.tolist() == found.rows_K.tolist()


def test_the_batch_is_farthest_first_over_what_parts_chose() -> None:
    candidates, X_LD = X[6:], X[:6]
    chosen = []
    for a, b in ranges(len(candidates), 3):
        picks, _ = k_center(*feature_rows(candidates[a:b], X_LD)[:1], K, feature_rows(candidates[a:b], X_LD)[1])
        chosen += (np.sort(picks) + a).tolist()
    picks, distances = k_center(feature_rows(candidates[chosen], X_LD)[0], K, feature_rows(candidates[chosen], X_LD)[1])
    found = choose("coreset", Here(3))
    assert (found.rows_K - 6).tolist() == np.array(chosen)[picks].tolist()
    assert np.allclose(found.scores_K, distances)


def test_the_radius_is_within_a_few_per_cent_of_the_exact_one() -> None:
    def radius(picks: np.ndarray) -> float:
        centres = np.concatenate([X[:6], X[picks]]).astype(np.float64)
        return float(((X[:, None] - centres[None]) ** 2).sum(-1).min(axis=1).max() ** 0.5)

    exact, found = choose("coreset", Here(), "exact"), choose("coreset", Here(4))
    assert radius(found.rows_K) < 1.15 * radius(exact.rows_K)


def test_worker_processes_choose_as_parts_in_one_process_do(folder: Path, alcli: Any) -> None:
    write_pool("pool.parquet", X, [f"r{i:05d}" for i in range(N)])
    arguments = ["query", "pool.parquet", "-s", "coreset", "-n", str(K), "--merge", "greedi", "--format", "ids"]
    by_workers = alcli(*arguments, "--workers", "3").done().lines
    with using(Here(3), "greedi"):
        view = view_of(X, ids=[f"r{i:05d}" for i in range(N)])
        expected = select(strategy_of(plugins.load("strategies", "coreset")), view, K, seed=0, options={}).rows_K
    assert by_workers == [f"r{i:05d}" for i in expected]


def test_other_strategies_are_refused(folder: Path, alcli: Any) -> None:
    write_pool("pool.parquet", X[:50])
    alcli("query", "pool.parquet", "-s", "badge", "-n", "3", "--merge", "greedi").refused(
        2, "--merge greedi is for auto, coreset, maxherding and uherding, not for badge"
    )


def test_processes_are_parts_too() -> None:
    # In memory the rows travel with the blueprint; the batch is that of as many parts in this process.
    assert choose("maxherding", Processes(2)).rows_K.tolist() == choose("maxherding", Here(2)).rows_K.tolist()
