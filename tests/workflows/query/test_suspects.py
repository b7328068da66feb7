"""`query -s suspect`: asks about labelled items, says why, and corrects labels with the file that it writes."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from tests.pools import CLASSES, group_names, names, tiny_features, write_labels, write_pool
from tests.shell import untouched

X_ND, Y_N = tiny_features(120, dim=20)
WRONG = (7, 31, 52)
ASK = ("query", "pool.parquet", "-s", "suspect")


@pytest.fixture
def noisy(folder):
    """pool.parquet with 120 rows; labels.csv labels 60 of them, three wrongly."""
    split = ["test" if i >= 100 else "train" for i in range(120)]
    write_pool("pool.parquet", X_ND, split=split, label=[CLASSES[c] for c in Y_N])
    write_labels("labels.csv", {f"r{i:03d}": CLASSES[(Y_N[i] + (i in WRONG)) % 3] for i in range(60)})
    return folder


def test_wrong_labels_are_asked_about_and_the_file_corrects_them(noisy, alcli):
    alcli(*ASK, "-l", "labels.csv", "-n", 3, "-o", "check.csv").done()
    with open("check.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert {row["id"] for row in rows} == {f"r{i:03d}" for i in WRONG}
    assert all(row["label"] == CLASSES[(Y_N[int(row["id"][1:])] + 1) % 3] for row in rows)
    assert all(row["predicted"] == CLASSES[Y_N[int(row["id"][1:])]] for row in rows)
    assert all(f"not {row['label']}" in row["why"] for row in rows)
    for row in rows:
        row["label"] = row["predicted"]
    with open("check.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "head.safetensors").done()
    update = ("update", "head.safetensors", "-P", "pool.parquet", "-l", "check.csv", "--corrections")
    alcli(*update).done()
    ask = (*ASK, "-H", "head.safetensors", "-n", 3, "--format", "jsonl")
    after = [json.loads(line) for line in alcli(*ask).done().lines]
    assert not any(row["id"] in {f"r{i:03d}" for i in WRONG} and row["score"] > 0 for row in after)


def test_a_head_and_its_labels(noisy, alcli):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "--prior", "pool", "-o", "head.safetensors").done()
    said = alcli(*ASK, "-H", "head.safetensors", "-n", 3).done()
    assert set(said.lines) == {f"r{i:03d}" for i in WRONG}
    assert "strategy looks at the plain model" not in said.err
    table = alcli(*ASK, "-H", "head.safetensors", "-n", 60, "-o", "all.parquet").done()
    assert table.out == b""
    found = pq.read_table("all.parquet").to_pydict()
    assert sorted(found["id"]) == names(60)
    assert f"{sum(score > 0 for score in found['score'])} of 60 labels are contradicted" in said.err
    assert all(a <= b + 1e-6 for a, b in zip(found["label_confidence"], found["confidence"]))


def test_checked_labels_are_left_out_and_near_duplicates_come_first(noisy, alcli):
    X = X_ND.copy()
    X[3] = X[0] + np.float32(1e-5)
    write_pool("pool.parquet", X)
    labels = {f"r{i:03d}": CLASSES[(Y_N[i] + (i in WRONG)) % 3] for i in range(60)} | {"r003": "eel", "r000": "cat"}
    write_labels("labels.csv", labels)
    Path("checked.txt").write_text("id\nr007\n")
    ask = (*ASK, "-l", "labels.csv", "--exclude", "checked.txt", "-n", 3, "--format", "jsonl")
    said = alcli(*ask).done()
    rows = [json.loads(line) for line in said.lines]
    assert rows[0]["id"] == "r003"
    assert rows[0]["why"] == "near-duplicate of r000 labelled cat"
    assert {row["id"] for row in rows[1:]} == {"r031", "r052"}
    assert "1 label is in doubt by a near-duplicate" in said.err


def test_what_does_not_go_with_it(noisy, alcli):
    labelled = (*ASK, "-l", "labels.csv", "-n", 3)
    with untouched(noisy):
        alcli(*labelled, "--selections", "ledger.parquet").refused(2, "--selections", "--exclude")
        alcli(*labelled, "--stream").refused(2, "--stream", "suspect")
        for option in ("prefilter=0.5", "balance=predicted", "impute=argmax", "cost-col=c"):
            alcli(*labelled, "-p", option).refused(2, option.partition("=")[0], "suspect")
        alcli("query", "pool.parquet", "--mix", "suspect:0.5,random:0.5", "-l", "labels.csv", "-n", 2).refused(
            2, "mixes"
        )
        simulate = ("simulate", "pool.parquet", "-s", "suspect", "-n", 3, "--rounds", 1, "-o", "sim")
        alcli(*simulate).refused(2, "asks about labelled items again")
    write_labels("one.csv", {"r000": "cat"})
    Path("none.csv").write_text("id,label\n")
    alcli(*ASK, "-l", "none.csv", "-n", 3).refused(65, "needs a head or labels")
    alcli(*ASK, "-l", "one.csv", "-n", 3).refused(65, "2 classes")
    write_pool("groups.parquet", X_ND, group=group_names(np.arange(120) // 2))
    alcli("query", "groups.parquet", "-s", "suspect", "-l", "labels.csv", "-n", 3).refused(2, "rows one by one")
    write_pool("numbers.parquet", X_ND, label=X_ND[:, 0].astype(np.float64))
    alcli("query", "numbers.parquet", "-s", "suspect", "-n", 3).refused(2, "numbers")


def test_everything_was_checked(noisy, alcli):
    Path("checked.txt").write_text("id\n" + "\n".join(names(60)))
    said = alcli(*ASK, "-l", "labels.csv", "-n", 3, "--exclude", "checked.txt", "--format", "csv").done()
    assert said.lines == ["id,rank,score,strategy,label,label_confidence,predicted,confidence,why"]
