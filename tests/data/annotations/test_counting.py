"""Ids that only count the rows of a file are refused where they are no ids of the pool."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from alcli.data.ids import Ids
from alcli.data.labels import read_labels
from alcli.data.text.rows import GivenRows, NamedColumns
from alcli.errors import DataError
from tests.pools import tiny_features, write_labels, write_pool
from tests.shell import Here, untouched

NUMBERS = Ids(pa.array(range(100), pa.int64()))
TEXTS = Ids(pa.array([f"q{i}" for i in range(100)], pa.large_string()))
ROWS = [91, 4, 55, 7, 30, 12]


def export(tmp_path, first, ids, name="a.csv", column="item"):
    """A table of a program that counts its rows in `id`."""
    lines = [f"{first + i},text {i},{id},x{i % 2}" for i, id in enumerate(ids)]
    (tmp_path / name).write_text(f"id,text,{column},label\n" + "".join(line + "\n" for line in lines))
    return str(tmp_path / name)


def read(source, ids, **how):
    found = read_labels([source], ids, regression=False, **how)
    return {id: said.label for id, said in found.by_id.items()}


def test_numbers_that_happen_to_be_ids_are_no_better_column(tmp_path):
    """An age is a number of the pool, too; a column whose name says so holds ids."""
    ids = Ids(pa.array(range(200)))
    for name, refused in (("age", False), ("item_id", True), ("source row", True)):
        path = tmp_path / "a.csv"
        path.write_text(f"id,label,{name}\n" + "".join(f"{i},a,{20 + 3 * i}\n" for i in range(20)))
        if refused:
            with pytest.raises(DataError, match=f"the column '{name}' holds ids of the pool"):
                read_labels([str(path)], ids, regression=False)
        else:
            assert len(read_labels([str(path)], ids, regression=False)) == 20


@pytest.mark.parametrize("first", [0, 1])
def test_row_numbers_beside_a_column_of_ids(tmp_path, first):
    path = export(tmp_path, first, ROWS)
    said = (
        rf"a\.csv: the column 'id' counts the rows, {first} to {first + 5}, and the column 'item' holds ids of the pool"
    )
    with pytest.raises(DataError, match=said + ".*; name the column of your ids, as --labels-id-col item"):
        read(path, NUMBERS)
    assert list(read(NamedColumns(path, "item"), NUMBERS)) == ROWS
    assert list(read(NamedColumns(path, "id"), NUMBERS)) == list(range(first, first + 6))


@pytest.mark.parametrize("ignore", [True, False])
def test_row_numbers_that_the_pool_does_not_have(tmp_path, ignore):
    path = export(tmp_path, 1, [f"q{i}" for i in ROWS])
    with pytest.raises(DataError, match=r"1 to 6, and none of these ids is in the pool; .*--labels-id-col item"):
        read(path, TEXTS, ignore_unknown=ignore)
    path = export(tmp_path, 0, [f"z{i}" for i in ROWS])
    few = Ids(pa.array([2, 1000], pa.int64()))
    with pytest.raises(DataError, match="only 1 of these ids is in the pool; no other column of the file holds ids"):
        read(path, few, ignore_unknown=ignore)


def test_row_numbers_that_were_not_given_out(tmp_path):
    path = export(tmp_path, 0, ["a"] * 6)
    said = "none of these ids was given out, as the ledger of --selections says; no other column .* as they are"
    with pytest.raises(DataError, match=said):
        read(path, NUMBERS, given_out={70, 71})
    assert len(read(path, NUMBERS, given_out={5, 70})) == 6
    assert len(read(path, NUMBERS, given_out=frozenset())) == 6
    assert len(read(NamedColumns(path, "id"), NUMBERS, given_out={70})) == 6


@pytest.mark.parametrize(
    "columns",
    [
        {"id": [0, 1, 2, 3, 4, 5]},
        {"id": [0, 1, 2, 3, 4, 5], "rank": [5, 4, 3, 2, 1, 0]},
        {"id": [0, 1, 2, 3, 4, 5], "length": [7, 7, 8, 9, 10, 11]},
        {"id": [0, 1, 2, 3, 4, 5], "seconds": [200, 1, 2, 3, 4, 7]},
        {"id": [0, 1, 2, 3, 4, 5], "score": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]},
        {"id": [0, 1, 3, 4, 5, 6], "item": ROWS},
        {"id": [0, 1, 2, 3], "item": ROWS[:4]},
    ],
)
def test_ids_that_are_ids(columns):
    n = len(columns["id"])
    assert list(read(GivenRows("rows", columns | {"label": list("ababab")[:n]}), NUMBERS)) == columns["id"]
    # Labels that differ from row to row are no ids.
    labels = {"label": [str(row) for row in ROWS][:n]}
    assert list(read(GivenRows("rows", columns | labels), NUMBERS)) == columns["id"]


def test_an_id_that_is_not_in_the_pool_names_the_column_that_is(tmp_path):
    (tmp_path / "a.csv").write_text("id;key;label\nt1;q1;x\nt9;q5;y\n")
    with pytest.raises(
        DataError, match=r"id 't1' is not in the pool \(and 1 more\); the column 'key' has ids of the pool"
    ):
        read(str(tmp_path / "a.csv"), TEXTS)
    (tmp_path / "a.jsonl").write_text(
        '{"id": "t1", "key": "q1", "label": "x"}\n{"id": "q2", "key": "q7", "label": "y"}\n'
    )
    with pytest.raises(DataError, match="name it by --labels-id-col"):
        read(str(tmp_path / "a.jsonl"), TEXTS)
    (tmp_path / "a.csv").write_text("id,label\nt1,x\n")
    with pytest.raises(DataError, match="--ignore-unknown"):
        read(str(tmp_path / "a.csv"), TEXTS)


def test_query_with_a_ledger(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pool("pool.parquet", tiny_features(60)[0], ids=list(range(60)))
    alcli = Here(capfd, monkeypatch)
    ask = ("query", "pool.parquet", "-s", "random", "-n", "8", "--selections", "ledger.parquet", "--format", "jsonl")
    Path("first.ids").write_text("0\n1\n2\n")
    given = [json.loads(line)["id"] for line in alcli(*ask, "--exclude", "first.ids").done().out.splitlines()]
    write_labels("counted.csv", {0: "a", 1: "b", 2: "a"})
    with untouched(tmp_path):
        alcli(*ask, "-l", "counted.csv").refused(65, "none of these ids was given out", "--labels-id-col id takes")
    write_labels("right.csv", {id: "ab"[id % 2] for id in given})
    alcli(*ask, "-l", "right.csv").done()
    alcli(*ask, "-l", "counted.csv", "--labels-id-col", "id").done()
