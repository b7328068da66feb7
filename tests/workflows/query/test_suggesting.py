"""`query --pre-annotate`: the prediction of the head as a suggestion in a labelling tool.

What is written for Label Studio passes LabelInterface.validate_prediction of label-studio-sdk 2.1.2, and for Argilla
Record.from_dict of argilla 2.8.
"""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from alcli.data.exports.imports import label_studio
from alcli.data.ids import Ids
from alcli.data.labels import read_labels
from tests.pools import names, tiny_features, write_labels, write_pool
from tests.shell import untouched

X_ND, Y_N = tiny_features()
TOOLS = ("label-studio", "argilla", "prodigy", "doccano")
ASK = ("query", "pool.parquet", "-n", 4, "--keep", "text", "--pre-annotate")


@pytest.fixture
def texts(tiny):
    write_pool("pool.parquet", X_ND, text=[f"text {i}" for i in range(60)])
    return tiny


def written(alcli, tool, *options):
    """What the tool gets, item by item, and the batch as a table."""
    found = alcli(*ASK, "--format", tool, *options).done().out.decode()
    items = json.loads(found) if found[0] == "[" else [json.loads(line) for line in found.splitlines()]
    plain = [one for one in (*ASK, *options) if one != "--pre-annotate"]
    rows = alcli(*plain, "--format", "jsonl").done().out.splitlines()
    return items, [json.loads(row) for row in rows]


def test_label_studio(texts, alcli):
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "my head!.safetensors").done()
    head = ("-H", "my head!.safetensors", "-s", "margin")
    items, rows = written(alcli, "label-studio", *head, "--labels-label-col", "kind")
    for item, row in zip(items, rows):
        (prediction,) = item["predictions"]
        assert prediction["model_version"] == "my_head_.safetensors: 20 labels"
        assert prediction["score"] == row["confidence"]
        (choice,) = prediction["result"]
        assert (choice["from_name"], choice["to_name"], choice["type"]) == ("kind", "text", "choices")
        assert choice["value"] == {"choices": [row["predicted"]]}
    assert len({item["predictions"][0]["result"][0]["id"] for item in items}) == len(items) == 4
    # A prediction is no annotation, so nothing comes back before people answer.
    for number, item in enumerate(items):
        item |= {"id": number, "annotations": []}
    Path("export.json").write_text(json.dumps(items))
    assert not len(read_labels(["export.json"], Ids(pa.array(names(60), pa.large_string())), regression=False))


def test_argilla_prodigy_and_doccano(texts, alcli):
    head = ("-l", "labels.csv", "-s", "margin")
    items, rows = written(alcli, "argilla", *head)
    assert [item["suggestions"] for item in items] == [
        {"label": {"value": row["predicted"], "score": row["confidence"], "agent": "alcli: 20 labels"}} for row in rows
    ]
    items, rows = written(alcli, "prodigy", *head)
    assert [item["accept"] for item in items] == [[row["predicted"]] for row in rows]
    assert {tuple(option["id"] for option in item["options"]) for item in items} == {("cat", "dog", "eel")}
    items, rows = written(alcli, "doccano", *head)
    assert [item["label"] for item in items] == [[row["predicted"]] for row in rows]
    said = alcli(*ASK, *head, "--format", "doccano").done().err
    assert "doccano exports a suggestion that nobody looked at as a label" in said


def test_classes_that_are_no_texts_are_written_as_label_files_have_them(texts, alcli):
    labels = {name: bool(y % 2) for name, y in zip(names(60)[:20], Y_N)}
    write_pool("flags.parquet", X_ND, text=["t"] * 60, label=[labels.get(name) for name in names(60)])
    asked = ["query", "flags.parquet", *ASK[2:], "-s", "margin", "--format", "doccano"]
    found = [json.loads(line)["label"] for line in alcli(*asked).done().out.splitlines()]
    assert {label for one in found for label in one} <= {"true", "false"}


@pytest.mark.parametrize("tool", TOOLS)
def test_without_the_option_nothing_is_suggested(texts, alcli, tool):
    plain = [one for one in ASK if one != "--pre-annotate"]
    found = alcli(*plain, "-l", "labels.csv", "-s", "margin", "--format", tool).done().out.decode()
    for word in ('"predictions"', '"suggestions"', '"accept"', '"options"'):
        assert word not in found


def test_what_has_no_place_for_a_suggestion(texts, alcli):
    for format in ("csv", "xlsx", "parquet", "jsonl"):
        asked = (*ASK, "-l", "labels.csv", "-s", "margin", "--format", format)
        alcli(*asked).refused(2, f"--format {format} has no place for a suggestion", "in the column predicted")
    plain = ("query", "pool.parquet", "-l", "labels.csv", "-n", 4, "--pre-annotate")
    alcli(*plain).refused(2, "--format ids has no place for a suggestion")
    alcli(*plain, "--stream", "-s", "margin").refused(2, "--pre-annotate is for batches")
    for strategy, why in (("audit", "an audit must be judged without it"), ("suspect", "a label in doubt must be")):
        alcli(*ASK, "-l", "labels.csv", "-s", strategy, "--format", "argilla").refused(2, why)


def test_a_suggestion_needs_a_head_that_predicts_classes(texts, alcli):
    asked = (*ASK, "--format", "argilla", "--selections", "ledger.parquet")
    with untouched(Path(".")):
        alcli(*asked, "-l", "labels.csv", "-s", "coreset").refused(2, "strategy 'coreset' was given none and fits none")
    write_pool("numbers.parquet", X_ND, text=["t"] * 60, label=X_ND[:, 0].astype(float))
    alcli("fit-head", "numbers.parquet", "-o", "numbers.safetensors").done()
    asked = ("query", "numbers.parquet", *asked[2:], "-H", "numbers.safetensors", "-s", "random")
    alcli(*asked).refused(2, "--pre-annotate suggests classes, and the head predicts numbers")
    alcli("fit-head", "pool.parquet", "-l", "labels.csv", "-o", "h.safetensors").done()
    items = json.loads(alcli(*ASK, "--format", "argilla", "-H", "h.safetensors", "-s", "coreset").done().out)
    assert all(item["suggestions"] for item in items)


def test_label_studio_needs_something_to_show(texts, alcli):
    asked = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 2, "--pre-annotate")
    alcli(*asked, "--format", "label-studio").refused(2, "needs the column that label-studio shows")
    empty = {"id": [], "text": [], "predicted": [], "confidence": []}
    assert json.loads(label_studio(empty, {"kept": ["text"], "suggestion": {}})) == []


def test_answers_come_back_where_the_suggestion_is_wrong(texts, alcli):
    """The right class, given beside the suggestion of another, is the label."""
    write_labels("two.csv", {"r000": "cat", "r001": "dog"})
    items, _ = written(alcli, "label-studio", "-l", "two.csv", "-s", "margin")
    for number, item in enumerate(items):
        result = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["eel"]}}]
        item |= {"id": number, "annotations": [{"completed_by": 1, "result": result}]}
    Path("export.json").write_text(json.dumps(items))
    found = read_labels(["export.json"], Ids(pa.array(names(60), pa.large_string())), regression=False)
    assert {said.label for said in found.by_id.values()} == {"eel"}
