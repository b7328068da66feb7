"""Formats of long tables: what other readers find in them, and that batches leave no trace."""

from __future__ import annotations

import csv
import io
import json
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data import row_formats
from alcli.data.row_formats import ROW_FORMATS, row_format_of
from alcli.errors import UsageError

FORMS = list(ROW_FORMATS)
AWKWARD = [
    "plain",
    "a,b",
    'say "x"',
    "two\nlines",
    "\r",
    "back\\slash",
    "\x01",
    "\x7f",
    "é\u2028",
    " spaces ",
    "'",
    "p:",
]
NUMBERS = [0.0, 1.0, -2.0, 0.1, 1e-7, 3e-39, 1e10, 123456789.0, 0.36792272, -1.5e-5, 1 / 3, 3e38]


def batch_of(ids, numbers, classes=("cat", 'a "b", c')):
    floats = pa.array(np.array(numbers, np.float32))
    probs = pa.StructArray.from_arrays([floats] * len(classes), list(classes))
    return pa.RecordBatch.from_arrays(
        [pa.array(ids, pa.string()), pa.array([len(id) % 2 == 0 for id in ids]), floats, probs],
        names=["id", "predicted", "confidence", "probs"],
    )


def written(form, batches, schema=None, about=None):
    return b"".join(ROW_FORMATS[form](schema or batches[0].schema, batches, about or {}))


def read(form, data, classes=("cat", 'a "b", c')):
    """[(id, predicted, confidence, probabilities)] as a reader that knows nothing of alcli finds them."""
    if form == "parquet":
        rows = pq.read_table(io.BytesIO(data)).to_pylist()
    elif form == "csv":
        rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
        rows = [{**row, "predicted": {"true": True, "false": False}[row["predicted"]]} for row in rows]
    else:
        rows = [json.loads(line) for line in data.decode().split("\n")[:-1]]
        rows = [row | {f"p:{name}": p for name, p in row["probs"].items()} for row in rows]
    probs = [[np.float32(row[f"p:{name}"]) for name in classes] for row in rows]
    return [(row["id"], row["predicted"], np.float32(row["confidence"]), p) for row, p in zip(rows, probs)]


@pytest.mark.parametrize("form", FORMS)
def test_every_text_and_every_float_comes_back(form):
    batch = batch_of(AWKWARD, NUMBERS)
    expected = [(id, len(id) % 2 == 0, np.float32(n), [np.float32(n)] * 2) for id, n in zip(AWKWARD, NUMBERS)]
    assert read(form, written(form, [batch])) == expected


@pytest.mark.parametrize("form", FORMS)
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1), min_size=1, max_size=9))
def test_any_text_comes_back(form, ids):
    found = read(form, written(form, [batch_of(ids, np.linspace(0, 1, len(ids)))]))
    assert [id for id, *_ in found] == ids


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("cuts", [(1,), (0, 5, 5, 12), (3, 4, 11)])
def test_the_bytes_do_not_depend_on_the_batches(form, cuts, monkeypatch):
    monkeypatch.setattr(row_formats, "_GROUP_BYTES", 0)
    ids, numbers = [f"{id}{i}" for i in range(200) for id in AWKWARD], NUMBERS * 200
    whole = batch_of(ids, numbers)
    bounds = [0, *(200 * cut for cut in cuts), len(ids)]
    parts = [whole.slice(a, b - a) for a, b in pairwise(bounds)]
    assert written(form, parts) == written(form, [whole])


def test_row_groups_of_parquet_have_a_fixed_height_and_metadata(monkeypatch):
    monkeypatch.setattr(row_formats, "_GROUP_BYTES", 0)
    data = written("parquet", [batch_of(AWKWARD, NUMBERS)] * 200, about={"format": 1, "pool": "p"})
    file = pq.ParquetFile(io.BytesIO(data))
    heights = [file.metadata.row_group(i).num_rows for i in range(file.metadata.num_row_groups)]
    assert heights == [1024, 1024, 352]
    assert json.loads(file.schema_arrow.metadata[b"alcli"]) == {"format": 1, "pool": "p"}


def test_no_rows_are_a_table_without_rows():
    schema = batch_of(["a"], [1]).schema
    assert written("csv", [], schema) == b'id,predicted,confidence,p:cat,"p:a ""b"", c"\n'
    assert written("jsonl", [], schema) == b""
    assert pq.read_table(io.BytesIO(written("parquet", [], schema))).column_names == [
        "id", "predicted", "confidence", "p:cat", 'p:a "b", c',
    ]  # fmt: skip


def test_text_is_that_of_json_but_for_exponents():
    """Floats have a point, as `json.dumps` writes them, so that a reader takes no column for one of integers."""
    batch = batch_of(["a", "b"], [1.0, 0.25])
    assert written("jsonl", [batch]).decode().splitlines() == [
        json.dumps({"id": id, "predicted": False, "confidence": n, "probs": {"cat": n, 'a "b", c': n}})
        for id, n in (("a", 1.0), ("b", 0.25))
    ]


def test_integers_stay_integers():
    batch = pa.record_batch({"id": pa.array([7, -(2**63)]), "predicted": pa.array([3, 4])})
    assert written("csv", [batch]) == b"id,predicted\n7,3\n-9223372036854775808,4\n"
    assert written("jsonl", [batch]).splitlines()[0] == b'{"id": 7, "predicted": 3}'


@pytest.mark.parametrize(
    ("path", "wanted", "form"),
    [(None, None, "csv"), ("x", None, "csv"), ("x.ndjson", None, "jsonl"), ("x.pq", None, "parquet"),
     ("x.csv", "jsonl", "jsonl"), ("x.txt", "csv", "csv")],
)  # fmt: skip
def test_the_format_follows_the_extension(path, wanted, form):
    assert row_format_of(path and Path(path), wanted) == form


def test_an_unknown_extension_is_refused():
    with pytest.raises(UsageError, match=r"x\.txt: no format of a table has the extension '\.txt'.*--format csv"):
        row_format_of(Path("x.txt"), None)
