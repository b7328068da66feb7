"""`simulate --candidates M`: each round chooses among M random items, drawn anew and the same for every strategy."""

from __future__ import annotations

import json
from collections import defaultdict

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.numerics.hashing import uniforms
from alcli.selection.source import as_ids, hash_ids
from alcli.simulation.plan import candidates_seed
from tests.workflows.simulate.runs import run, without_seconds, write_pool

M = 9
EVERY_KIND = ["margin", "coreset", "margin+update", "badge+update", "margin:0.5,coreset:0.5"]
EVERY_KIND += ["imputed=margin", "optimal-look-ahead"]


@pytest.fixture
def pool(tmp_path):
    return write_pool(tmp_path / "pool.parquet")


def picks(out):
    """The picked ids of each (strategy, seed) by round."""
    found = defaultdict(lambda: defaultdict(list))
    for row in pq.read_table(out / "selections.parquet").to_pylist():
        found[row["strategy"], row["seed"]][row["round"]].append(row["id"])
    return found


def askable(pool):
    table = pq.read_table(pool)
    return [id for id, split in zip(table["id"].to_pylist(), table["split"].to_pylist()) if split == "train"]


def test_every_kind_of_strategy_chooses_among_items_that_are_drawn_anew_in_each_round(pool, tmp_path, no_pictures):
    out, taken = tmp_path / "out", defaultdict(set)
    done = run(pool, out, strategies=EVERY_KIND, candidates=M, options={"imputed.impute": "argmax"})
    assert done.notes[0] == f"each round chooses among {M} random rows, drawn anew"
    assert done.report["candidates"] == json.loads((out / "config.json").read_text())["candidates"] == M
    first = json.loads((out / "runs" / "random-0.json").read_text())
    assert first["curve"][0]["n_labels"] == 6
    chosen = picks(out)
    assert {strategy for strategy, _ in chosen} == {"random", *EVERY_KIND}
    for (strategy, seed), rounds in chosen.items():
        offered = {}
        for number in (1, 2, 3):
            assert len(rounds[number]) == 5
            # The draw of the seed and the round, over all that can be asked for: those of lowest value are offered,
            # as far as nobody has asked for them. Items to start with are unknown here, and are at most 6.
            ids = np.array(sorted(set(askable(pool)) - taken[strategy, seed]))
            values = uniforms(hash_ids(as_ids(ids)), candidates_seed(seed, number - 1), 1)
            offered[number] = set(ids[np.argsort(values)[: M + 6]])
            assert set(rounds[number]) <= offered[number], (strategy, seed, number)
            taken[strategy, seed] |= set(rounds[number])
        assert len(offered[1] & offered[2] & offered[3]) < M


def test_neither_processes_nor_the_order_of_the_rows_change_results(pool, tmp_path, no_pictures):
    moved = tmp_path / "moved" / "pool.parquet"
    moved.parent.mkdir()
    write_pool(moved, order=np.random.default_rng(0).permutation(90))
    run(pool, tmp_path / "one", candidates=M)
    run(moved, tmp_path / "two", candidates=M, jobs=2)
    assert without_seconds(tmp_path / "one") == without_seconds(tmp_path / "two")
    run(pool, tmp_path / "all", candidates=90)
    run(pool, tmp_path / "none")
    assert picks(tmp_path / "all") == picks(tmp_path / "none") != picks(tmp_path / "one")


def test_groups_are_drawn_whole(tmp_path, no_pictures):
    groups = pa.array([f"g{i // 2:02d}" for i in range(90)])
    table = pq.read_table(write_pool(tmp_path / "rows.parquet", split=False)).append_column("group", groups)
    pq.write_table(table, tmp_path / "p.parquet")
    done = run(tmp_path / "p.parquet", tmp_path / "out", candidates=M, strategies=["coreset"])
    assert f"each round chooses among {M} random groups, drawn anew" in done.notes
    assert all(len(ids) == 5 for rounds in picks(tmp_path / "out").values() for ids in rounds.values())


def test_the_command_has_the_option(pool, tmp_path, alcli, no_pictures):
    ask = ("simulate", pool, "-s", "margin", "-n", 4, "--rounds", 2, "--initial", 6, "--seeds", 1, "--candidates")
    done = alcli(*ask, 8, "-o", tmp_path / "out").done()
    assert "each round chooses among 8 random rows, drawn anew" in done.err
    alcli(*ask, 3, "-o", tmp_path / "out").refused(2, "--candidates must be at least -n, the 4 items of a round, got 3")
    alcli("simulate", pool, "--study", "updates", "--candidates", 8, "-o", tmp_path / "out").refused(
        2, "--candidates does not go with --study updates"
    )
