"""The column of groups, and what ids in files mean where rows make groups."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from alcli.data.groups import Name, by_row, find_groups, name_of, rows_named
from alcli.data.ids import Ids
from alcli.data.text.rows import Row
from alcli.errors import DataError

IDS = Ids(pa.array(["a", "b", "c", "d", "x"], pa.large_string()))
GROUPS = find_groups(pa.array(["y", "x", "y", "x", "z"]), "group", str)
NUMBERS = Ids(pa.array([10, 11, 12, 13, 14]))


def line(number=2, from_text=True, **values):
    return Row(f"labels.csv: line {number}", values, from_text)


def test_groups_are_numbered_in_the_order_of_their_ids():
    assert [GROUPS.ids[g] for g in range(3)] == ["x", "y", "z"]
    assert GROUPS.of_N.tolist() == [1, 0, 1, 0, 2]
    assert [GROUPS.rows_of(g).tolist() for g in range(3)] == [[1, 3], [0, 2], [4]]
    numbers = find_groups(pa.array([7, -3, 7], pa.int16()), "image", str)
    assert [numbers.ids[g] for g in range(2)] == [-3, 7]
    assert numbers.column == "image"


def test_a_grouping_leaves_rows_out_and_knows_hashes_of_ids():
    grouping = GROUPS.grouping(np.array([False, True, False, False, True]))
    assert grouping.group_N.tolist() == [1, -1, 1, 0, -1]
    assert grouping.ids_G.tolist() == ["x", "y", "z"]
    assert grouping.of_rows(np.arange(5)).tolist() == [0, 1]
    assert grouping.mask(np.array([1, 2])).tolist() == [True, False, True, False, False]
    assert grouping.keys_G.tolist() == Ids(pa.array(["x", "y", "z"], pa.large_string())).hashes().tolist()


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (pa.array(["a", None]), "row 1: the group is null"),
        (pa.array(["a", ""]), "row 1: the group is an empty string"),
        (pa.array([1.0, 2.0]), "groups of type double, expected strings or integers"),
        (pa.array([True]), "groups of type bool, expected strings or integers"),
        (pa.array([[1]]), "groups of type list"),
    ],
)
def test_what_is_no_column_of_groups(column, words):
    with pytest.raises(DataError, match=rf"{words}.*--group-col none makes every row an item"):
        find_groups(column, "group", lambda row: f"row {row}")


def meant(*rows, ids=IDS, groups=GROUPS):
    names = {name_of(row, ids, groups): row.where for row in rows}
    return [(found.tolist(), is_group) for found, is_group in rows_named(names, ids, groups)]


def test_an_id_is_a_rows_or_a_groups():
    assert meant(line(id="a"), line(id="y"), line(id="nobody")) == [([0], False), ([0, 2], True), ([], False)]


def test_an_id_that_could_be_either_is_refused_unless_a_column_says_which():
    with pytest.raises(
        DataError,
        match=r"labels.csv: line 2: the id 'x' is that of a row and that of a group.*'group' in place of "
        r"'id'.*--group-col none",
    ):
        meant(line(id="x"))
    assert meant(line(group="x")) == [([1, 3], True)]
    assert meant(line(id="x", group="z")) == [([4], False)]


def test_an_id_of_a_row_that_is_a_group_by_itself_is_no_question():
    groups = find_groups(pa.array(["x", "b", "x", "d", "d"]), "group", str)
    ids = Ids(pa.array(["a", "b", "c", "d", "e"], pa.large_string()))
    assert meant(line(id="b"), ids=ids, groups=groups) == [([1], False)]
    with pytest.raises(DataError, match="'d' is that of a row"):
        meant(line(id="d"), ids=ids, groups=groups)


def test_types_tell_rows_from_groups():
    assert meant(line(id="12"), line(id="x"), ids=NUMBERS) == [([2], False), ([1, 3], True)]
    assert meant(line(from_text=False, id=12), line(from_text=False, id="x"), ids=NUMBERS) == [
        ([2], False),
        ([1, 3], True),
    ]
    assert meant(line(id="what"), ids=NUMBERS) == [([], False)]
    with pytest.raises(DataError, match=r"the id 1.5 is a number with a fraction"):
        meant(line(from_text=False, id=1.5))
    with pytest.raises(DataError, match="no column 'id', and no column 'group' in its place"):
        meant(line(label="cat"))


def test_what_is_said_of_a_row_goes_before_what_is_said_of_its_group():
    said = {Name("a", None): "mine", Name(None, "y"): "ours", Name(None, "nobody"): "lost", Name("c", "c"): "mine too"}
    rows, unknown = by_row(said, str, IDS, GROUPS)
    assert rows == {"a": "mine", "c": "mine too"}
    assert unknown == [Name(None, "nobody")]
    assert by_row({Name(None, "y"): "ours", Name("c", "c"): "mine"}, str, IDS, GROUPS)[0] == {"a": "ours", "c": "mine"}
