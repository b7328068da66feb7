"""`query --explain`: the columns with the reasons for each choice, against what is computed here from the pool."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.spatial.distance import cdist

from tests.pools import CLASSES, group_names, names, patches, tiny_features, write_labels, write_pool
from tests.shell import untouched

X_ND, Y_N = tiny_features()
ASK = ("query", "pool.parquet", "-n", 4, "--explain", "--format", "jsonl")
REASONS = ["nearest_labelled", "nearest_distance", "stands_for", "why"]


def rows(done):
    return [json.loads(line) for line in done.done().lines]


def test_the_reasons_of_each_choice(tiny, alcli):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    found = rows(alcli(*ASK, "-H", "head.safetensors", "-s", "uherding"))
    alcli("predict", "pool.parquet", "-H", "head.safetensors", "--probs", "-o", "p.parquet").done()
    probs = pq.read_table("p.parquet").to_pydict()
    at = [int(row["id"][1:]) for row in found]
    to_labelled = cdist(X_ND, X_ND[:20])
    owners = cdist(X_ND[20:], np.concatenate([X_ND[at], X_ND[:20]])).argmin(axis=1)
    for k, row in enumerate(found):
        p_C = np.array([probs[f"p:{name}"][at[k]] for name in CLASSES])
        first, second = np.argsort(-p_C)[:2]
        assert (row["predicted"], row["second"]) == (CLASSES[first], CLASSES[second])
        assert row["second_confidence"] == pytest.approx(p_C[second], rel=1e-5)
        assert row["nearest_labelled"] == f"r{to_labelled[at[k]].argmin():03d}"
        assert row["nearest_distance"] == pytest.approx(to_labelled[at[k]].min(), rel=1e-5)
        assert row["stands_for"] == (owners == k).sum()
        for word in ("uherding (", row["nearest_labelled"], row["second"], f"stands for {row['stands_for']} of 40"):
            assert word in row["why"]


def test_the_same_choices_with_and_without(tiny, alcli):
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 5, "-o", "a.csv")
    alcli(*ask, "--explain").done()
    explained = Path("a.csv").read_text().splitlines()
    alcli(*ask).done()
    assert [line.split(",")[:6] for line in explained] == [
        line.split(",") for line in Path("a.csv").read_text().splitlines()
    ]


def test_without_a_label_and_for_numbers(folder, alcli):
    write_pool("pool.parquet", X_ND)
    for row in rows(alcli(*ASK, "-s", "coreset")):
        assert list(row)[4:] == REASONS
        assert (row["nearest_labelled"], row["nearest_distance"]) == (None, None)
        assert "no item is labelled yet" in row["why"]
    assert sum(row["stands_for"] for row in rows(alcli(*ASK, "-s", "coreset"))) == 60
    target = [float(x) if i < 20 else None for i, x in enumerate(X_ND[:, 0])]
    write_pool("pool.parquet", X_ND, label=target)
    row = rows(alcli(*ASK, "-s", "predictive-variance"))[0]
    assert list(row)[4:] == ["predicted", "sd", *REASONS]


def test_groups(folder, alcli):
    X, y, groups = patches()
    write_pool("pool.parquet", X, group=group_names(groups))
    write_labels("labels.csv", {f"g{g:03d}": CLASSES[y[groups == g][0]] for g in range(6)})
    found = rows(alcli(*ASK, "-l", "labels.csv", "-s", "margin"))
    means = np.stack([X[groups == g].mean(axis=0) for g in range(20)])
    at = [int(row["id"][1:]) for row in found]
    near = cdist(means, means[:6])
    assert [row["nearest_labelled"] for row in found] == [f"g{near[g].argmin():03d}" for g in at]
    owners = cdist(means[6:], np.concatenate([means[at], means[:6]])).argmin(axis=1)
    assert [row["stands_for"] for row in found] == [(owners == k).sum() for k in range(4)]


def test_nothing_left_and_a_budget(tiny, alcli):
    write_pool("pool.parquet", X_ND, cost=[1.0] * 60)
    spent = rows(alcli(*ASK, "-l", "labels.csv", "-s", "margin", "-p", "cost-col=cost"))
    assert len(spent) == 4
    write_labels("all.csv", {name: CLASSES[c] for name, c in zip(names(60), Y_N)})
    alcli("query", "pool.parquet", "-l", "all.csv", "-s", "margin", "-n", 2, "--explain", "-o", "none.parquet").done()
    table = pq.read_table("none.parquet")
    assert table.num_rows == 0
    assert table.schema.field("nearest_labelled").type == pa.string()
    assert table.schema.field("stands_for").type == pa.int64()


def test_where_reasons_have_no_place(tiny, alcli):
    ask = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 2, "--explain")
    with untouched(tiny):
        alcli(*ask).refused(2, "--explain", "--format csv")
        alcli(*ask, "--stream").refused(2, "--explain", "--stream")
    found = json.loads(alcli(*ask, "--json").done().out)["selection"]
    assert found[0]["why"]
