"""Selections in four formats read back as they were written, and serve as --exclude and as a ledger."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.selection_file import append_to_ledger, check_ledger, encode, format_of, read_ledger
from alcli.data.tables import read_ids
from alcli.errors import DataError, UsageError

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\n\r\t"), min_size=1, max_size=6).filter(lambda t: t.strip() and not t.startswith(("\ufeff", "{", "PAR1")))
ids = st.one_of(st.lists(text.filter(lambda t: "id" not in t), unique=True, max_size=5), st.lists(st.integers(-(2**63), 2**63 - 1), unique=True, min_size=1, max_size=5))


def table_of(ids: list[object]) -> dict[str, list[object]]:
    return {"id": ids, "rank": list(range(len(ids))), "score": [0.1] * len(ids), "strategy": ["margin"] * len(ids), "predicted": ["cat"] * len(ids)}


@given(ids, st.sampled_from(["ids", "csv", "jsonl", "parquet"]))
def test_a_selection_can_be_excluded(folder, ids, form):
    text_ids = not (ids and isinstance(ids[0], int))
    Path(f"x.{form}").write_bytes(encode(table_of(ids), form, {}, text_ids=text_ids))
    found = [row.values["id"] for row in read_ids(f"x.{form}")]
    assert found == (list(map(str, ids)) if form in ("ids", "csv") else ids)


def test_every_format_holds_every_column(folder):
    table = table_of(["a, b", 'c"d']) | {"confidence": [0.25, 1e-9], "weight": [1.0, 2.5]}
    data = {form: encode(table, form, {"seed": 3}, text_ids=True) for form in ("csv", "jsonl", "parquet")}
    rows = [dict(zip(table, values)) for values in zip(*table.values())]
    assert [json.loads(line) for line in data["jsonl"].splitlines()] == rows
    assert list(csv.DictReader(data["csv"].decode().splitlines())) == [{k: str(v) for k, v in row.items()} for row in rows]
    arrow = pq.read_table(pa.BufferReader(data["parquet"]))
    assert arrow.schema.field("score").type == pa.float32()
    assert arrow.schema.field("rank").type == pa.int32()
    assert arrow["id"].to_pylist() == table["id"]
    assert json.loads(arrow.schema.metadata[b"alcli"]) == {"seed": 3}


def test_formats_follow_the_extension():
    for name, form in (("x.csv", "csv"), ("x.jsonl", "jsonl"), ("x.ndjson", "jsonl"), ("x.parquet", "parquet"), ("x.txt", "ids"), ("x", "ids")):
        assert format_of(Path(name), None) == form
    assert format_of(Path("x.csv"), "jsonl") == "jsonl"
    assert format_of(None, None) == "ids"
    with pytest.raises(UsageError, match="xlsx"):
        format_of(None, "xlsx")


def test_ids_that_are_not_lines():
    with pytest.raises(DataError, match=r"a\\nb"):
        encode(table_of(["a\nb"]), "ids", {}, text_ids=True)


def test_a_ledger_grows(folder):
    path = Path("ledger.parquet")
    assert read_ledger(path) == []
    for ids in (["a", "b"], ["c"]):
        append_to_ledger(path, read_ledger(path), table_of(ids), text_ids=True)
    assert [(row["id"], row["rank"]) for row in read_ledger(path)] == [("a", 0), ("b", 1), ("c", 0)]
    pq.write_table(pa.table({"id": ["z"]}), path)
    append_to_ledger(path, read_ledger(path), table_of(["a"]), text_ids=True)
    assert [row["rank"] for row in read_ledger(path)] == [None, 0]
    with pytest.raises(UsageError, match="extension"):
        check_ledger(Path("ledger.csv"))
