"""Classes that look alike become one with `Spelling(merge=True)`, whatever the order of rows and files."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pytest

from alcli.data.ids import Ids
from alcli.data.labels import labels_of_column, read_labels, respelled
from alcli.data.spellings.classes import AS_WRITTEN, Spelling
from alcli.data.text.rows import GivenRows
from alcli.errors import DataError
from alcli.remarks import silence

IDS = Ids(pa.array([f"r{i}" for i in range(12)], pa.large_string()))
MERGE = Spelling(merge=True)


def table(*pairs, name="rows", annotators=None):
    columns = {"id": [id for id, _ in pairs], "label": [label for _, label in pairs]}
    return GivenRows(name, columns | ({} if annotators is None else {"annotator": annotators}))


def read(*sources, spelling=MERGE, notes=None, **how):
    note = silence if notes is None else notes.append
    found = read_labels(sources, IDS, regression=False, spelling=spelling, note=note, **how)
    return {id: said.label for id, said in found.by_id.items()}


@pytest.mark.parametrize(
    "twins",
    [
        ("cat", "Cat", "CAT", " cat", "cat ", "cat\u200b"),
        ("caf\u00e9", "cafe\u0301"),
        ("true", "True"),
        ("1", "1.0"),
        ("a b", "a  b", "a\u00a0b"),
    ],
)
def test_twins_are_one_class_under_the_most_frequent_name(twins):
    for often in twins:
        counts = dict.fromkeys(twins, 1) | {often: 2, "other": 1}
        names = MERGE.names(counts, silence)
        assert names == dict.fromkeys(set(twins) - {often}, often)


def test_of_equally_frequent_names_a_tidy_one_stays_then_the_first():
    assert MERGE.names({" cat": 1, "cat ": 1, "Cat": 1, "cat": 1}, silence) == dict.fromkeys(
        (" cat", "cat ", "cat"), "Cat"
    )
    assert MERGE.names({" cat": 3, "cat ": 2, "cat": 2}, silence) == dict.fromkeys(("cat ", "cat"), " cat")
    assert MERGE.names({"cafe\u0301": 2, "caf\u00e9": 2}, silence) == {"cafe\u0301": "caf\u00e9"}


def test_known_names_come_before_frequent_ones():
    known = Spelling(merge=True, known=("CAT", "dog"))
    assert known.names({"cat": 9, "Dog": 1, "eel": 1}, silence) == {"cat": "CAT", "Dog": "dog"}
    # A head may know both.
    both = Spelling(merge=True, known=("cat", "Cat"))
    assert both.names({"cat": 1, "Cat": 2, "CAT": 1}, silence) == {"CAT": "cat"}
    assert AS_WRITTEN.names({"cat": 1, "Cat": 2}, silence) == {}


def test_names_do_not_depend_on_the_order_of_rows_and_files():
    pairs = [("r0", "cat"), ("r1", "Cat"), ("r2", "Cat"), ("r3", "dog"), ("r4", "Dog ")]
    expected = {"r0": "Cat", "r1": "Cat", "r2": "Cat", "r3": "dog", "r4": "dog"}
    for order in itertools.permutations(pairs):
        assert read(table(*order)) == expected
        assert read(table(*order[:2]), table(*order[2:])) == expected


def test_a_remark_names_what_was_merged_and_how_often():
    notes: list[str] = []
    read(table(("r0", "cat"), ("r1", "cat"), ("r2", "Cat"), ("r3", "cat "), ("r4", "dog")), notes=notes)
    assert notes == ["2 labels are taken as a class that looks alike: 'Cat' (1) as 'cat', 'cat ' (1) as 'cat'"]
    notes.clear()
    assert read(table(("r0", "cat"), ("r1", "Cat")), spelling=AS_WRITTEN, notes=notes) == {"r0": "cat", "r1": "Cat"}
    assert notes == ["the classes 'Cat' and 'cat' differ only by capitals"]


def test_twins_of_one_item_are_no_contradiction():
    twice = table(("r0", "cat"), ("r0", "Cat"), ("r1", "cat"))
    assert read(twice) == {"r0": "cat", "r1": "cat"}
    with pytest.raises(DataError, match="labelled 'Cat', but 'cat'"):
        read(twice, spelling=AS_WRITTEN)


def test_a_label_of_spaces_is_no_label():
    notes: list[str] = []
    assert read(table(("r0", "cat"), ("r1", "  "), ("r2", "dog")), notes=notes) == {"r0": "cat", "r2": "dog"}
    assert notes == ["rows: 1 row without a label was skipped"]
    column = labels_of_column(pa.array(["cat", " "]), Ids(pa.array(["a", "b"])), np.arange(2), "pool")
    assert list(column.by_id) == ["a"]


def test_the_label_of_no_class_has_twins_too():
    found = read_labels(
        [table(("r0", "None "), ("r1", "none"), ("r2", "cat"))],
        IDS,
        regression=False,
        none_label="none",
        spelling=MERGE,
    )
    assert (set(found.by_id), set(found.of_no_class)) == ({"r2"}, {"r0", "r1"})


def test_labels_of_a_pool():
    found = labels_of_column(pa.array(["cat", "Cat", "cat"]), Ids(pa.array(["a", "b", "c"])), np.arange(3), "pool")
    assert [said.label for said in respelled(found, MERGE).by_id.values()] == ["cat"] * 3
    assert respelled(found, AS_WRITTEN) is found


def test_numbers_stay_numbers():
    found = read_labels([table(("r0", 1.0), ("r1", 1))], IDS, regression=True, spelling=MERGE)
    assert [said.label for said in found.by_id.values()] == [1.0, 1.0]
