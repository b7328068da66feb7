"""Spellings of one thing by several writers: numbers, classes, the value test, and columns of different types."""

from __future__ import annotations

from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest

from alcli.data.ids import Ids
from alcli.data.labels import class_type_of, labels_of_column
from alcli.data.reading.joined import joined
from alcli.data.spellings.classes import look_alike, remark_on_look_alikes
from alcli.data.spellings.labels import to_target
from alcli.data.spellings.numbers import number_of, spelling_hint, whole
from alcli.data.spellings.splits import is_test_row, near_test
from alcli.data.spellings.weights import remark_on_weights
from alcli.errors import DataError


@pytest.mark.parametrize("text", ["1", " -2.5 ", "+.5", "3.", "1e-3", "2E+10", "007"])
def test_a_number_is_what_python_and_everybody_else_read(text):
    assert number_of(text) == float(text)


@pytest.mark.parametrize(
    "value", ["1_000", "inf", "nan", "1e999", "٣", "１", "0x10", "1,5", "", "-", True, None, [1], b"1"]
)
def test_everything_else_is_no_number(value):
    assert np.isnan(number_of(value))


def test_a_label_whose_square_is_no_number_is_refused():
    assert to_target("-1e150", "x") == -1e150
    with pytest.raises(DataError, match="x: the label 1e\\+300 is too large"):
        to_target(1e300, "x")


def test_numbers_of_libraries_are_numbers():
    assert [number_of(v) for v in (Decimal("2.50"), np.float32(0.5), np.int64(3))] == [2.5, 0.5, 3.0]
    assert whole(2.0) == whole(Decimal("2.00")) == 2
    assert whole(2.5) is whole(Decimal("NaN")) is whole(float("inf")) is whole("2") is None


def test_a_near_number_gets_a_hint():
    assert "point" in spelling_hint("1,5")
    assert "'_'" in spelling_hint("1_000")
    assert spelling_hint("cat") == spelling_hint(None) == ""


@pytest.mark.parametrize(
    ("one", "other", "said"),
    [
        ("cat", "cat ", "spaces"),
        ("a b", "a\u00a0b", "spaces"),
        ("Cat", "cat", "capitals"),
        ("True", "true", "capitals"),
        ("caf\u00e9", "cafe\u0301", "NFC"),
        ("a\u200bb", "ab", "encoding"),
        ("1", "1.0", "one number"),
        ("01", "1", "one number"),
    ],
)
def test_classes_that_look_alike_are_told(one, other, said):
    notes: list[str] = []
    remark_on_look_alikes([one, other, "another"], notes.append)
    assert len(notes) == 1
    assert said in notes[0]
    assert look_alike(one, ["another", other]) == other


def test_classes_that_differ_are_not_told():
    notes: list[str] = []
    remark_on_look_alikes(["1", "10", "cat", "cats", "cafe", "caf\u00e9", "1.0.0"], notes.append)
    assert notes == []
    assert look_alike("cat", ["cat", "cats"]) is None


def test_each_kind_of_difference_is_told_once_with_the_first_pairs():
    notes: list[str] = []
    remark_on_look_alikes([*"12345", *(f"{i}.0" for i in range(1, 6)), "a", "A"], notes.append)
    assert len(notes) == 2
    assert any("'1' and '1.0', '2' and '2.0', '3' and '3.0' (and 2 more such pairs)" in n for n in notes)


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.binary()])
def test_test_is_test_in_any_spelling(kind):
    split = pa.array(["test", "Test", "TEST", " test ", "train", "testing", None], pa.string()).cast(kind)
    assert is_test_row(split).tolist() == [True] * 4 + [False] * 3
    assert is_test_row(pa.chunked_array([split, split])).sum() == 8
    assert near_test(split) == ["testing"]


def test_other_columns_have_no_test_rows():
    for split in (pa.array([1, 2]), pa.nulls(2), pa.array([b"\xff", b"test"])):
        assert not is_test_row(split).any()
        assert near_test(split) == []


def test_numbers_of_different_types_become_one_type():
    ints, floats = pa.array([1, 2], pa.int32()), pa.array([3.0, None])
    assert joined([ints, pa.array([3], pa.int64()), pa.nulls(1)], "x").to_pylist() == [1, 2, 3, None]
    assert joined([ints, floats], "x").equals(pa.array([1, 2, 3, None], pa.int64()))
    assert joined([ints, pa.array([0.5])], "x").equals(pa.array([1, 2, 0.5]))
    assert joined([ints, pa.array([Decimal(7)], pa.decimal128(38, 0))], "x").equals(pa.array([1, 2, 7], pa.int64()))
    assert joined([pa.array(["a"]), pa.array([b"b"])], "x").to_pylist() == ["a", "b"]
    assert joined([pa.array([2**63], pa.uint64()), ints], "x").to_pylist() == [2**63, 1, 2]


@pytest.mark.parametrize("other", [pa.array(["a"]), pa.array([True]), pa.array([[1]])])
def test_types_that_no_type_holds_are_refused(other):
    with pytest.raises(DataError, match=r"x is of type .* in different files"):
        joined([pa.array([1]), other], "x")


def test_decimals_without_places_and_bytes_are_classes():
    ids = Ids(pa.array([0, 1], pa.int64()))
    assert class_type_of(pa.decimal128(38, 0), "x") == "integer"
    assert class_type_of(pa.decimal128(10, 2), "x") == "float"
    decimals = pa.array([Decimal(10), Decimal(9)], pa.decimal128(38, 0))
    assert labels_of_column(decimals, ids, np.arange(2), "x").classes() == ("9", "10")
    assert labels_of_column(pa.array([b"a", b"b"]), ids, np.arange(2), "x").classes() == ("a", "b")
    with pytest.raises(DataError, match="no class"):
        labels_of_column(pa.array([b"\xff", b"b"]), ids, np.arange(2), "x")


@pytest.mark.parametrize(
    ("weights", "is_odd"),
    [([70.5, 81, 64, 90, 77], True), ([1, 1, 1, 1, 1], False), ([0.4, 2.1, 0.9, 1.3, 0.2], False), ([50, 60], False)],
)
def test_weights_that_may_mean_something_else_are_told(weights, is_odd):
    notes: list[str] = []
    remark_on_weights(weights, "labels.csv", notes.append)
    assert bool(notes) == is_odd
    if is_odd:
        assert notes[0].startswith("labels.csv: the column 'weight' has a mean of 76.5")
