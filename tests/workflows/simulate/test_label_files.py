"""simulate -l: the labels come from files, and the results are those of the same labels in the pool."""

from __future__ import annotations

import csv
import json

import numpy as np
import pyarrow.parquet as pq
import pytest

import alcli as package
from alcli.errors import DataError, UsageError
from alcli.workflows.simulate.truth import LabelFiles
from tests.workflows.simulate.runs import run, without_seconds, write_pool


def rows_of(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def parts(tmp_path):
    """pool.parquet with labels, bare.parquet without them, and labels.csv; the paths."""
    pool = write_pool(tmp_path / "pool.parquet")
    table = pq.read_table(pool)
    pq.write_table(table.drop_columns(["label"]), tmp_path / "bare.parquet")
    with open(tmp_path / "labels.csv", "w", newline="") as file:
        rows = list(zip(table["id"].to_pylist(), table["label"].to_pylist()))
        csv.writer(file).writerows([("id", "label"), *reversed(rows)])
    return tmp_path


def files(*paths, **more):
    return LabelFiles([str(path) for path in paths], **more)


def test_labels_of_a_file_give_what_labels_of_the_pool_give(parts, no_pictures):
    run(parts / "pool.parquet", parts / "a")
    done = run(parts / "bare.parquet", parts / "b", labels=files(parts / "labels.csv"))
    ours, theirs = ({k: v for k, v in without_seconds(parts / name).items() if k != "config"} for name in "ab")
    assert ours == theirs
    assert done.report["test_rows"] == 23
    digests = [json.loads((parts / name / "config.json").read_text())["pool"]["labels"] for name in "ab"]
    assert digests[0] == digests[1]


def test_a_file_beats_the_column_of_the_pool_and_other_labels_are_another_simulation(parts, no_pictures):
    text = (parts / "labels.csv").read_text()
    (parts / "other.csv").write_text(text.replace("class 2", "class 1"))
    run(parts / "pool.parquet", parts / "a", rounds=1)
    with pytest.raises(Exception, match="labels"):
        run(parts / "pool.parquet", parts / "a", rounds=1, labels=files(parts / "other.csv"))
    run(parts / "pool.parquet", parts / "b", rounds=1, labels=files(parts / "other.csv"))
    assert {row["class"] for row in rows_of(parts / "b/classes.csv")} == {"class 0", "class 1"}


def test_rows_without_a_label_are_left_out(parts, no_pictures):
    lines = (parts / "labels.csv").read_text().splitlines()
    (parts / "few.csv").write_text("\n".join([*lines[:71], "gone,class 1"]))
    with pytest.raises(DataError, match="the id 'gone' is not in the pool"):
        run(parts / "bare.parquet", parts / "a", labels=files(parts / "few.csv"))
    done = run(parts / "bare.parquet", parts / "a", rounds=1, labels=files(parts / "few.csv", ignore_unknown=True))
    assert any("20 rows without a label or a usable vector were left out" in note for note in done.notes)


def test_numbers_in_files_are_classes_unless_a_head_of_numbers_is_named(parts, no_pictures, alcli):
    rows = "".join(f"item-{i:03d},{np.sin(i) + i % 3:.3f}\n" for i in range(90))
    (parts / "numbers.csv").write_text("id,label\n" + rows)
    command = ("simulate", parts / "bare.parquet", "-l", parts / "numbers.csv", "-s", "coreset", "-n", 5, "--rounds", 1)
    alcli(*command, "--seeds", 1, "--head", "ridge", "-o", parts / "n", "--json").done()
    assert rows_of(parts / "n/summary.csv")[0]["metric"] == "rmse"


def test_beside_test_labels_and_labels_of_no_class(parts, no_pictures):
    """Every fifth row of the first 40 belongs to no class; the last 20 rows are test rows, by a file of their own."""
    rows = rows_of(parts / "labels.csv")[::-1]
    text = "".join(f"{r['id']},{'none' if i % 5 == 0 and i < 40 else r['label']}\n" for i, r in enumerate(rows))
    (parts / "some.csv").write_text("id,label\n" + text)
    (parts / "test.csv").write_text("id,label\n" + "".join(f"{r['id']},{r['label']}\n" for r in rows[70:]))
    table = pq.read_table(parts / "bare.parquet")
    pq.write_table(table.drop_columns(["split"]), parts / "plain.parquet")
    more = {"none_label": "none", "test_labels": [str(parts / "test.csv")]}
    done = run(parts / "plain.parquet", parts / "a", rounds=1, labels=files(parts / "some.csv"), **more)
    assert done.report["test_rows"] == 20
    assert any("8 items belong to no class" in note for note in done.notes)
    own = table.drop_columns(["split"]).append_column("label", [[line.split(",")[1] for line in text.splitlines()]])
    pq.write_table(own, parts / "own.parquet")
    run(parts / "own.parquet", parts / "b", rounds=1, **more)
    ours, theirs = (without_seconds(parts / name) for name in "ab")
    assert ours["curves"] == theirs["curves"]


def test_wrong_files_are_refused_in_a_sentence(parts, no_pictures):
    (parts / "one.csv").write_text("id,label\nitem-001,a\nitem-002,a\n")
    (parts / "none.csv").write_text("id,label\nitem-001,\n")
    with pytest.raises(DataError, match=r"one\.csv: every label is 'a', expected 2 classes"):
        run(parts / "pool.parquet", parts / "a", labels=files(parts / "one.csv"))
    with pytest.raises(DataError, match=r"none\.csv: no labels of rows"):
        run(parts / "pool.parquet", parts / "a", labels=files(parts / "none.csv"))
    with pytest.raises(DataError, match="give labels with -l FILE"):
        run(parts / "bare.parquet", parts / "a")
    with pytest.raises(UsageError, match="--corrections is about files of labels"):
        run(parts / "pool.parquet", parts / "a", labels=LabelFiles(corrections=True))


def test_columns_of_the_file_are_named_as_elsewhere(parts, no_pictures, alcli):
    text = (parts / "labels.csv").read_text()
    (parts / "named.csv").write_text(text.replace("id,label", "item,answer"))
    command = ("simulate", parts / "bare.parquet", "-l", parts / "named.csv", "-s", "margin", "-n", 5, "--rounds", 1)
    named = ("--labels-id-col", "item", "--labels-label-col", "answer")
    alcli(*command, *named, "--seeds", 1, "-o", parts / "c", "-q").done()
    assert (parts / "c/summary.csv").exists()


def test_from_python_labels_are_a_mapping(parts, no_pictures):
    labels = {row["id"]: row["label"] for row in rows_of(parts / "labels.csv")}
    result = package.simulate(parts / "bare.parquet", "margin", 5, 1, labels=labels, seeds=1)
    assert [row["strategy"] for row in result.summary] == ["random", "margin"]
