"""Batches as Excel workbooks and as tables with tabs: ids come back as they were."""

from __future__ import annotations

import io
import sys
import time
import zipfile

import pyarrow as pa
import pytest

from alcli.data.formats import encode
from alcli.data.ids import Ids
from alcli.data.tables import read_rows
from alcli.errors import DataError
from tests.pools import names, tiny_features, write_pool
from tests.shell import Here, untouched

openpyxl = pytest.importorskip("openpyxl")
# Texts that a spreadsheet takes for formulas, numbers, dates or errors.
ODD = [
    "=1+1",
    "+5",
    "-5",
    "@sum",
    "007",
    "1e3",
    "1-2",
    "2026-11-30",
    "TRUE",
    "#N/A",
    "=cmd|' /C calc'!A0",
    " x ",
    "ü\u2028",
]
TABLE = {
    "id": ODD,
    "rank": list(range(len(ODD))),
    "score": [0.1] * len(ODD),
    "text": [None, "=A1", *["t"] * (len(ODD) - 2)],
}


def sheet(data: bytes):
    return openpyxl.load_workbook(io.BytesIO(data)).active


@pytest.mark.parametrize("format", ["xlsx", "tsv", "csv"])
def test_every_id_comes_back(tmp_path, format):
    path = tmp_path / f"batch.{format}"
    path.write_bytes(encode(TABLE, format, {}, text_ids=True))
    ids = Ids(pa.array(ODD, pa.large_string()))
    rows = list(read_rows(str(path), ["id", "text", "score"]))
    assert [ids.parse(row.values["id"], row.where, from_text=row.from_text) for row in rows] == ODD
    assert [row.values["text"] for row in rows[:3]] == ["", "=A1", "t"]
    assert rows[0].values["score"] == "0.1"


def test_cells_are_texts_and_numbers_are_numbers():
    cells = [[cell.data_type for cell in row] for row in sheet(encode(TABLE, "xlsx", {}, text_ids=True)).iter_rows()]
    assert {row[0] for row in cells} == {"s"}
    assert {tuple(row[1:3]) for row in cells[1:]} == {("n", "n")}
    assert sheet(encode(TABLE, "xlsx", {}, text_ids=True))["A2"].number_format == "@"


def test_integers_beyond_the_digits_of_a_cell_are_text(tmp_path):
    large = [2**62 + 1, -(2**62) - 1, 10**15, 10**15 - 1, 7]
    (tmp_path / "a.xlsx").write_bytes(encode({"id": large}, "xlsx", {}, text_ids=False))
    assert [int(row.values["id"]) for row in read_rows(str(tmp_path / "a.xlsx"), ["id"])] == large
    assert [row[0].data_type for row in sheet((tmp_path / "a.xlsx").read_bytes()).iter_rows()] == list("ssssnn")


def test_the_same_table_gives_the_same_bytes(monkeypatch):
    first = encode(TABLE, "xlsx", {}, text_ids=True)
    monkeypatch.setattr(time, "time", lambda: 2e9)
    monkeypatch.setattr(time, "localtime", lambda *_: time.gmtime(2e9))
    assert encode(TABLE, "xlsx", {}, text_ids=True) == first
    with zipfile.ZipFile(io.BytesIO(first)) as archive:
        assert {entry.date_time[0] for entry in archive.infolist()} == {1980}
        assert b"1980-01-01T00:00:00Z</dcterms:modified>" in archive.read("docProps/core.xml")


@pytest.mark.parametrize(
    ("text", "said"), [("x" * 32768, "32768 characters, a cell holds 32767"), ("a\x01", "no cell")]
)
def test_texts_that_no_cell_holds(text, said):
    with pytest.raises(DataError, match=f"row 3 of the sheet: .*{said}.*; write CSV or JSON Lines"):
        encode({"id": ["a", "b"], "text": ["t", text]}, "xlsx", {}, text_ids=True)
    assert encode({"id": ["a", "b"], "text": ["t", text]}, "tsv", {}, text_ids=True)


def test_an_empty_batch_has_a_header():
    assert [cell.value for cell in sheet(encode({"id": [], "rank": []}, "xlsx", {}, text_ids=True))[1]] == [
        "id",
        "rank",
    ]
    assert encode({"id": [], "rank": []}, "tsv", {}, text_ids=True) == b"id\trank\n"


def test_fields_with_tabs_and_quotes(tmp_path):
    texts = ['say "x"', "a\tb", "two\nlines", "c\rd", ""]
    table = {"id": list("abcde"), "text": texts, "more": ["x"] * 5}
    (tmp_path / "a.tsv").write_bytes(encode(table, "tsv", {}, text_ids=True))
    assert [row.values["text"] for row in read_rows(str(tmp_path / "a.tsv"), ["id", "text", "more"])] == texts


def test_query_writes_them_by_extension_and_by_name(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    X = tiny_features(20)[0]
    write_pool("pool.parquet", X, ids=[f"={name}" for name in names(20)])
    alcli = Here(capfd, monkeypatch)
    alcli("query", "pool.parquet", "-n", "3", "-o", "batch.xlsx").done()
    alcli("query", "pool.parquet", "-n", "3", "-o", "batch", "--format", "tsv").done()
    ids = [row.values["id"] for row in read_rows("batch.xlsx", ["id"])]
    assert ids == [row.values["id"] for row in read_rows("batch", ["id"])]
    assert all(id.startswith("=r") for id in ids)
    alcli("query", "pool.parquet", "-n", "3", "--exclude", "batch.xlsx", "-o", "next.tsv").done()
    assert not set(ids) & {row.values["id"] for row in read_rows("next.tsv", ["id"])}
    alcli("predict", "pool.parquet", "-H", "h", "-o", "p.tsv").refused(
        2, "no format of a table has the extension '.tsv'"
    )


def test_without_openpyxl_a_sentence_comes_before_the_work(tmp_path, capfd, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_pool("pool.parquet", tiny_features(20)[0])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    alcli = Here(capfd, monkeypatch)
    ask = ("query", "pool.parquet", "-n", "3", "--selections", "ledger.parquet")
    said = ("writing an Excel workbook needs openpyxl", "pip install 'openpyxl>=3.1', or write CSV")
    with untouched(tmp_path):
        alcli(*ask, "-o", "b.xlsx").refused(69, *said)
        alcli(*ask, "--format", "xlsx").refused(69, *said)
        alcli(*ask, "-o", "b.csv", "--conflicts", "c.xlsx").refused(69, *said)
