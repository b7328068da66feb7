"""A pool of patches: items are groups of rows, from query to labels to head to the next query, and in a simulation."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.head_file import load_head
from alcli.data.pool import open_pool
from alcli.workflows.items import Items
from tests.pools import CLASSES, group_names, names, patches, tiny_features, write_labels, write_pool

X_ND, Y_N, G_N = patches()
N, G = len(X_ND), 20
GROUPS = group_names(range(G))
ROWS = names(N)
LABELLED = [0, 1, 2, 6]  # groups


def rows(outcome) -> list[dict[str, object]]:
    return [json.loads(line) for line in outcome.done().lines]


def rows_of(*groups: int) -> list[str]:
    return [ROWS[i] for i in np.flatnonzero(np.isin(G_N, groups))]


@pytest.fixture
def patch_pool(folder):
    """pool.parquet with a group column, rows.csv with the labels of the rows of 4 groups, items.csv with labels of
    these groups.
    """
    write_pool("pool.parquet", X_ND, group=group_names(G_N))
    write_labels("rows.csv", {ROWS[i]: CLASSES[Y_N[i]] for i in np.flatnonzero(np.isin(G_N, LABELLED))})
    write_labels("items.csv", {GROUPS[g]: CLASSES[g % 3] for g in LABELLED})
    return folder


@pytest.fixture
def patch_head(patch_pool, alcli):
    alcli("fit-head", "pool.parquet", "-l", "rows.csv", "-o", "head.safetensors", "--prior-precision", "1").done()
    return "head.safetensors"


# -- query
# ----------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["mean", "max", "sum"])
def test_margin_of_groups_by_brute_force(patch_head, alcli, how):
    found = rows(
        alcli(
            "query",
            "pool.parquet",
            "-H",
            patch_head,
            "-s",
            "margin",
            "-n",
            6,
            "-p",
            f"aggregate={how}",
            "--format",
            "jsonl",
        )
    )
    model = load_head(Path(patch_head)).model
    probs = np.sort(np.exp(model.log_probs(X_ND)), axis=1)
    margins = 1 - (probs[:, -1] - probs[:, -2])
    left = [g for g in range(G) if g not in LABELLED]
    scores = np.array([getattr(margins[g == G_N], how)() for g in left])
    best = np.argsort(-scores, kind="stable")[:6]
    assert [r["id"] for r in found] == [GROUPS[left[i]] for i in best]
    assert [r["score"] for r in found] == pytest.approx(scores[best], rel=1e-5)
    predictive = np.array([np.exp(model.predictive(X_ND[left[i] == G_N])).mean(axis=0) for i in best])
    assert [r["predicted"] for r in found] == [CLASSES[c] for c in predictive.argmax(axis=1)]
    assert [r["confidence"] for r in found] == pytest.approx(predictive.max(axis=1), rel=1e-6)


@pytest.mark.parametrize("strategy", ["margin", "badge", "coreset", "typiclust", "random", "batchbald"])
def test_the_layout_of_the_pool_does_not_matter(patch_head, alcli, strategy):
    ask = ("-H", patch_head, "-s", strategy, "-n", 8, "--format", "jsonl")
    whole = alcli("query", "pool.parquet", *ask).done().out
    order = np.random.default_rng(0).permutation(N)
    Path("parts").mkdir()
    for i, part in enumerate(np.array_split(order, 3)):
        write_pool(
            f"parts/{i}.parquet", X_ND[part], [ROWS[r] for r in part], row_group_size=7, group=group_names(G_N[part])
        )
    assert alcli("query", "parts", *ask).done().out == whole


def test_a_group_is_left_out_for_any_of_its_rows(patch_pool, alcli):
    split = ["test" if i == np.flatnonzero(G_N == 9)[0] else None for i in range(N)]
    write_pool("pool.parquet", X_ND, group=group_names(G_N), split=split)
    write_labels("one.csv", {rows_of(4)[-1]: "cat", rows_of(7)[0]: "dog", **{r: "cat" for r in rows_of(12)}})
    Path("done.txt").write_text("g010\nnowhere\n")
    pq.write_table(pa.table({"id": ["g011"]}), "done.parquet")
    found = alcli(
        "query",
        "pool.parquet",
        "-l",
        "one.csv",
        "-s",
        "coreset",
        "-n",
        99,
        "--exclude",
        "done.txt",
        "--exclude",
        "done.parquet",
        "--json",
    ).done()
    report = json.loads(found.out)
    assert sorted(r["id"] for r in report["selection"]) == [
        GROUPS[g] for g in range(G) if g not in (4, 7, 9, 10, 11, 12)
    ]
    assert report["pool"] == {"name": "pool.parquet", "rows": N, "dim": 5, "groups": G}
    assert (report["candidates"], report["labelled"]) == (14, 3)
    assert f"{N} rows make {G} groups by column 'group'" in found.err
    partly = sum(len(rows_of(g)) > 1 for g in (4, 7))
    assert partly == 1
    assert "1 group of which only some rows are labelled was left out" in found.err
    assert "only 14 of 99 items are left" in found.err
    assert "1 id to leave out is not in the pool" in found.err


def test_a_ledger_of_groups_never_gives_one_twice(patch_pool, alcli):
    given = []
    for _ in range(5):
        given += (
            alcli("query", "pool.parquet", "-l", "items.csv", "-s", "margin", "-n", 4, "--selections", "ledger.parquet")
            .done()
            .lines
        )
    assert sorted(given) == [GROUPS[g] for g in range(G) if g not in LABELLED]
    assert pq.read_table("ledger.parquet")["id"].to_pylist() == given


def test_candidates_are_groups_drawn_by_their_id(patch_pool, alcli):
    found = alcli("query", "pool.parquet", "-s", "coreset", "-n", 20, "--candidates", 5).done()
    assert len(found.lines) == 5
    assert "chose among 5 random candidates of 20" in found.err
    assert len(alcli("query", "pool.parquet", "-s", "random", "-n", 20).done().lines) == 20


def test_integer_groups_are_integers_in_what_is_written(patch_pool, alcli):
    write_pool("pool.parquet", X_ND, group=pa.array(G_N * 10, pa.int32()))
    alcli("query", "pool.parquet", "-s", "coreset", "-n", 3, "-o", "out.parquet").done()
    assert pq.read_table("out.parquet").schema.field("id").type == pa.int64()
    first = pq.read_table("out.parquet")["id"].to_pylist()
    Path("done.txt").write_text("".join(f"{i}\n" for i in first))
    assert not {str(i) for i in first} & set(
        alcli("query", "pool.parquet", "-s", "coreset", "-n", 17, "--exclude", "done.txt").done().lines
    )


def test_another_column_or_none(patch_pool, alcli):
    write_pool("pool.parquet", X_ND, image=group_names(G_N), group=pa.nulls(N))
    assert len(alcli("query", "pool.parquet", "-s", "random", "-n", 999).done().lines) == N
    assert (
        sorted(alcli("query", "pool.parquet", "-s", "random", "-n", 999, "--group-col", "image").done().lines) == GROUPS
    )
    write_pool("pool.parquet", X_ND, group=group_names(G_N))
    quiet = alcli("query", "pool.parquet", "-s", "random", "-n", 999, "--group-col", "none").done()
    assert sorted(quiet.lines) == ROWS
    assert "group" not in quiet.err


def test_rows_without_a_usable_vector_are_no_part_of_their_group(patch_pool, alcli):
    bad = np.flatnonzero(np.isin(G_N, [3]))
    some = X_ND.copy()
    some[bad] = np.nan
    some[np.flatnonzero(G_N == 8)[0]] = np.nan
    write_pool("pool.parquet", some, group=group_names(G_N))
    left = np.isfinite(some[:, 0])
    write_pool(
        "left.parquet", X_ND[left], [r for r, ok in zip(ROWS, left, strict=True) if ok], group=group_names(G_N[left])
    )
    one, other = (
        alcli("query", p, "-s", "coreset", "-n", 99, "--bad-rows", "skip", "--format", "csv").done()
        for p in ("pool.parquet", "left.parquet")
    )
    assert one.out == other.out
    assert "g003" not in one.lines


def test_concat_by_hand(folder, alcli):
    X, _ = tiny_features(60)
    groups, order = np.arange(60) // 4, np.random.default_rng(0).permutation(60)
    write_pool("pool.parquet", X[order], [ROWS_60[r] for r in order], group=group_names(groups[order]))
    write_pool("wide.parquet", X.reshape(15, 20), group_names(range(15)))
    for strategy in ("coreset", "kmeans"):
        found = alcli("query", "pool.parquet", "-s", strategy, "-n", 5, "-p", "embed=concat", "--format", "csv").done()
        assert found.out == alcli("query", "wide.parquet", "-s", strategy, "-n", 5, "--format", "csv").done().out


ROWS_60 = names(60)


# -- labels
# ---------------------------------------------------------------------------------------------------------------------


def absorbed(path) -> dict[int, int]:
    known = load_head(Path(path)).absorbed
    return dict(zip(known.id_L.tolist(), known.label_L.tolist(), strict=True))


def test_the_label_of_a_group_is_that_of_its_rows(patch_pool, alcli):
    write_labels("spread.csv", {ROWS[i]: CLASSES[G_N[i] % 3] for i in np.flatnonzero(np.isin(G_N, LABELLED))})
    for labels in ("items", "spread"):
        alcli("fit-head", "pool.parquet", "-l", f"{labels}.csv", "-o", f"{labels}.safetensors").done()
    assert absorbed("items.safetensors") == absorbed("spread.safetensors")
    one, other = (load_head(Path(f"{n}.safetensors")).model.head.W_CD1 for n in ("items", "spread"))
    assert one.tobytes() == other.tobytes()


def test_a_rows_own_label_goes_before_that_of_its_group_in_a_file_and_a_later_file_before_both(patch_pool):
    write_labels("first.csv", {rows_of(6)[0]: "eel", "g006": "cat", rows_of(2)[0]: "dog"})
    write_labels("second.csv", {"g002": "cat"})
    pool = open_pool("pool.parquet")
    from alcli.workflows.labelled import gather

    said = {id: said.label for id, said in gather(pool, ["first.csv", "second.csv"]).labels.by_id.items()}
    assert said == {**dict.fromkeys(rows_of(6), "cat"), rows_of(6)[0]: "eel", **dict.fromkeys(rows_of(2), "cat")}
    back = {id: said.label for id, said in gather(pool, ["second.csv", "first.csv"]).labels.by_id.items()}
    assert back[rows_of(2)[0]] == "dog"


def test_update_takes_groups_and_rows_each_once_and_gives_them_back(patch_head, alcli):
    before = absorbed(patch_head)
    write_labels("new.csv", {"g008": "dog", rows_of(10)[0]: "eel"})
    n_new = len(rows_of(8)) + 1
    assert (
        json.loads(alcli("update", patch_head, "-P", "pool.parquet", "-l", "new.csv", "--json").done().out)[
            "new_labels"
        ]
        == n_new
    )
    again = json.loads(alcli("update", patch_head, "-P", "pool.parquet", "-l", "new.csv", "--json").done().out)
    assert (again["new_labels"], again["already_absorbed"]) == (0, n_new)
    rows_only = {r: "dog" for r in rows_of(8)}
    write_labels("same.csv", rows_only)
    assert json.loads(alcli("update", patch_head, "-P", "pool.parquet", "-l", "same.csv", "--json").done().out)[
        "already_absorbed"
    ] == len(rows_only)
    left = alcli("query", "pool.parquet", "-H", patch_head, "-s", "margin", "-n", 99).done().lines
    assert sorted(left) == [GROUPS[g] for g in range(G) if g not in (*LABELLED, 8, 10)]
    Path("gone.txt").write_text(f"g008\n{rows_of(10)[0]}\n")
    assert (
        json.loads(alcli("update", patch_head, "-P", "pool.parquet", "--remove", "gone.txt", "--json").done().out)[
            "removed"
        ]
        == n_new
    )
    assert absorbed(patch_head) == before
    alcli("update", patch_head, "-P", "pool.parquet", "--remove", "gone.txt").refused(
        65, "gone.txt: line 1", "no label of the id 'g008'"
    )


def test_test_rows_of_a_labelled_group_stay_out(patch_pool, alcli):
    write_pool(
        "pool.parquet", X_ND, group=group_names(G_N), split=["test" if r == rows_of(6)[0] else "train" for r in ROWS]
    )
    told = alcli("fit-head", "pool.parquet", "-l", "items.csv", "-o", "head.safetensors").done()
    assert "1 labelled row is a test row and was kept out of the fit" in told.err
    assert len(absorbed("head.safetensors")) == len(rows_of(*LABELLED)) - 1


def test_from_query_to_query(patch_head, alcli):
    """What query writes, labelled, is what update reads; the next batch is another."""
    asked = alcli("query", "pool.parquet", "-H", patch_head, "-s", "badge", "-n", 3).done().lines
    write_labels("batch.csv", {id: CLASSES[int(id[1:]) % 3] for id in asked})
    alcli("update", patch_head, "-P", "pool.parquet", "-l", "batch.csv").done()
    assert not set(asked) & set(alcli("query", "pool.parquet", "-H", patch_head, "-s", "badge", "-n", 99).done().lines)


# -- simulation
# -----------------------------------------------------------------------------------------------------------------


def simulated(alcli, *more, pool="sim.parquet", out="out"):
    told = alcli(
        "simulate", pool, "-n", 3, "--rounds", 3, "--seeds", 2, "--initial", 4, "--prior-precision", 1, "-o", out, *more
    ).done()
    return (
        told,
        pq.read_table(f"{out}/curves.parquet").to_pylist(),
        pq.read_table(f"{out}/selections.parquet").to_pylist(),
    )


@pytest.fixture
def labelled_pool(patch_pool):
    write_pool("sim.parquet", X_ND, group=group_names(G_N), label=[CLASSES[y] for y in Y_N])


def test_a_simulation_asks_for_groups_and_counts_them(labelled_pool, alcli):
    told, curves, picks = simulated(alcli, "-s", "margin,coreset,margin+update", "-p", "aggregate=max", "--json")
    assert f"{N} rows make {G} groups" in told.err
    assert json.loads(told.out)["test_groups"] == 4
    assert {(c["round"], c["n_labels"]) for c in curves} == {(0, 4), (1, 7), (2, 10), (3, 13)}
    for strategy in ("random", "margin", "coreset", "margin+update"):
        for seed in (0, 1):
            chosen = [p["id"] for p in picks if (p["strategy"], p["seed"]) == (strategy, seed)]
            assert len(set(chosen)) == len(chosen) == 9
            assert set(chosen) <= set(GROUPS)
    config = json.loads(Path("out/config.json").read_text())
    assert config["parameters"] == {name: {"aggregate": "max"} for name in ("margin", "margin+update")}


def test_groups_of_one_row_are_simulated_as_rows(folder, alcli):
    X, y = tiny_features(60)
    write_pool("plain.parquet", X, label=[CLASSES[c] for c in y])
    write_pool("single.parquet", X, label=[CLASSES[c] for c in y], group=names(60))
    ask = ("-s", "margin,badge,coreset,margin+update", "--stratified")
    (_, one, chosen), (_, other, groups) = (
        simulated(alcli, *ask, pool=f"{p}.parquet", out=p) for p in ("plain", "single")
    )
    assert [{k: v for k, v in row.items() if not k.startswith("seconds")} for row in one] == [
        {k: v for k, v in row.items() if not k.startswith("seconds")} for row in other
    ]
    assert [(p["strategy"], p["seed"], p["rank"], p["id"]) for p in chosen] == [
        (p["strategy"], p["seed"], p["rank"], p["id"]) for p in groups
    ]


def test_no_group_is_on_both_sides(labelled_pool, alcli, monkeypatch):
    from alcli.simulation import cell as rounds

    seen = []
    original = rounds._fit

    def spy(bench, cell, oracle, start):
        test, askable = bench.split(cell.seed)
        seen.append((set(G_N[test].tolist()), set(askable.tolist()), set(G_N[oracle.labelled].tolist())))
        assert len(oracle.labels()) == len(oracle.labelled) == sum((g == G_N).sum() for g in seen[-1][2])
        return original(bench, cell, oracle, start)

    monkeypatch.setattr(rounds, "_fit", spy)
    simulated(alcli, "-s", "margin")
    assert all(
        not test & (askable | labelled) and labelled <= askable and test | askable == set(range(G))
        for test, askable, labelled in seen
    )


def test_a_test_split_by_group(patch_pool, alcli):
    split = np.where(G_N % 4 == 0, "test", "train")
    write_pool("sim.parquet", X_ND, group=group_names(G_N), label=[CLASSES[y] for y in Y_N], split=split)
    told, _, picks = simulated(alcli, "-s", "coreset", "--json")
    assert json.loads(told.out)["test_groups"] == 5
    assert all(int(p["id"][1:]) % 4 for p in picks)
    split[np.flatnonzero(G_N == 6)[0]] = "test"
    write_pool("sim.parquet", X_ND, group=group_names(G_N), label=[CLASSES[y] for y in Y_N], split=split)
    assert (G_N == 6).sum() > 1
    alcli("simulate", "sim.parquet", "-n", 3, "--rounds", 1, "-s", "coreset", "-o", "other").refused(
        65, "group 'g006' has rows whose split is test and others"
    )


def test_jobs_do_not_matter_and_another_grouping_is_another_simulation(labelled_pool, alcli):
    _, one, chosen = simulated(alcli, "-s", "margin")
    _, two, others = simulated(alcli, "-s", "margin", "--jobs", 2, out="two")
    assert chosen == others
    assert [c["accuracy"] for c in one] == [c["accuracy"] for c in two]
    alcli(
        "simulate",
        "sim.parquet",
        "-n",
        3,
        "--rounds",
        3,
        "--seeds",
        2,
        "--initial",
        4,
        "--prior-precision",
        1,
        "-o",
        "out",
        "-s",
        "margin",
        "--group-col",
        "none",
    ).refused(73)


def test_the_start_shows_two_classes_even_where_every_group_is_mostly_of_one(patch_pool, alcli):
    y = np.where(np.arange(N) % 9 == 4, 1, 0)
    write_pool("sim.parquet", X_ND, group=group_names(G_N), label=[CLASSES[c] for c in y])
    alcli(
        "simulate",
        "sim.parquet",
        "-n",
        2,
        "--rounds",
        1,
        "--seeds",
        9,
        "--initial",
        2,
        "--prior-precision",
        1,
        "-s",
        "coreset",
        "-o",
        "out",
    ).done()


def test_a_regression_by_groups(patch_pool, alcli):
    write_pool("sim.parquet", X_ND, group=group_names(G_N), label=X_ND @ np.arange(5.0))
    _, curves, picks = simulated(alcli, "-s", "coreset")
    assert {p["id"] for p in picks} <= set(GROUPS)
    assert {c["n_labels"] for c in curves} == {4, 7, 10, 13}


def test_items_of_a_plain_pool_are_its_rows(patch_pool):
    items = Items(open_pool("pool.parquet"))
    assert items.groups is not None
    assert len(items.candidates(np.zeros(N, bool), np.array([3]))) == G - 1
    with open("rows.csv", newline="") as file:
        assert len(list(csv.reader(file))) == len(rows_of(*LABELLED)) + 1
