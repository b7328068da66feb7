"""Labels by id: types of classes, later files, columns of a pool."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from alcli.data.ids import Ids
from alcli.data.labels import class_type_of, labels_of_column, read_labels, sorted_classes
from alcli.errors import DataError

IDS = Ids(pa.array(["a", "b", "c", "d"], pa.large_string()))
PLACE = "pool.parquet: column 'label'"
ROWS = pa.array([0, 1, 2, 3]).to_numpy()


def read(folder, *contents: list[object], regression: bool = False):
    names = []
    for i, labels in enumerate(contents):
        names.append(f"{i}.jsonl")
        (folder / names[-1]).write_text(
            "".join(json.dumps({"id": "abcd"[j], "label": v}) + "\n" for j, v in enumerate(labels) if v != "skip")
        )
    return read_labels(names, IDS, regression=regression)


@pytest.mark.parametrize(
    ("values", "kind", "classes"),
    [
        ([10, 9, 10], "integer", ("9", "10")),
        ([True, False], "boolean", ("false", "true")),
        (["b", "B", "a"], "string", ("B", "a", "b")),
        ([1, "1", 2], "string", ("1", "2")),
        ([3.0, 10.0], "integer", ("3", "10")),
    ],
)
def test_types_of_classes(folder, values, kind, classes):
    labels = read(folder, values)
    assert labels.class_type == kind
    assert labels.classes() == classes


def test_later_files_win_and_move_to_the_end(folder):
    labels = read(folder, ["x", "y", "z"], ["skip", "q"])
    assert {id: said.label for id, said in labels.by_id.items()} == {"a": "x", "c": "z", "b": "q"}
    assert labels.arrays(("q", "x", "z"))[0].tolist() == [1, 2, 0]
    with pytest.raises(DataError, match=r"1\.jsonl: line 1: the head has no class 'q'"):
        labels.arrays(("x", "y", "z"))


def test_targets(folder):
    y_L, weights_L = read(folder, [1, "2.5", -3e9], regression=True).arrays(None)
    assert y_L.tolist() == [1.0, 2.5, -3e9]
    assert weights_L.tolist() == [1, 1, 1]
    for bad in ("x", True, "nan", 1e999, 10**400):
        with pytest.raises(DataError, match="finite number"):
            read(folder, [bad], regression=True)


@pytest.mark.parametrize(
    ("column", "kind", "labels"),
    [
        (pa.array([3, None, 10, 3]), "integer", {"a": "3", "c": "10", "d": "3"}),
        (pa.array([True, None, False, None]), "boolean", {"a": "true", "c": "false"}),
        (pa.array(["x", "", None, "y"]), "string", {"a": "x", "d": "y"}),
        (pa.nulls(4), "string", {}),
    ],
)
def test_labels_of_a_column(column, kind, labels):
    found = labels_of_column(column, IDS, ROWS, PLACE)
    assert {id: said.label for id, said in found.by_id.items()} == labels
    assert found.class_type == kind if labels else True


def test_a_column_of_floats():
    column = pa.array([1.0, None, 2.0, 3.0])
    assert labels_of_column(column, IDS, ROWS, PLACE).arrays(None)[0].tolist() == [1, 2, 3]
    assert labels_of_column(column, IDS, ROWS, PLACE, regression=False).classes() == ("1", "2", "3")
    with pytest.raises(DataError, match=r"pool\.parquet: column 'label', row 0 \(id 'a'\): .*finite"):
        labels_of_column(pa.array([float("nan")] * 4), IDS, ROWS, PLACE)
    with pytest.raises(DataError, match=r"pool\.parquet: column 'label' is of type list.*expected classes"):
        class_type_of(pa.list_(pa.int8()), PLACE)


def test_order_of_classes():
    assert sorted_classes(["10", "9", "-1"], "integer") == ("-1", "9", "10")
    assert sorted_classes(["10", "9"], "string") == ("10", "9")
