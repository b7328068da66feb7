"""Columns that travel with a batch, and the way through a tool and back."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.ids import Ids
from alcli.data.labels import read_labels
from tests.pools import names, tiny_features, write_pool

X_ND, _ = tiny_features()
TEXTS = [f'text é {i}, "quoted"' for i in range(60)]
ASK = ("query", "pool.parquet", "-l", "labels.csv", "-s", "margin", "-n", 4)


@pytest.fixture
def texts(tiny):
    write_pool("pool.parquet", X_ND, text=TEXTS, file=[f"{i}.png" for i in range(60)])
    return tiny


def table(alcli, *options):
    return [json.loads(line) for line in alcli(*ASK, "--format", "jsonl", *options).done().out.decode().splitlines()]


def test_columns_of_the_pool_and_of_a_file(texts, alcli):
    plain = table(alcli)
    kept = table(alcli, "--keep", "text,file")
    assert [{k: v for k, v in row.items() if k not in ("text", "file")} for row in kept] == plain
    for row in kept:
        number = int(row["id"][1:])
        assert (row["text"], row["file"]) == (TEXTS[number], f"{number}.png")
    order = np.random.default_rng(0).permutation(60)
    Path("items.csv").write_text("id,title\n" + "".join(f"{names(60)[i]},title {i}\n" for i in order))
    from_file = table(alcli, "--keep", "title", "--items", "items.csv")
    assert [row["title"] for row in from_file] == [f"title {int(row['id'][1:])}" for row in plain]


def test_columns_across_files_row_groups_and_groups(texts, alcli):
    expected = table(alcli, "--keep", "text")
    pool = pq.read_table("pool.parquet")
    Path("parts").mkdir()
    for k, part in enumerate((pool.slice(0, 7), pool.slice(7, 40), pool.slice(47))):
        pq.write_table(part, f"parts/{k}.parquet", row_group_size=5)
    ask = ("query", "parts", *ASK[2:], "--format", "jsonl", "--keep", "text")
    assert [json.loads(line) for line in alcli(*ask).done().out.decode().splitlines()] == expected
    groups = [f"g{i // 3:02}" for i in range(60)]
    write_pool("grouped.parquet", X_ND, text=TEXTS, group=groups)
    found = alcli("query", "grouped.parquet", "-s", "random", "-n", 5, "--format", "jsonl", "--keep", "text").done()
    for line in found.out.decode().splitlines():
        row = json.loads(line)
        assert row["text"] == TEXTS[3 * int(row["id"][1:])]


def test_what_cannot_be_kept(texts, alcli):
    alcli(*ASK, "--format", "csv", "--keep", "texts").refused(65, "no column 'texts'")
    alcli(*ASK, "--format", "csv", "--keep", "score").refused(2, "has a column 'score' of its own")
    write_pool("explained.parquet", X_ND, why=TEXTS)
    explained = ("query", "explained.parquet", *ASK[2:], "--format", "csv", "--keep", "why")
    alcli(*explained, "--explain").refused(2, "has a column 'why' of its own")
    alcli(*explained).done()
    alcli(*ASK, "--keep", "text").refused(2, "ids have none", "--format csv")
    alcli(*ASK, "--format", "csv", "--items", "items.csv").refused(2, "--items needs --keep")
    write = Path("items.csv").write_text
    write("id,title\n" + "".join(f"{name},a\n" for name in [*names(60), *names(60)]))
    alcli(*ASK, "--format", "csv", "--keep", "title", "--items", "items.csv").refused(65, "stands twice")
    write("id,title\nr001,a\n")
    few = alcli(*ASK, "--format", "csv", "--keep", "title", "--items", "items.csv")
    assert few.code == 0
    assert "of the batch not found" in few.err
    alcli(*ASK, "-o", "items.csv", "--keep", "title", "--items", "items.csv").refused(2, "cannot be the output too")


def batch(alcli, tool, *options):
    return alcli(*ASK, "--format", tool, "--keep", "text", *options).done().out.decode()


def annotated(tool, written):
    """The export of a tool after somebody has answered `class N` for the item rN. Returns (file name, content)."""
    if tool == "label-studio":
        tasks = json.loads(written)
        for number, task in enumerate(tasks, 1):
            answer = f"class {int(task['data']['alcli_id'][1:])}"
            result = [{"from_name": "q", "to_name": "t", "type": "choices", "value": {"choices": [answer]}}]
            task |= {"id": number, "annotations": [{"id": number, "completed_by": 1, "result": result}]}
        return "a.json", json.dumps(tasks)
    if tool == "argilla":
        records = json.loads(written)
        for record in records:
            assert set(record["fields"]) == {"text"}
            record["responses"] = {"q": [{"value": f"class {int(record['id'][1:])}", "user_id": "u"}]}
        return "a.json", json.dumps(records)
    lines = [json.loads(line) for line in written.splitlines()]
    for number, line in enumerate(lines, 1):
        if tool == "prodigy":
            line |= {"accept": [f"class {int(line['meta']['id'][1:])}"], "answer": "accept", "_task_hash": number}
        else:
            line |= {"id": number, "label": [f"class {int(line['alcli_id'][1:])}"], "Comments": []}
    return "a.jsonl", "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize("tool", ["label-studio", "argilla", "prodigy", "doccano"])
def test_through_a_tool_and_back(tool, texts, alcli):
    written = batch(alcli, tool)
    assert json.dumps(TEXTS[int(table(alcli)[0]["id"][1:])], ensure_ascii=False) in written
    name, content = annotated(tool, written)
    Path(name).write_text(content)
    found = read_labels([name], Ids(pa.array(names(60), pa.large_string())), regression=False)
    expected = {row["id"]: f"class {int(row['id'][1:])}" for row in table(alcli)}
    assert {id: said.label for id, said in found.by_id.items()} == expected


@pytest.mark.parametrize("tool", ["prodigy", "doccano"])
def test_a_tool_needs_something_to_show(tool, texts, alcli):
    alcli(*ASK, "--format", tool).refused(2, f"--format {tool} needs the column that {tool} shows")
    first = json.loads(alcli(*ASK, "--format", tool, "--keep", "file").done().out.splitlines()[0])
    assert first["text"].endswith(".png")


@pytest.mark.parametrize("tool", ["label-studio", "argilla", "prodigy", "doccano"])
def test_ids_that_are_numbers_come_back_as_numbers(tool, tmp_path, monkeypatch, alcli):
    monkeypatch.chdir(tmp_path)
    write_pool("pool.parquet", X_ND, list(range(100, 160)), text=TEXTS)
    ask = ("query", "pool.parquet", "-s", "random", "-n", 4, "--keep", "text")
    ids = [json.loads(line)["id"] for line in alcli(*ask, "--format", "jsonl").done().out.splitlines()]
    written = alcli(*ask, "--format", tool).done().out.decode()
    if tool in ("label-studio", "argilla"):
        items = json.loads(written)
        for item in items:
            result = [{"from_name": "q", "type": "choices", "value": {"choices": ["a"]}}]
            item |= (
                {"annotations": [{"result": result}]}
                if tool == "label-studio"
                else {"responses": {"q": [{"value": "a"}]}}
            )
        content, name = json.dumps(items), "a.json"
    else:
        items = [json.loads(line) for line in written.splitlines()]
        more = {"accept": ["a"], "answer": "accept"} if tool == "prodigy" else {"id": 7, "label": ["a"], "Comments": []}
        content, name = "".join(json.dumps(item | more) + "\n" for item in items), "a.jsonl"
    Path(name).write_text(content)
    found = read_labels([name], Ids(pa.array(range(100, 160), pa.int64())), regression=False)
    assert sorted(found.by_id) == sorted(ids)
