"""A simulation with items of no class: they cost a label, teach nothing, and repel."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from alcli.simulation.oracle import NO_CLASS, Oracle
from alcli.simulation.plan import initial_rng
from alcli.simulation.splits import initial_rows
from tests.pools import CLASSES, names, write_labels, write_pool

N, NONE = 240, "junk"
RNG = np.random.default_rng(3)
# Four heaps: three classes, and items of no class.
HEAP_N = RNG.integers(0, 4, N)
X_ND = (4 * np.eye(4, 6)[HEAP_N] + RNG.standard_normal((N, 6))).astype(np.float32)
LABELS = [[*CLASSES, NONE][heap] for heap in HEAP_N]
RUN = ("simulate", "pool.parquet", "-s", "margin", "-n", 6, "--rounds", 3, "--initial", 8)


@pytest.fixture
def pool(folder):
    write_pool("pool.parquet", X_ND, label=LABELS)
    return folder


def simulated(alcli, *options, out="out", seeds=3):
    done = alcli(*RUN, "--seeds", seeds, *options, "-o", out, "--json").done()
    return json.loads(done.out), done.err, pq.read_table(f"{out}/curves.parquet").to_pylist()


def test_it_is_no_class_it_is_counted_and_it_repels(pool, alcli):
    report, said, curves = simulated(alcli, "--none-label", NONE)
    assert set(row["class"] for row in report["worst_classes"]["margin"]) <= set(CLASSES)
    picks = pq.read_table("out/selections.parquet").to_pylist()
    for strategy in ("random", "margin"):
        for seed in range(3):
            run = [row for row in curves if (row["strategy"], row["seed"]) == (strategy, seed)]
            asked = [
                LABELS[int(pick["id"][1:])] for pick in picks if (pick["strategy"], pick["seed"]) == (strategy, seed)
            ]
            assert run[-1]["none"] - run[0]["none"] == asked.count(NONE)
            assert [row["n_labels"] for row in run] == [8, 14, 20, 26]
    none = [pick["strategy"] for pick in picks if LABELS[int(pick["id"][1:])] == NONE]
    assert none.count("margin") < 54 / 6, "of 54 choices a fourth would be"
    assert "labels that went to items of no class, mean over the seeds: random " in said
    assert f"items belong to no class (label '{NONE}')" in said
    as_class, _, without = simulated(alcli, out="class")
    assert "none" not in without[0]
    assert any(row["class"] == NONE for row in as_class["worst_classes"]["margin"]) or without[0] != curves[0]


def test_the_choices_are_those_of_a_query(folder, alcli):
    """With the labels of the first items, and those of the first round, items of no class among both."""
    ids, split = names(N), ["test" if i >= 200 else None for i in range(N)]
    write_pool("pool.parquet", X_ND, ids, split=split, label=LABELS)
    simulated(alcli, "--none-label", NONE, seeds=1)
    picks = [row for row in pq.read_table("out/selections.parquet").to_pylist() if row["strategy"] == "margin"]
    y_N = np.where(HEAP_N == 3, NO_CLASS, HEAP_N)
    labelled = [ids[i] for i in initial_rows(y_N, np.arange(200), 8, initial_rng(0), classes=True, stratified=False)]
    write_pool("plain.parquet", X_ND, ids, split=split)
    for number in (1, 2):
        write_labels("labels.csv", {id: LABELS[int(id[1:])] for id in labelled})
        ask = ("-l", "labels.csv", "-s", "margin", "-n", 6, "--none-label", NONE)
        chosen = [row["id"] for row in picks if row["round"] == number]
        assert alcli("query", "plain.parquet", *ask, "--format", "ids").done().lines == chosen
        labelled += chosen


def test_no_test_row_is_of_no_class_and_a_fit_to_every_label_counts_all(pool, alcli):
    report, _, _ = simulated(alcli, "--none-label", NONE, "--full-data", seeds=1)
    of_class = sum(label != NONE for label in LABELS)
    assert report["test_rows"] == round(0.2 * of_class)
    assert report["full_data"]["labels"] == N - report["test_rows"]


def test_a_simulation_goes_on_and_another_label_is_another_simulation(pool, alcli):
    _, _, whole = simulated(alcli, "--none-label", NONE, out="whole", seeds=2)
    simulated(alcli, "--none-label", NONE, seeds=1)
    _, _, grown = simulated(alcli, "--none-label", NONE, seeds=2)
    timeless = [[{k: v for k, v in row.items() if "seconds" not in k} for row in rows] for rows in (whole, grown)]
    assert timeless[0] == timeless[1]
    alcli(*RUN, "--seeds", 2, "-o", "out").refused(73, "none_label")


def test_updates_within_a_round_pass_over_items_of_no_class(pool, alcli):
    write_pool("pool.parquet", X_ND, label=[NONE if i % 2 else label for i, label in enumerate(LABELS)])
    more = ("-s", "badge+update,margin+update", "-p", "update-every=1")
    report, _, curves = simulated(alcli, "--none-label", NONE, *more, seeds=1)
    assert {line["strategy"] for line in report["summary"]} == {"random", "margin", "badge+update", "margin+update"}
    assert max(row["none"] for row in curves) > 5


def test_test_labels_are_measured_on_and_never_asked_for(pool, alcli):
    write_labels("test.csv", {id: LABELS[i] for i, id in enumerate(names(N)) if i < 60 and LABELS[i] != NONE})
    report, _, _ = simulated(alcli, "--none-label", NONE, "--test-labels", "test.csv", seeds=1)
    assert report["test_rows"] == sum(label != NONE for label in LABELS[:60])
    asked = {row["id"] for row in pq.read_table("out/selections.parquet").to_pylist()}
    assert not asked & set(pq_ids("test.csv"))


def pq_ids(path: str) -> list[str]:
    return [line.split(",")[0] for line in Path(path).read_text().splitlines()[1:]]


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--study", "updates"], 2, "--none-label does not go with --study updates"),
        (["-s", "optimal-look-ahead"], 2, "'optimal-look-ahead' is told true labels"),
    ],
    ids=["study", "oracle"],
)
def test_refused_before_data_is_read(folder, alcli, options, code, words):
    rest = [] if "--study" in options else ["-n", 5, "--rounds", 1]
    alcli("simulate", "none.parquet", *options, *rest, "--none-label", NONE, "-o", "out").refused(code, words)


def test_numbers_and_groups_have_no_items_of_no_class(folder, alcli):
    write_pool("pool.parquet", X_ND, label=[float(v) for v in X_ND[:, 0]])
    alcli(*RUN, "--none-label", NONE, "-o", "out").refused(2, "--none-label sets rows of no class apart", "are numbers")
    write_pool("pool.parquet", X_ND, label=LABELS, group=[str(i // 4) for i in range(N)])
    alcli(*RUN, "--none-label", NONE, "-o", "out").refused(2, "--none-label sets rows of no class apart", "make groups")


def test_the_items_to_start_with_hold_two_classes_beside_those_of_none():
    y_N = np.array([NO_CLASS] * 50 + [0] * 10 + [1] * 3)
    for seed in range(60):
        for stratified in (False, True):
            rng = np.random.default_rng(seed)
            chosen = initial_rows(y_N, np.arange(63), 4, rng, classes=True, stratified=stratified)
            assert len(set(chosen.tolist())) == 4
            assert set(y_N[chosen].tolist()) >= {0, 1}


def test_the_annotator_tells_items_of_no_class_apart():
    oracle = Oracle(np.array([2, NO_CLASS, 0, NO_CLASS]), np.arange(4))
    oracle.ask(np.array([1, 0]))
    assert (oracle.labelled.tolist(), oracle.none.tolist(), oracle.queries) == ([0], [1], 2)
    assert oracle.labels().tolist() == [2]
    assert Oracle(np.array([-1.0, 2.0]), np.arange(2)).none.tolist() == []
