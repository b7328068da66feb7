"""CSV, JSON Lines and Parquet as sources: columns found, types kept, places named."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.sources.base import Asked
from alcli.data.sources.opening import check_ids, open_source
from alcli.errors import DataError, InputError, UsageError
from alcli.remarks import silence


def text_file(path, text, encoding="utf-8"):
    path.write_bytes(text.encode(encoding))
    return path


def parquet(path, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=3)
    return path


def everything(source, rows=4):
    windows = list(source.windows(rows))
    return pa.concat_tables([w.columns for w in windows]).to_pylist(), [i for w in windows for i in w.items]


def read(path, *, note=silence, **asked):
    source = open_source(path, Asked(**asked), note)
    check_ids(source)
    return source, *everything(source)


def test_csv_is_text_throughout_and_quotes_bom_and_crlf_are_fine(tmp_path):
    path = text_file(tmp_path / "a.csv", '\ufeffid,text,label\r\n007,"two\r\nlines, ""quoted""",NA\r\n8,,\r\n')
    notes = []
    source, columns, items = read(path, note=notes.append)
    assert (source.kind, source.n, notes) == ("text", 2, [])
    assert columns == [{"id": "007", "label": "NA"}, {"id": "8", "label": None}]
    assert items == ['two\r\nlines, "quoted"', ""]


def test_tsv_and_label_col_and_keep(tmp_path):
    path = text_file(tmp_path / "a.tsv", "sentence\tcategory\tsplit\tmore\nhello\tx\ttrain\t\nworld\ty\ttest\t1\n")
    notes = []
    _, columns, items = read(path, label="category", keep=("more",), note=notes.append)
    assert columns == [
        {"id": 0, "label": "x", "split": "train", "more": ""},
        {"id": 1, "label": "y", "split": "test", "more": "1"},
    ]
    assert items == ["hello", "world"]
    assert "row numbers" in notes[0]


def test_json_lines_are_typed(tmp_path):
    lines = [
        {"id": 5, "text": "a", "label": 1.5, "group": "g"},
        {"id": 6, "text": None, "label": 2, "more": {}},
        {"id": 7, "label": None},
    ]
    path = text_file(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n")
    _, columns, items = read(path)
    assert columns == [
        {"id": 5, "label": 1.5, "group": "g"},
        {"id": 6, "label": 2.0, "group": None},
        {"id": 7, "label": None, "group": None},
    ]
    assert items == ["a", None, None]


def test_parquet_keeps_label_types_and_decodes_dictionaries(tmp_path):
    labels = pa.array([2, 0, None, 1], pa.int8())
    ids = pa.array(["d", "b", "a", "c"]).dictionary_encode()
    path = parquet(
        tmp_path / "a.parquet",
        id=ids,
        text=pa.array(list("wxyz"), pa.large_string()),
        label=labels,
        split=pa.array(["test"] * 4),
    )
    source, columns, items = read(path)
    assert source.columns.field("label").type == pa.int8()
    assert source.columns.field("id").type == pa.string()
    assert [c["id"] for c in columns] == list("dbac")
    assert [c["label"] for c in columns] == [2, 0, None, 1]
    assert items == list("wxyz")


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet", "npy"])
def test_windows_from_the_middle_are_those_of_the_whole(kind, tmp_path):
    texts = [f"t{i}" for i in range(11)]
    path = tmp_path / f"a.{kind}"
    if kind == "csv":
        text_file(path, "text\n" + "\n".join(texts))
    elif kind == "jsonl":
        text_file(path, "\n".join(json.dumps({"text": t}) for t in texts))
    elif kind == "parquet":
        parquet(path, text=texts)
    else:
        np.save(path, np.arange(22).reshape(11, 2))
    source = open_source(path, Asked())
    whole = list(source.windows(4))
    assert [(w.first, len(w.items)) for w in whole] == [(0, 4), (4, 4), (8, 3)]
    for start in range(4):
        part = list(source.windows(4, start))
        assert [w.first for w in part] == [w.first for w in whole[start:]]
        assert [w.columns for w in part] == [w.columns for w in whole[start:]]
        assert str([w.items for w in part]) == str([w.items for w in whole[start:]])


def test_image_bytes_plain_and_as_hugging_face_keeps_them(tmp_path):
    plain = parquet(tmp_path / "plain.parquet", image=pa.array([b"1", None]), label=pa.array([0, 1]))
    source, _, items = read(plain)
    assert source.kind == "image"
    assert items == [b"1", None]
    struct = pa.array(
        [{"bytes": b"1", "path": "x.png"}, {"bytes": None, "path": "y.png"}, None, {"bytes": None, "path": None}]
    )
    source, _, items = read(parquet(tmp_path / "hf.parquet", image=struct))
    assert source.kind == "image"
    assert items == [b"1", tmp_path / "y.png", None, None]


def test_image_paths_are_relative_to_the_file(tmp_path):
    source, columns, items = read(text_file(tmp_path / "a.csv", "file_name,label\npics/a b.PNG,cat\n/abs/c.jpg,dog\n"))
    assert source.kind == "image"
    assert items == [tmp_path / "pics/a b.PNG", Path("/abs/c.jpg")]
    assert [c["label"] for c in columns] == ["cat", "dog"]


def test_file_names_may_be_ids_as_well(tmp_path):
    notes = []
    _, columns, items = read(
        text_file(tmp_path / "a.csv", "file_name,label\na.png,cat\n"), id="file_name", note=notes.append
    )
    assert columns == [{"id": "a.png", "label": "cat"}]
    assert items == [tmp_path / "a.png"]
    assert notes == []


def test_the_input_can_be_kept(tmp_path):
    _, columns, items = read(text_file(tmp_path / "a.csv", "id,text\n1,hello\n"), keep=("text",))
    assert columns == [{"id": "1", "text": "hello"}]
    assert items == ["hello"]


def test_a_sentence_that_ends_like_a_file_is_text(tmp_path):
    assert open_source(text_file(tmp_path / "a.csv", "text\nlook at this.png\n"), Asked()).kind == "text"


def test_lists_of_numbers_are_arrays(tmp_path):
    source, _, items = read(parquet(tmp_path / "a.parquet", id=[1, 2], vector=[[1.0, 2.0], None]), input="vector")
    assert source.kind == "array"
    assert items[1] is None
    np.testing.assert_array_equal(items[0], [1, 2])


def test_image_paths_in_a_folder_of_tables_are_relative_to_the_folder(tmp_path):
    parquet(tmp_path / "a.parquet", image_path=["x/1.png"])
    _, _, items = read(tmp_path)
    assert items == [tmp_path / "x/1.png"]


def test_several_parquet_files_in_a_folder_are_one_source(tmp_path):
    parquet(tmp_path / "train-00001.parquet", text=["c"], id=[3])
    parquet(tmp_path / "train-00000.parquet", text=["a", "b"], id=[1, 2])
    source, _columns, items = read(tmp_path)
    assert items == ["a", "b", "c"]
    assert source.place(2).endswith("train-00001.parquet: row 0")
    parquet(tmp_path / "train-00002.parquet", text=["d"], id=["x"])
    with pytest.raises(DataError, match=r"train-00002.*differ"):
        open_source(tmp_path, Asked())


@pytest.mark.parametrize(
    ("header", "asked", "expected"),
    [
        ("id,comment", {}, "comment"),
        ("id,question,answer", {}, "question"),
        ("a,b", {"input": "b"}, "b"),
        ("text,label,comment", {}, "text"),
    ],
)
def test_the_obvious_column_is_taken(header, asked, expected, tmp_path):
    row = ",".join(f"<{name}>" for name in header.split(","))
    _, _, items = read(text_file(tmp_path / "a.csv", f"{header}\n{row}\n"), **asked)
    assert items == [f"<{expected}>"]


@pytest.mark.parametrize(
    ("header", "asked", "error", "text"),
    [
        ("a,b,c", {}, DataError, r"several columns.*'a'.*'b'.*'c'.*--input-col"),
        ("text,question", {}, DataError, r"several.*'text'.*'question'"),
        ("text", {"input": "txt"}, DataError, r"no column 'txt'.*did you mean 'text'"),
        ("text", {"id": "nr"}, DataError, "no column 'nr'"),
        ("text", {"keep": ("x",)}, DataError, "no column 'x'"),
        ("text,features", {"keep": ("features",)}, UsageError, "--keep features"),
        ("text,text", {}, DataError, "several columns named 'text'"),
        ("id,label", {}, DataError, "no column looks like an input"),
    ],
)
def test_columns_that_cannot_be_chosen_are_listed(header, asked, error, text, tmp_path):
    with pytest.raises(error) as caught:
        open_source(text_file(tmp_path / "a.csv", header + "\n"), Asked(**asked))
    import re

    assert re.search(text, str(caught.value))


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "empty"),
        (b"text,b\nonly one\n", "line 2: expected 2 fields.*got 1"),
        (b"text,b\n1,2,3\n", "line 2.*got 3"),
        (b'text\n"open\n', "quote"),
        ("text\nGrüße\n".encode("latin-1"), "not UTF-8.*0xfc"),
    ],
)
def test_damaged_csv_names_the_line(content, text, tmp_path):
    (tmp_path / "a.csv").write_bytes(content)
    import re

    with pytest.raises(DataError) as caught:
        open_source(tmp_path / "a.csv", Asked())
    assert re.search(text, str(caught.value))
    assert "a.csv" in str(caught.value)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ('{"text": "a"}\n{"text": \n', "line 2 is not JSON"),
        ("[1]\n", "line 1: expected an object"),
        ('{"text": "a", "id": 1}\n{"text": "b", "id": "x"}\n', "id"),
        ('{"text": "a", "id": 99999999999999999999}\n', "column 'id'"),
        ('{"text": "a", "id": 1.5}\n', "integers or strings"),
        ('{"text": "a", "id": true}\n', "integers or strings"),
        ('{"text": 1}\n', "'text'.*holds int64"),
        ('{"text": "a", "label": [1]}\n', "labels must be"),
    ],
)
def test_damaged_json_lines_name_line_or_column(content, text, tmp_path):
    import re

    with pytest.raises(DataError) as caught:
        read(text_file(tmp_path / "a.jsonl", content), **({"input": "text"}))
    assert re.search(text, str(caught.value))


@pytest.mark.parametrize(
    ("ids", "text"),
    [
        (["a", "b", "c", "d", "a"], "row 0 and .*row 4 have the same id 'a'"),
        (["a", None, "c", "d", "e"], "row 1: the id is null"),
        (["a", "b", "c", "d", ""], "row 4: the id is empty"),
        ([1, 2, 3, 3, 4], "row 2 and .*row 3 have the same id '3'"),
        ([1.0, 2.0, 3.0, 4.0, 5.0], "integers or strings, got double"),
    ],
)
def test_ids_must_be_unique_and_there(ids, text, tmp_path):
    import re

    with pytest.raises(DataError) as caught:
        read(parquet(tmp_path / "a.parquet", id=pa.array(ids), text=list("vwxyz")))
    assert re.search(text, str(caught.value))


def test_damaged_parquet_is_a_data_error(tmp_path):
    path = parquet(tmp_path / "a.parquet", text=["abc"] * 100)
    data = path.read_bytes()
    for bad in (b"", b"PAR1", data[:-20], data[: len(data) // 2]):
        path.write_bytes(bad)
        with pytest.raises(DataError, match=r"a\.parquet: not readable as Parquet"):
            open_source(path, Asked())


def test_what_is_no_source_is_said(tmp_path):
    import os

    with pytest.raises(InputError, match="nowhere"):
        open_source(tmp_path / "nowhere.csv", Asked())
    os.mkfifo(tmp_path / "pipe.csv")
    with pytest.raises(InputError, match="not a regular file"):
        open_source(tmp_path / "pipe.csv", Asked())
    with pytest.raises(DataError, match="what kind of file"):
        open_source(text_file(tmp_path / "a.xlsx", "x"), Asked())


def test_contents_follow_the_bytes_and_the_stamp_the_file(tmp_path):
    path = text_file(tmp_path / "a.csv", "text\na\n")
    source = open_source(path, Asked())
    contents, stamp = source.contents(), source.stamp()
    assert (source.contents(), source.stamp()) == (contents, stamp)
    text_file(path, "text\nb\n")
    assert source.contents() != contents
    path.unlink()
    assert source.stamp() != stamp
