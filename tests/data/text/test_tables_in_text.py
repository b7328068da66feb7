"""Tables in text as the world writes them: encodings, compression, delimiters, quotes, headers."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import itertools
import lzma
import random
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest

import alcli.data.text.contents as contents
from alcli.data.tables import read_ids, read_rows
from alcli.data.text.dialect import Dialect, dialect_of, near, settled
from alcli.errors import AlcliError, DataError, MemoryLimitError

TEXT = "id,label\nr0,a\nr1,ü\n"
ROWS = [{"id": "r0", "label": "a"}, {"id": "r1", "label": "ü"}]


def rows(name: str, data: bytes | str, *columns: str) -> list[dict]:
    Path(name).write_bytes(data.encode() if isinstance(data, str) else data)
    return [row.values for row in read_rows(name, columns or ["id", "label"], optional=["weight"])]


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as out:
        out.write(data)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize("pack", [gzip.compress, bz2.compress, lzma.compress, zstd])
@pytest.mark.parametrize("name", ["l.csv", "l.csv.gz", "l.txt", "L.CSV.XZ"])
def test_compressed_files_are_read_by_what_they_are(folder, pack, name):
    assert rows(name, pack(TEXT.encode())) == ROWS
    with pytest.raises(DataError, match="damaged"):
        rows(name, pack(TEXT.encode())[:-6])


def test_a_bomb_is_refused(folder, monkeypatch):
    monkeypatch.setattr(contents, "_MOST_BYTES", 1000)
    with pytest.raises(MemoryLimitError, match="unpacks to more"):
        rows("l.csv", gzip.compress(b"0" * 1001))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_encodings_and_line_ends(folder, encoding, end):
    assert rows("l.csv", TEXT.replace("\n", end).encode(encoding)) == ROWS


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"PK\x03\x04 rest", "Excel"),
        (b"\xd0\xcf\x11\xe0 rest", "Excel"),
        (b"ARROW1\0\0 rest", "Feather"),
        (b"\x93NUMPY rest", "NumPy"),
        (b"SQLite format 3\0", "SQLite"),
        (b"<!DOCTYPE html><html>", "HTML"),
        (b"\n <?xml version='1.0'?>", "XML"),
        (b"\x80\x04\x95 rest", "pickle"),
        ("id,label".encode("utf-16le"), "byte order mark"),
        (b"\xff\xfei", "UTF-16"),
        ("id,label\nr0,ü".encode("latin1"), "line 2 is not UTF-8"),
    ],
)
def test_a_file_that_is_no_text_is_called_by_its_name(folder, data, said):
    for name in ("l.csv", "l.txt", "l.json"):
        with pytest.raises(DataError, match=said):
            rows(name, data)
    with pytest.raises(DataError, match=said):
        list(read_ids("l.txt") if Path("l.txt").write_bytes(data) else [])


@pytest.mark.parametrize("name", ["l.csv", "l.tsv", "l.tab", "l.txt", "l"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_any_delimiter_under_any_name(folder, name, delimiter):
    assert rows(name, TEXT.replace(",", delimiter)) == ROWS
    assert [row.values for row in read_ids(name)] == [{"id": "r0"}, {"id": "r1"}]
    assert rows(name, f"sep={delimiter}\r\n" + TEXT.replace(",", delimiter)) == ROWS


def test_the_usual_delimiter_comes_first(folder):
    """A header that fits by the delimiter of the name is not split by another one."""
    assert rows("l.csv", "id,label,a;b\nr0,x;y,z\n") == [{"id": "r0", "label": "x;y"}]
    assert rows("l.csv", "id;text, long;label\nr0;x, y;z\n") == [{"id": "r0", "label": "z"}]


def test_lines_are_counted_behind_the_line_of_excel(folder):
    with pytest.raises(DataError, match="line 3: 1 fields"):
        rows("l.csv", "sep=;\nid;label\nr0\n")


@pytest.mark.parametrize("names", ["ID,Label", " id , label ", "Id,LABEL"])
def test_headers_in_other_letters(folder, names):
    assert rows("l.csv", TEXT.replace("id,label", names)) == ROWS


def test_two_near_headers_are_none(folder):
    assert near(["Id", "ID"], "id") is None
    assert near(["Id", "id"], "id") == "id"
    with pytest.raises(DataError, match=r"no column 'id' among 'Id', 'ID'.*expected a header line with"):
        rows("l.csv", "Id,ID,label\na,b,c\n")


def test_long_fields_are_read(folder):
    long = "word " * 40_000
    assert rows("l.csv", f'id,text,label\nr0,"{long}",a\n') == [{"id": "r0", "label": "a"}]


# -- quotes in tables with tabs ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["l.tsv", "l.csv"])
def test_quotes_that_are_characters(folder, name):
    lines = ["id\ttext\tlabel", 'r0\t"5 inch\ta', 'r1\tsix" wide\tb', 'r2\t"so" he said\tb']
    assert rows(name, "\n".join(lines)) == [{"id": f"r{i}", "label": y} for i, y in enumerate("abb")]


def test_quotes_that_quote(folder):
    text = 'id\ttext\tlabel\nr0\t"two\nlines, ""quoted"""\ta\nr1\t"a\ttab"\t"b"\n'
    assert rows("l.tsv", text, "id", "text", "label") == [
        {"id": "r0", "text": 'two\nlines, "quoted"', "label": "a"},
        {"id": "r1", "text": "a\ttab", "label": "b"},
    ]


def test_quotes_that_may_be_either_are_refused(folder):
    with pytest.raises(DataError, match=r"line 3: a quote opens here.*3 rows, or 4 if"):
        rows("l.tsv", 'id\ttext\tlabel\nr9\tx\ta\nr0\t"5 inch\ta\nr1\tplain"\tb\nr2\tx\tb\n')


def test_no_table_with_tabs_gets_a_label_from_another_line(folder):
    """Whatever program wrote the table: each id has its own label, or the table is refused."""
    drawn = random.Random(0)
    pieces = ['"', '""', "a", "b ", ""]
    read = refused = 0
    for _ in range(400):
        texts = ["".join(drawn.choices(pieces, k=3)) for _ in range(4)]
        truth = [{"id": f"r{i}", "label": f"y{i}"} for i in range(4)]
        body = "".join(f"r{i}\t{text}\ty{i}\n" for i, text in enumerate(texts))
        try:
            assert rows("l.tsv", "id\ttext\tlabel\n" + body) == truth
            read += 1
        except DataError:
            refused += 1
    assert read > 4 * refused > 0


def test_every_table_that_python_writes_is_read_back(folder):
    """Quoted, as csv and pandas write it; a table is refused only where its quotes may be plain characters."""
    for texts in itertools.product(['say "hi"', "a\tb", "x\ny", "plain", '"'], repeat=2):
        out = io.StringIO()
        writer = csv.writer(out, delimiter="\t", lineterminator="\n")
        writer.writerows([["id", "text", "label"], *([f"r{i}", text, f"y{i}"] for i, text in enumerate(texts))])
        found = rows("l.tsv", out.getvalue(), "id", "text", "label")
        assert [row["text"] for row in found] == list(texts)


def test_a_table_without_quotes_is_looked_at_once():
    passes = []

    def lines():
        passes.append(1)
        return iter(["id\tlabel\n", "a\tb\n"])

    assert settled(Dialect("\t"), lines, "x") == Dialect("\t")
    assert len(passes) == 1
    assert settled(Dialect(","), lines, "x") == Dialect(",")
    assert len(passes) == 1


def test_the_dialect_of_no_text():
    assert dialect_of("", ",", lambda names: False) == Dialect(",")


# -- JSON -------------------------------------------------------------------------------------------------------------


ARRAYS = ['[{"id": 1, "label": "a"}]', ' [\n {\n "id": 1,\n "Label": "a"}\n]\n', '{"id": 1, "label": "a"}']


@pytest.mark.parametrize("name", ["l.json", "l.jsonl", "l.txt"])
@pytest.mark.parametrize("text", ARRAYS)
def test_arrays_of_objects_are_rows(folder, name, text):
    assert rows(name, text) == [{"id": 1, "label": "a"}]


@pytest.mark.parametrize("text", ['{\n "id": 1\n}', "[1, 2]", '[{"id": 1}', "3"])
def test_other_json_is_told_of_json_lines(folder, text):
    with pytest.raises(DataError, match="JSON Lines"):
        rows("l.json", text)


def test_an_entry_is_named(folder):
    with pytest.raises(DataError, match="entry 1: no key 'label'"):
        rows("l.json", '[{"id": 1, "label": 2}, {"id": 2}]')


# -- lists of ids -----------------------------------------------------------------------------------------------------


def test_ids_that_begin_like_other_files_are_ids(folder):
    for ids in (["ORC1", "r"], ["BZhang", "r"], ["PK", "r"], ["ARROW1"], ["[1]"]):
        Path("ids.txt").write_text("\n".join(ids))
        assert [row.values["id"] for row in read_ids("ids.txt")] == ids


def test_a_list_of_ids_stays_a_list(folder):
    Path("ids.txt").write_text("r0\na,b\nc;d\n")
    assert [row.values["id"] for row in read_ids("ids.txt")] == ["r0", "a,b", "c;d"]
    Path("ids.txt").write_bytes(gzip.compress(b"r0\nr1\n"))
    assert [row.values["id"] for row in read_ids("ids.txt")] == ["r0", "r1"]


def test_no_bytes_end_in_a_traceback(folder):
    drawn = random.Random(1)
    starts = [*contents._PACKED, *contents._NO_TEXT, *contents._MARKS, b"id,label\n", b"id\tlabel\n", b"[{", b"sep=;\n"]
    for start in starts:
        for _ in range(20):
            tail = bytes(drawn.choices(b'\x00\xff\xd8a",;\t\n[]{}', k=12))
            Path("l.txt").write_bytes(start + tail)
            for read in (lambda: read_rows("l.txt", ["id", "label"]), lambda: read_ids("l.txt")):
                with suppress(AlcliError):
                    list(read())
