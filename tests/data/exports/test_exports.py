"""Labels from the exports of labelling tools.

The files of Label Studio were written by the converter of label-studio-sdk 2.1.2, those of Argilla by argilla 2.8.0.
Lines of doccano and Prodigy follow the code of doccano 1.8.4 and the pages of Prodigy.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow as pa
import pytest

from alcli.data.annotations.said import Said
from alcli.data.exports.votes import majority, settled
from alcli.data.ids import Ids
from alcli.data.labels import read_labels
from alcli.data.text.rows import NamedColumns
from alcli.errors import DataError

FILES = Path(__file__).parents[2] / "fixtures" / "exports"
IDS = Ids(pa.array(["q186", "q459", "q519"], pa.large_string()))
NUMBERS = Ids(pa.array(range(100), pa.int64()))
EXPECTED = {"q459": "refund", "q186": "lost"}


def read(source, ids=IDS, notes=None, **how):
    note = (lambda _: None) if notes is None else notes.append
    found = read_labels([source], ids, regression=False, note=note, **how)
    return {id: said.label for id, said in found.by_id.items()}


@pytest.mark.parametrize(
    ("name", "id", "label"),
    [
        ("label-studio.json", None, None),
        ("label-studio.json", "id", "intent"),
        ("label-studio.csv", None, "intent"),
        ("label-studio.tsv", None, "intent"),
        ("label-studio-item.csv", "item", "intent"),
        ("argilla.json", None, None),
        ("argilla-flat.json", None, None),
        ("argilla-flat.json", "id", "intent"),
    ],
)
def test_real_exports(name, id, label):
    """Three annotators of q459, two of whom say refund; one of q186; q519 was skipped."""
    notes: list[str] = []
    found = read(NamedColumns(str(FILES / name), id, label), notes=notes)
    if name == "argilla.json":
        # The nested form does not tell a draft from an answer.
        assert found == {"q459": "refund"}
        assert any("1 item without a majority left out" in note for note in notes)
    else:
        assert found == EXPECTED
    assert any("different labels of different annotators; the majority counts" in note for note in notes)


def test_labels_of_json_min_need_the_field_of_the_ids():
    """JSON_MIN overwrites an item's `id` by the number of its task."""
    with pytest.raises(DataError, match=r"id 41 may be Label Studio's own number.*--labels-id-col.*'source'"):
        read(NamedColumns(str(FILES / "label-studio-min.json"), None, "intent"))
    source = NamedColumns(str(FILES / "label-studio-item-min.json"), "item", "intent")
    assert read(source) == EXPECTED
    with pytest.raises(DataError, match=r"no key 'label' among 'text', 'item', 'intent'; name the question"):
        read(NamedColumns(str(FILES / "label-studio-item-min.json"), "item"))


def test_tasks_of_json_min_without_an_answer_lack_the_question(tmp_path):
    """So the server writes a skipped task; where no task has the question, it has another name."""
    entries = json.loads((FILES / "label-studio-item-min.json").read_text())
    expected = read(NamedColumns(str(FILES / "label-studio-item-min.json"), "item", "intent"))
    renamed = [{("label" if k == "intent" else k): v for k, v in entry.items()} for entry in entries]
    skipped = {key: value for key, value in renamed[0].items() if key != "label"} | {"id": 999, "item": "q000"}
    for order in ([skipped, *renamed], [*renamed, skipped]):
        (tmp_path / "a.json").write_text(json.dumps(order))
        assert read(NamedColumns(str(tmp_path / "a.json"), "item")) == expected
    (tmp_path / "a.json").write_text(json.dumps([skipped]))
    with pytest.raises(DataError, match=r"entry 0: no key 'label' among"):
        read(NamedColumns(str(tmp_path / "a.json"), "item"))


@pytest.mark.parametrize("name", ["label-studio-item.csv", "label-studio-item-min.json"])
def test_numbers_of_the_tool_never_reach_rows_whose_ids_are_numbers(name):
    """The ids 41 and 42 are rows of this pool, and other items."""
    with pytest.raises(DataError, match=r"id 41 may be Label Studio's own number of the item; name the column"):
        read(NamedColumns(str(FILES / name), None, "intent"), NUMBERS)
    # Who names the column takes it as it is.
    assert read(NamedColumns(str(FILES / name), "id", "intent"), NUMBERS) == {41: "refund", 42: "lost"}


def test_an_id_sent_along_as_alcli_id_is_found(tmp_path):
    text = (FILES / "label-studio-item.csv").read_text().replace('"item"', '"alcli_id"').replace('"intent"', '"label"')
    (tmp_path / "a.csv").write_text(text)
    assert read(str(tmp_path / "a.csv")) == EXPECTED
    task = json.loads((FILES / "label-studio.json").read_text())
    for one in task:
        one["data"]["alcli_id"] = one["data"].pop("id")
    (tmp_path / "a.json").write_text(json.dumps(task))
    assert read(str(tmp_path / "a.json")) == EXPECTED


def lines(tmp_path, *objects):
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(one) + "\n" for one in objects))
    return str(tmp_path / "a.jsonl")


def test_doccano(tmp_path):
    ours = [{"id": "q459", "text": "t", "label": ["refund"], "Comments": []}, {"id": "q186", "text": "t", "label": []}]
    assert read(lines(tmp_path, *ours)) == {"q459": "refund"}
    own = [{"id": 17, "text": "t", "key": "q459", "label": ["refund"], "Comments": []}]
    with pytest.raises(DataError, match=r"line 1: the id 17 may be doccano's own number.*\('key'\)"):
        read(lines(tmp_path, *own), NUMBERS)
    assert read(NamedColumns(lines(tmp_path, *own), "key")) == {"q459": "refund"}
    (tmp_path / "a.csv").write_text("id,text,label,Comments\n17,words,refund,\n")
    with pytest.raises(DataError, match=r"id 17 may be doccano's own number"):
        read(str(tmp_path / "a.csv"), NUMBERS)
    # The column of the batch comes before the number, whichever rows the pool has.
    (tmp_path / "a.csv").write_text("id,text,label,alcli_id,Comments\n17,words,refund,41,\n")
    assert read(str(tmp_path / "a.csv"), NUMBERS) == {41: "refund"}
    (tmp_path / "a.csv").write_text("id,label,alcli_id\n17,refund,41\n")
    assert read(str(tmp_path / "a.csv"), NUMBERS) == {41: "refund"}
    with pytest.raises(DataError, match="several classes for one item: 'a', 'b'"):
        read(lines(tmp_path, {"id": "q459", "text": "t", "label": ["a", "b"]}))


def test_prodigy(tmp_path):
    about = {"_input_hash": 1, "_task_hash": 2, "_session_id": "d-ann", "_view_id": "choice"}
    answers = [
        {"text": "t", "meta": {"id": "q459"}, "accept": ["refund"], "answer": "accept", **about},
        {"text": "t", "meta": {"id": "q186"}, "accept": [], "answer": "ignore", **about},
        {"text": "t", "meta": {"id": "q519"}, "accept": ["lost"], "answer": "reject", **about},
    ]
    notes: list[str] = []
    assert read(lines(tmp_path, *answers), notes=notes) == {"q459": "refund"}
    assert "2 rows without a label were skipped" in notes[0]
    binary = [
        {"text": "t", "id": "q459", "label": "refund", "answer": "accept", **about},
        {"text": "t", "id": "q186", "label": "refund", "answer": "reject", **about},
    ]
    assert read(lines(tmp_path, *binary)) == {"q459": "refund"}
    with pytest.raises(DataError, match=r"no field with an id of the pool among 'score'; name the field"):
        read(lines(tmp_path, {"text": "t", "meta": {"score": 1}, "accept": ["a"], "answer": "accept", **about}))


def test_several_questions_need_a_choice(tmp_path):
    task = json.loads((FILES / "label-studio.json").read_text())
    other = {"from_name": "tone", "to_name": "text", "type": "choices", "value": {"choices": ["kind"]}}
    task[1]["annotations"][0]["result"].append(other)
    (tmp_path / "a.json").write_text(json.dumps(task))
    with pytest.raises(DataError, match=r"entry 1: answers to several questions: 'intent', 'tone'.*--labels-label-col"):
        read(str(tmp_path / "a.json"))
    assert read(NamedColumns(str(tmp_path / "a.json"), None, "tone")) == {"q186": "kind"}


def test_named_columns_of_any_table(tmp_path):
    (tmp_path / "a.csv").write_text("key;class;label\nq459;refund;x\nq186;lost;x\n")
    assert read(NamedColumns(str(tmp_path / "a.csv"), "key", "class")) == EXPECTED
    with pytest.raises(
        DataError, match=r"no column 'kee' among 'key;class;label'|no column 'kee' among 'key', 'class'"
    ):
        read(NamedColumns(str(tmp_path / "a.csv"), "kee"))
    with pytest.raises(DataError, match=r"no column 'id' among 'key;class;label'.*--labels-id-col"):
        read(str(tmp_path / "a.csv"))
    assert read(NamedColumns(lines(tmp_path, {"key": "q459", "class": "refund"}), "key", "class")) == {"q459": "refund"}


def test_annotators_of_a_table(tmp_path):
    (tmp_path / "a.csv").write_text(
        "id,label,annotator\nq459,refund,a\nq459,lost,b\nq459,refund,c\nq186,lost,a\nq186,refund,b\nq519,lost,a\n"
    )
    notes: list[str] = []
    assert read(str(tmp_path / "a.csv"), notes=notes) == {"q459": "refund", "q519": "lost"}
    said = "\n".join(notes)
    assert re.search(r"2 items have different labels of different annotators", said)
    assert "1 item without a majority left out" in said
    (tmp_path / "b.csv").write_text("id,label,annotator\nq459,refund,a\nq459,lost,a\n")
    with pytest.raises(DataError, match="labelled 'lost', but 'refund' at"):
        read(str(tmp_path / "b.csv"))
    assert read(str(tmp_path / "b.csv"), corrections=True) == {"q459": "lost"}


def test_majorities():
    said = [Said(label, 1.0, str(i)) for i, label in enumerate("abbca")]
    assert majority(said) is None
    assert majority(said[:4]) is said[1]
    assert majority(said[:1]) is said[0]
    found, remarks = settled({1: {"x": said[0]}, 2: {"x": said[0], "y": said[1]}})
    assert found == {1: said[0]}
    assert len(remarks) == 2


def workbook(path, *sheets):
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    book.remove(book.active)
    for title, rows in sheets:
        sheet = book.create_sheet(title)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return str(path)


def test_a_workbook_is_read_as_the_table_that_it_would_be_saved_as(tmp_path):
    notes = ("notes", [["what"], ["nothing"]])
    table = ("answers", [["text", "id", "label"], ["t", "q459", "refund"], [], ["t", "q186", "lost"], ["t", "q519"]])
    said: list[str] = []
    assert read(workbook(tmp_path / "a.xlsx", notes, table), notes=said) == EXPECTED
    assert "1 row without a label was skipped" in said[0]
    numbers = workbook(tmp_path / "b.xlsx", ("s", [["id", "label"], [7.0, 3.0], [8, True], [9, 2.5]]))
    assert read(numbers, NUMBERS) == {7: "3", 8: "true", 9: "2.5"}
    assert read(
        NamedColumns(workbook(tmp_path / "c.xlsx", ("s", [["key", "class"], ["q459", "x"]])), "key", "class")
    ) == {"q459": "x"}


def test_bad_workbooks(tmp_path):
    with pytest.raises(
        DataError, match=r"a\.xlsx: sheet 's': no column 'label' among 'id', 'name'.*--labels-label-col"
    ):
        read(workbook(tmp_path / "a.xlsx", ("s", [["id", "name"], ["q459", "x"]])))
    with pytest.raises(DataError, match=r"b\.xlsx: sheet 's': row 3: the id 'q459' is labelled 'y', but 'x' at"):
        read(workbook(tmp_path / "b.xlsx", ("s", [["id", "label"], ["q459", "x"], ["q459", "y"]])))
    with pytest.raises(DataError, match="column 'id' stands twice"):
        read(workbook(tmp_path / "c.xlsx", ("s", [["id", "label", "id"], ["q459", "x", "y"]])))
    data = Path(tmp_path / "a.xlsx").read_bytes()
    (tmp_path / "d.xlsx").write_bytes(data.replace(b"xl/worksheets", b"xl/wurksheets"))
    with pytest.raises(DataError, match=r"d\.xlsx: "):
        read(str(tmp_path / "d.xlsx"))
    (tmp_path / "e.xlsx").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="zip archive or an Excel workbook"):
        read(str(tmp_path / "e.xlsx"))
