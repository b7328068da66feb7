"""Sources of embed as other programs write them: delimiters, quotes, headers, encodings, UUIDs and decimals."""

from __future__ import annotations

import gzip
import uuid
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.sources.base import Asked
from alcli.data.sources.opening import open_source
from alcli.errors import DataError
from tests.data.test_sources_table import read, text_file

COLUMNS = [{"id": "d0", "label": "a"}, {"id": "d1", "label": "b"}]


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.tab"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_any_delimiter_under_any_name(tmp_path, name, delimiter, encoding):
    text = "id,text,label\r\nd0,some words,a\r\nd1,größer,b\r\n".replace(",", delimiter)
    for content in (text, f"sep={delimiter}\r\n{text}"):
        source, columns, items = read(text_file(tmp_path / name, content, encoding))
        assert (source.n, columns, items) == (2, COLUMNS, ["some words", "größer"])


def test_a_sentence_in_a_file_of_one_column_is_one_text(tmp_path):
    _, _, items = read(text_file(tmp_path / "a.csv", "text\nyes; no\na|b\n"))
    assert items == ["yes; no", "a|b"]


def test_names_that_were_asked_for_tell_the_delimiter(tmp_path):
    _, _, items = read(text_file(tmp_path / "a.csv", "nr, ref;words\n1;one\n"), input="words")
    assert items == ["one"]


def test_quotes_in_tables_with_tabs(tmp_path):
    _, _, items = read(text_file(tmp_path / "a.tsv", 'id\ttext\nd0\t"5 inch\nd1\t6" wide\n'))
    assert items == ['"5 inch', '6" wide']
    _, _, items = read(text_file(tmp_path / "a.tsv", 'id\ttext\nd0\t"two\nlines"\nd1\tone\n'))
    assert items == ["two\nlines", "one"]
    with pytest.raises(DataError, match=r"a\.tsv: line 2: a quote opens here"):
        read(text_file(tmp_path / "a.tsv", 'id\ttext\tlabel\nd0\t"5 inch\ta\nd1\tplain"\tb\n'))


def test_a_header_that_may_be_a_row_is_told(tmp_path):
    notes: list[str] = []
    read(text_file(tmp_path / "a.csv", "a first sentence\nanother\n"), note=notes.append)
    assert any("line 1 is read as the names of columns ('a first sentence')" in note for note in notes)
    for header, asked in (("text", {}), ("Question", {}), ("words", {"input": "words"})):
        notes.clear()
        read(text_file(tmp_path / "a.csv", f"{header}\nanother\n"), note=notes.append, **asked)
        assert not any("line 1" in note for note in notes)


def test_near_names_are_told(tmp_path):
    notes: list[str] = []
    path = text_file(tmp_path / "a.csv", "ID,Text,Label,Split\nd0,words,a,test\n")
    _, columns, _ = read(path, note=notes.append)
    assert columns == [{"id": 0}]
    told = [note for note in notes if "is not read as" in note]
    assert len(told) == 3
    assert "column 'Label' is not read as 'label': --label-col names it" in told[1]
    notes.clear()
    _, columns, _ = read(path, note=notes.append, id="ID", label="Label", keep=("Split",))
    assert columns == [{"id": "d0", "label": "a", "Split": "test"}]
    assert notes == []


@pytest.mark.parametrize("name", ["a.csv", "a.tsv", "a.jsonl", "a.csv.gz", "a.xlsx"])
@pytest.mark.parametrize(
    ("data", "said"),
    [(gzip.compress(b"text\nx\n", mtime=0), "gzip"), (b"PK\x03\x04", "Excel"), (b"<!doctype html>", "HTML")],
    ids=["gzip", "Excel", "HTML"],
)
def test_a_file_that_is_no_text_is_called_by_its_name(tmp_path, name, data, said):
    (tmp_path / name).write_bytes(data)
    with pytest.raises(DataError, match=said):
        open_source(tmp_path / name, Asked())


def test_json_lines_in_utf_16_are_refused(tmp_path):
    with pytest.raises(DataError, match="not UTF-8"):
        open_source(text_file(tmp_path / "a.jsonl", '{"text": "a"}', "utf-16"), Asked())


@pytest.mark.parametrize("store_schema", [True, False])
def test_uuids_are_texts_and_decimals_without_places_integers(tmp_path, store_schema):
    ids = [uuid.UUID(int=i << 100) for i in range(5)]
    table = pa.table(
        {
            "id": pa.array([i.bytes for i in ids], pa.uuid()),
            "text": list("abcde"),
            "label": pa.array([Decimal(i) for i in range(5)], pa.decimal128(38, 0)),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet", row_group_size=2, store_schema=store_schema)
    _, columns, _ = read(tmp_path / "a.parquet")
    assert columns == [{"id": str(id), "label": i} for i, id in enumerate(ids)]


@pytest.mark.parametrize(
    ("ids", "expected"),
    [
        (pa.array([Decimal(7), Decimal(2**62)], pa.decimal128(38, 0)), [7, 2**62]),
        (pa.array([b"x", "ü".encode()]), ["x", "ü"]),
    ],
)
def test_ids_of_other_types(tmp_path, ids, expected):
    pq.write_table(pa.table({"id": ids, "text": ["a", "b"]}), tmp_path / "a.parquet")
    _, columns, _ = read(tmp_path / "a.parquet")
    assert [row["id"] for row in columns] == expected


@pytest.mark.parametrize("ids", [pa.array([b"\xff"]), pa.array([Decimal(2**70)], pa.decimal128(38, 0))])
def test_ids_that_do_not_fit_are_refused(tmp_path, ids):
    pq.write_table(pa.table({"id": ids, "text": ["a"]}), tmp_path / "a.parquet")
    with pytest.raises(DataError, match="row 0: an id is"):
        read(tmp_path / "a.parquet")
