"""Items with several labels, from annotators and from files, as remarks and as a table."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest

from alcli.data.annotations.conflicts import Conflict, check_conflicts_file, write_conflicts
from alcli.data.groups import find_groups
from alcli.data.ids import Ids
from alcli.data.labels import read_labels
from alcli.data.spellings.classes import Spelling
from alcli.data.tables import read_rows
from alcli.data.text.rows import NamedColumns
from alcli.errors import CannotCreateError, UsageError
from tests.data.annotations.test_twins import IDS, read, table

ANN = table(("r0", "cat"), ("r1", "dog"), ("r2", "eel"), name="ann.csv")
BOB = table(("r0", "dog"), ("r1", "dog"), ("r2", "cat"), ("r3", "eel"), name="bob.csv")


def conflicts(*sources, ids=IDS, **how):
    return read_labels(sources, ids, regression=False, **how).conflicts


def test_two_files_that_disagree_are_counted():
    notes: list[str] = []
    assert read(ANN, BOB, notes=notes) == {"r0": "dog", "r1": "dog", "r2": "cat", "r3": "eel"}
    assert notes == ["bob.csv: 2 items have other labels than in the files before it; the later file counts"]
    assert conflicts(ANN, BOB) == (
        Conflict("r0", "cat", 1, (), ("ann.csv",), "dog"),
        Conflict("r0", "dog", 1, (), ("bob.csv",), "dog"),
        Conflict("r2", "cat", 1, (), ("bob.csv",), "cat"),
        Conflict("r2", "eel", 1, (), ("ann.csv",), "cat"),
    )
    assert conflicts(ANN, ANN) == ()


def test_annotators_of_one_file():
    said = [("r0", "cat"), ("r0", "dog"), ("r0", "cat"), ("r1", "dog"), ("r1", "eel"), ("r2", "eel"), ("r2", "eel")]
    found = conflicts(table(*said, annotators=["a", "b", "c", "a", "b", "a", "b"]))
    assert found == (
        Conflict("r0", "cat", 2, ("a", "c"), ("rows",), "cat"),
        Conflict("r0", "dog", 1, ("b",), ("rows",), "cat"),
        Conflict("r1", "dog", 1, ("a",), ("rows",), None),
        Conflict("r1", "eel", 1, ("b",), ("rows",), None),
    )
    assert [one.where for one in found] == ["rows: row 0", "rows: row 1", "rows: row 3", "rows: row 4"]


def test_a_file_without_a_majority_leaves_the_earlier_label():
    open_ = table(("r0", "dog"), ("r0", "eel"), annotators=["a", "b"], name="two.csv")
    assert [(one.label, one.taken) for one in conflicts(ANN, open_)] == [("cat", "cat"), ("dog", "cat"), ("eel", "cat")]


def test_twins_corrections_and_unknown_ids_are_no_conflicts():
    twins = table(("r0", "cat"), ("r0", "Cat"), annotators=["a", "b"])
    assert conflicts(twins, spelling=Spelling(merge=True)) == ()
    assert len(conflicts(twins)) == 2
    assert conflicts(table(("r0", "cat"), ("r0", "dog")), corrections=True) == ()
    unknown = table(("x", "cat"), ("x", "dog"), annotators=["a", "b"])
    assert conflicts(unknown, table(("x", "eel")), ignore_unknown=True) == ()


def test_groups_are_named_as_the_file_names_them():
    groups = find_groups(pa.array(["g0", "g0", *(f"h{i}" for i in range(10))]), "group", str)
    said = table(("g0", "cat"), ("g0", "dog"), annotators=["a", "b"])
    assert [str(one.id) for one in conflicts(said, groups=groups)] == ["g0", "g0"]


@pytest.mark.parametrize("extension", ["csv", "tsv", "jsonl", "parquet", "xlsx"])
def test_the_table_can_be_decided_and_given_back(tmp_path, extension):
    path = tmp_path / f"conflicts.{extension}"
    write_conflicts(path, conflicts(ANN, BOB), text_ids=True, overwrite=False)
    columns = ["id", "label", "votes", "annotators", "files", "taken"]
    rows = [list(map(str, row.values.values())) for row in read_rows(str(path), columns)]
    assert rows[0] == ["r0", "cat", "1", "", "ann.csv", "dog"]
    assert len(rows) == 4
    assert read(ANN, NamedColumns(str(path), None, "taken")) == {"r0": "dog", "r2": "cat", "r1": "dog"}


def test_numbers_as_ids_and_labels(tmp_path):
    ids = Ids(pa.array(range(5), pa.int64()))
    found = read_labels([table((0, 1.5)), table((0, 2.5))], ids, regression=True).conflicts
    write_conflicts(tmp_path / "c.parquet", found, text_ids=False, overwrite=False)
    assert [row.values for row in read_rows(str(tmp_path / "c.parquet"), ["id", "label", "taken"])] == [
        {"id": 0, "label": 1.5, "taken": 2.5},
        {"id": 0, "label": 2.5, "taken": 2.5},
    ]


def test_a_table_without_conflicts_has_a_header(tmp_path):
    write_conflicts(tmp_path / "c.csv", (), text_ids=True, overwrite=False)
    assert (tmp_path / "c.csv").read_text() == "id,label,votes,annotators,files,taken\n"
    write_conflicts(None, (), text_ids=True, overwrite=False)
    assert [path.name for path in tmp_path.iterdir()] == ["c.csv"]


def test_a_file_that_cannot_be_the_table(tmp_path):
    for name in ("c", "c.txt", "c.json"):
        with pytest.raises(UsageError, match=r"--conflicts .*no table has the extension '.*'; known: \.csv, \.tsv"):
            check_conflicts_file(tmp_path / name, overwrite=True, inputs=[])
    (tmp_path / "c.csv").touch()
    with pytest.raises(CannotCreateError, match="already exists"):
        check_conflicts_file(tmp_path / "c.csv", overwrite=False, inputs=[])
    with pytest.raises(UsageError, match="is read and cannot be the output"):
        check_conflicts_file(tmp_path / "c.csv", overwrite=True, inputs=[tmp_path / "c.csv"])
    check_conflicts_file(None, overwrite=False, inputs=[Path("x")])
