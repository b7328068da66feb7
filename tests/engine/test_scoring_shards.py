"""Pointwise strategies choose the same rows with the same bytes in worker processes as in one."""

from __future__ import annotations

import itertools
import multiprocessing
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

import alcli.data.streamed.feature_blocks as blocks_module
from alcli.arrays import Int64
from alcli.data.pool import Pool, open_pool
from alcli.engine.lasting import LastingTeam
from alcli.engine.processes import Processes
from alcli.engine.sending import can_be_sent
from alcli.errors import DataError
from alcli.numerics.teams import using
from alcli.selection import scoring
from alcli.selection.select import select
from alcli.selection.strategy import strategy_of
from alcli.selection.view import View
from alcli.strategies import entropy, feature_margin, margin, random
from tests.helpers import random_head
from tests.pools import fixed, write_pool, written

N, D = 1500, 5


def features(ties: bool = False) -> np.ndarray:
    X_ND = np.random.default_rng(2).standard_normal((N, D)).astype(np.float32)
    if ties:
        # Zero vectors in all shards: more rows of equal score than are picked, and all at the border.
        X_ND[::3] = 0.0
    return X_ND


@pytest.fixture
def pools(folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Pools of the same rows in several layouts, read in blocks of 64 rows."""
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 1)
    ids = [f"r{i:04d}" for i in np.random.default_rng(0).permutation(N)]
    for ties in (False, True):
        X_ND = features(ties)
        write_pool(f"even-{ties}.parquet", X_ND, ids, row_group_size=128)
        write_pool(f"odd-{ties}.parquet", X_ND, ids, row_group_size=150)
        write_pool(f"one-{ties}.parquet", X_ND, ids)
        for i, (a, b) in enumerate([(0, 333), (333, 340), (340, N)]):
            Path(f"files-{ties}").mkdir(exist_ok=True)
            write_pool(f"files-{ties}/{i}.parquet", X_ND[a:b], ids[a:b], row_group_size=200)
    return {layout: layout for layout in ("even", "odd", "one", "files")}


def opened(layout: str, ties: bool) -> Pool:
    return open_pool(f"{layout}-{ties}" + ("" if layout == "files" else ".parquet"))


def chosen(pool: Pool, strategy: Any, k: int = 25, labelled: int = 40, **options: Any) -> list[Any]:
    head = random_head(D, 3)
    rows_L: Int64 = np.arange(0, labelled)
    view = View(pool, np.setdiff1d(np.arange(N), rows_L), rows_L, head, labels=np.zeros(labelled, np.int64))
    found = select(strategy_of(strategy), view, k, seed=3, options=options)
    return [found.rows_K.tobytes(), found.scores_K.tobytes(), pool.ids.arrow(found.rows_K).to_pylist()]


@pytest.mark.parametrize("layout", ["even", "odd", "one", "files"])
@pytest.mark.parametrize("ties", [False, True])
def test_workers_find_what_one_process_finds(pools: dict[str, str], layout: str, ties: bool) -> None:
    expected = chosen(opened(layout, ties), margin)
    for engine in (Processes(1), Processes(2), Processes(2, n_shards=3)):
        with using(engine):
            assert chosen(opened(layout, ties), margin) == expected


@pytest.mark.parametrize("strategy", [entropy, feature_margin, random])
def test_other_needs(pools: dict[str, str], strategy: Any) -> None:
    expected = chosen(opened("odd", True), strategy)
    with using(Processes(2)):
        assert chosen(opened("odd", True), strategy) == expected


def test_the_blocks_of_ranges_are_those_of_all_rows(pools: dict[str, str]) -> None:
    for layout in pools:
        pool = opened(layout, False)
        expected = [(first, X_BD.tobytes()) for first, X_BD in pool.blocks()]
        cuts = pool.cuts()
        assert cuts is not None
        assert (cuts[0], cuts[-1]) == (0, N)
        assert len(cuts) > 2 or layout == "one"
        found = []
        for a, b in itertools.pairwise(cuts):
            part = pool.part(a, b, with_keys=True)
            found += [(first, X_BD.tobytes()) for first, X_BD in part.blocks()]
            assert part.row_keys(np.array([a])).tolist() == pool.row_keys(np.array([a])).tolist()
        assert found == expected


def test_a_killed_worker_changes_nothing(pools: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    expected = chosen(opened("even", True), margin)
    told: list[str] = []
    tell = LastingTeam.tell

    def and_kill(self: LastingTeam, call: str, *args: Any) -> Any:
        told.append(call)
        if len(told) == 9:
            multiprocessing.active_children()[0].kill()
        return tell(self, call, *args)

    monkeypatch.setattr(LastingTeam, "tell", and_kill)
    with using(Processes(2)):
        assert chosen(opened("even", True), margin) == expected
    assert len(told) == scoring._ROUNDS


def test_a_bad_vector_is_named_with_its_id(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 1)
    X_ND = features()
    X_ND[1234, 2] = np.nan
    write_pool("even-False.parquet", X_ND, row_group_size=128)
    messages = []
    for engine in (None, Processes(2)):
        with pytest.raises(DataError) as caught, using(engine) if engine else pytest.MonkeyPatch.context():
            chosen(opened("even", False), margin)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert "r1234" in messages[0]


def test_remarks_on_features_are_made_once(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 1)
    X_ND = features()
    X_ND[[900, 1400]] = 1e19
    X_ND[:, 0] *= 1e6
    write_pool("even-False.parquet", X_ND, row_group_size=128)
    heard = []
    for engine in (None, Processes(2)):
        notes: list[str] = []
        pool = open_pool("even-False.parquet", note=notes.append)
        pool.watch_scales()
        with using(engine) if engine else pytest.MonkeyPatch.context():
            chosen(pool, margin)
        heard.append(sorted(notes))
    assert heard[0] == heard[1]
    assert any("r900" in note for note in heard[0])


def test_rows_that_are_skipped(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", 1)
    vectors = fixed(features()).to_pylist()
    vectors[700] = None
    column = pa.array(vectors, pa.list_(pa.float32(), D))
    written(pa.table({"id": [f"r{i}" for i in range(N)], "features": column}), "p.parquet", row_group_size=128)
    found = []
    for engine in (None, Processes(2)):
        with using(engine) if engine else pytest.MonkeyPatch.context():
            pool = open_pool("p.parquet", bad_rows="skip")
            view = View(pool, np.flatnonzero(~pool.is_bad), np.arange(0), random_head(D, 3))
            one = select(strategy_of(margin), view, 9, seed=0, options={})
            found.append((one.rows_K.tobytes(), one.scores_K.tobytes()))
    assert found[0] == found[1]


def test_what_only_this_process_has_loaded_is_not_sent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import importlib.util

    (tmp_path / "my_own_scores.py").write_text("def score(log_probs):\n    return log_probs.max(axis=1)\n")
    spec = importlib.util.spec_from_file_location("my_own_scores", tmp_path / "my_own_scores.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "my_own_scores", module)
    spec.loader.exec_module(module)
    assert not can_be_sent(module.score)
    assert not can_be_sent(lambda: None)
    assert can_be_sent(margin.margin, random_head(D, 3))
