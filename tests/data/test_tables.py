"""Rows of CSV, TSV, JSON Lines and Parquet come back as they were written, and text stays text."""

from __future__ import annotations

import csv
import io
import json
from contextlib import suppress

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from alcli.data.tables import read_ids, read_rows
from alcli.errors import DataError

text = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
pairs = st.lists(st.tuples(text.filter(bool), text), max_size=8)


def values(path: str) -> list[tuple[object, object]]:
    return [(row.values["id"], row.values["label"]) for row in read_rows(path, ["id", "label"])]


@given(pairs, st.sampled_from(["\n", "\r\n"]), st.booleans(), st.sampled_from([",", "\t"]))
def test_csv_round_trip(folder, rows, end, bom, delimiter):
    out = io.StringIO(newline="")
    csv.writer(out, lineterminator=end, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([("id", "label"), *rows])
    name = "x.tsv" if delimiter == "\t" else "x.csv"
    (folder / name).write_bytes((b"\xef\xbb\xbf" if bom else b"") + out.getvalue().encode())
    assert values(name) == rows


@given(pairs, st.booleans())
def test_json_round_trip(folder, rows, ascii):
    (folder / "x.jsonl").write_text(
        "".join(json.dumps({"label": b, "id": a}, ensure_ascii=ascii) + "\n" for a, b in rows),
        encoding="utf-8",
        newline="",
    )
    assert values("x.jsonl") == rows


@given(pairs)
def test_parquet_round_trip(folder, rows):
    pq.write_table(
        pa.table(
            {
                "id": pa.array([a for a, _ in rows], pa.string()),
                "label": pa.array([b for _, b in rows], pa.string()),
                "other": [0] * len(rows),
            }
        ),
        "x.parquet",
    )
    assert values("x.parquet") == rows


@given(st.binary(max_size=40), st.sampled_from(["x", "x.csv", "x.jsonl", "x.parquet"]))
def test_any_bytes_are_read_or_refused(folder, data, name):
    (folder / name).write_bytes(data)
    for read in (lambda: list(read_rows(name, ["id", "label"])), lambda: list(read_ids(name))):
        with suppress(DataError):
            assert all(row.where.startswith(name) for row in read())


def ids(path: str) -> list[object]:
    return [row.values["id"] for row in read_ids(path)]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("x", b"a b\r\nc,d\n\n007"),
        ("x.txt", b"\xef\xbb\xbfa b\nc,d\n007\n"),
        ("x.csv", b'id\na b\n"c,d"\n007\n'),
        ("x", b'n,id\n1,a b\n2,"c,d"\n3,007\n'),
        ("x", b'{"id": "a b"}\n{"id": "c,d"}\n{"id": "007"}\n'),
    ],
)
def test_ids_of_any_file(folder, name, content):
    (folder / name).write_bytes(content)
    assert ids(name) == ["a b", "c,d", "007"]


def test_an_id_with_odd_line_breaks_is_one_id(folder):
    (folder / "x").write_text("a\u2028b\nc\x0cd\n", encoding="utf-8")
    assert ids("x") == ["a\u2028b", "c\x0cd"]


def test_lines_are_counted_as_editors_do(folder):
    (folder / "x.csv").write_text('id,label\n"a\nb",cat\n\nc,dog\n')
    assert [row.where for row in read_rows("x.csv", ["id"])] == ["x.csv: line 3", "x.csv: line 5"]


def test_optional_columns(folder):
    (folder / "x.csv").write_text("id,weight,other\na,2,x\n")
    assert next(read_rows("x.csv", ["id"], optional=["weight", "absent"])).values == {"id": "a", "weight": "2"}
