"""`alcli inspect` on labels of several annotators: counts, and Krippendorff's alpha."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from alcli.workflows.inspect.agreement import alpha
from tests.shell import Here

EXPORTS = Path(__file__).parents[2] / "fixtures" / "exports"
# The worked example of Krippendorff, "Computing Krippendorff's alpha-reliability" (2011), section C: four observers,
# twelve units, and labels 1 to 5.
UNITS = ["111", "2232", "3333", "3333", "2222", "1234", "4444", "1121", "2222", "555", "11", "3"]


@pytest.fixture
def inspect(capfd, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    alcli = Here(capfd, monkeypatch)
    return lambda *arguments: json.loads(alcli("inspect", *arguments, "--json").done().out)["files"][0]


def slowly(units, distance):
    """1 - observed / expected disagreement, over pairs, as the definition has it."""
    units = [unit for unit in units if len(unit) > 1]
    pairs = [(a, b, 1 / (len(u) - 1)) for u in units for i, a in enumerate(u) for j, b in enumerate(u) if i != j]
    every = [value for unit in units for value in unit]
    observed = sum(w * distance(a, b) for a, b, w in pairs) / len(every)
    expected = sum(distance(a, b) for a in every for b in every) / len(every) / (len(every) - 1)
    return 1 - observed / expected


def test_alpha_of_the_worked_example():
    assert alpha(UNITS, numbers=False) == pytest.approx(0.743, abs=5e-4)
    assert alpha(UNITS, numbers=True) == pytest.approx(0.849, abs=5e-4)


def test_alpha_by_its_definition():
    rng = np.random.default_rng(0)
    units = ["".join(rng.choice(list("0123"), rng.integers(1, 5))) for _ in range(40)]
    assert alpha(units, numbers=False) == pytest.approx(slowly(units, lambda a, b: a != b))
    assert alpha(units, numbers=True) == pytest.approx(slowly(units, lambda a, b: (int(a) - int(b)) ** 2))


def test_where_nothing_can_be_compared():
    assert alpha(["a", "b", ""], numbers=False) is None
    assert alpha(["aa", "aa", "b"], numbers=False) is None
    assert alpha([["a", "a"], ["b", "b"]], numbers=False) == pytest.approx(1.0)


def test_a_file_with_annotators(inspect):
    rows = [("a", "cat", "ann"), ("a", "cat", "bob"), ("b", "dog", "ann"), ("b", "cat", "bob"), ("c", "dog", "ann")]
    text = "id,label,annotator\n" + "".join(",".join(row) + "\n" for row in [*rows, ("d", "", "bob")])
    Path("labels.csv").write_text(text)
    found = inspect("labels.csv")
    assert (found["annotators"], found["labels_of_annotator"]) == (2, {"ann": 3, "bob": 2})
    assert found["items_of_several_annotators"] == 2
    assert found["items_on_which_they_differ"] == found["items_without_a_majority"] == 1
    assert found["krippendorff_alpha"] == pytest.approx(slowly(["cc", "dc"], lambda a, b: a != b))
    assert (found["rows_without_a_label"], found["ids_with_different_labels"]) == (1, 1)
    # A correction of an annotator is the label that counts.
    Path("labels.csv").write_text(text + "b,cat,ann\n")
    assert inspect("labels.csv")["items_on_which_they_differ"] == 0
    Path("labels.csv").write_text(text.replace("b,cat,bob", "b,DOG ,bob"))
    assert inspect("labels.csv")["items_on_which_they_differ"] == 1
    assert inspect("labels.csv", "--normalize-labels")["krippendorff_alpha"] == pytest.approx(1.0)


def test_numbers_of_annotators(inspect):
    Path("labels.csv").write_text("id,label,annotator\na,1.5,x\na,1.5,y\nb,2,x\nb,2.5,y\n")
    found = inspect("labels.csv")
    assert (found["labels"], found["label_max"]) == ("numbers", 2.5)
    assert found["krippendorff_alpha"] == pytest.approx(slowly(["33", "45"], lambda a, b: (int(a) - int(b)) ** 2))


def test_without_annotators_there_is_no_agreement(inspect):
    Path("labels.csv").write_text("id,label\na,x\na,y\n")
    found = inspect("labels.csv")
    assert "annotators" not in found
    assert "krippendorff_alpha" not in found
    assert found["ids_with_different_labels"] == 1


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("label-studio.json", []),
        ("label-studio.csv", ["--labels-label-col", "intent"]),
        ("label-studio-item-min.json", ["--labels-id-col", "item", "--labels-label-col", "intent"]),
        ("argilla-flat.json", []),
    ],
)
def test_exports_are_labels(inspect, name, options):
    found = inspect(EXPORTS / name, *options)
    assert (found["kind"], found["rows_of_class"]) == ("labels", {"lost": 2, "refund": 2})
    assert (found["annotators"], found["items_of_several_annotators"]) == (3, 1)


def test_prodigy_doccano_and_workbooks(inspect):
    task = {"text": "t", "meta": {"id": "a"}, "accept": ["x"], "answer": "accept", "_session_id": "s-ann"}
    Path("p.jsonl").write_text(json.dumps(task) + "\n")
    assert inspect("p.jsonl")["labels_of_annotator"] == {"s-ann": 1}
    Path("d.jsonl").write_text('{"id": "a", "text": "t", "label": ["x"], "Comments": []}\n')
    assert inspect("d.jsonl")["rows_of_class"] == {"x": 1}
    openpyxl = pytest.importorskip("openpyxl")
    book = openpyxl.Workbook()
    for row in (["id", "label"], ["a", "x"], ["b", "y"]):
        book.active.append(row)
    book.save("b.xlsx")
    found = inspect("b.xlsx")
    assert (found["kind"], found["classes"], found["columns"]) == ("labels", 2, ["id", "label"])
