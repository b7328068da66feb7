"""What a hostile file or folder could make alcli do: run code, wait for good, fill memory, or tell a secret."""

from __future__ import annotations

import io
import os
import tracemalloc

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from alcli.data.reading.data_file import DataFile, shown, without_secrets
from alcli.data.reading.head_header import header_of
from alcli.data.reading.pages import check_pages
from alcli.data.reading.remote import find_remote
from alcli.data.tables import read_rows
from alcli.embedders._images import picture_reader
from alcli.embedders._items import read_text
from alcli.errors import AlcliError, DataError, InputError
from tests.pools import fixed
from tests.shell import process


def test_workers_import_nothing_from_the_current_folder(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    labels = np.repeat(["a", "b"], 30)
    table = pa.table({"id": np.arange(60), "label": labels, "features": fixed(rng.random((60, 3), np.float32))})
    pq.write_table(table, tmp_path / "pool.parquet")
    monkeypatch.chdir(tmp_path)
    for module in ("signal", "socket", "pickle", "struct", "threading", "weakref"):
        (tmp_path / f"{module}.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    command = ["simulate", "pool.parquet", "-s", "random", "-n", "5", "--rounds", "1", "--seeds", "2", "--jobs", "2"]
    # The console script; `python -m` would itself look into the current folder.
    run = process(*command, "-o", "out", "-q", timeout=120)
    assert (run.code, run.err) == (0, "")
    assert not (tmp_path / "ran").exists()
    assert (tmp_path / "out" / "summary.csv").exists()


def test_an_image_by_name_that_is_postscript_starts_no_program(tmp_path, monkeypatch):
    program = tmp_path / "gs"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    (tmp_path / "a.png").write_bytes(script)
    read = picture_reader()
    for item in (script, tmp_path / "a.png"):
        with pytest.raises(DataError, match="not an image that Pillow knows"):
            read(item)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("form", ["PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF", "PPM"])
def test_images_of_every_usual_format_are_read(form):
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4, 3), 200, np.uint8)).save(buffer, form)
    assert picture_reader()(buffer.getvalue()).size == (4, 4)


def test_a_pipe_among_the_items_is_said_at_once(tmp_path):
    os.mkfifo(tmp_path / "a.png")
    with pytest.raises(InputError, match=r"a\.png' is a pipe or a device"):
        picture_reader()(tmp_path / "a.png")
    with pytest.raises(InputError, match="pipe or a device"):
        read_text(tmp_path / "a.png")


def test_embed_of_a_folder_with_a_pipe_ends(tmp_path):
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "b.txt").write_text("words")
    os.mkfifo(tmp_path / "texts" / "a.txt")
    run = process("embed", tmp_path / "texts", "-m", "hashing:8", "-o", tmp_path / "o.parquet", timeout=60)
    assert run.code == 66
    assert "a.txt' is a pipe or a device" in run.err


def uint(value: int) -> bytes:
    """A number as the compact protocol of Thrift writes it in a field: zigzag, 7 bits a byte."""
    value, out = value << 1, b""
    while value > 127:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


@pytest.mark.parametrize("compression", ["zstd", "none"])
def test_a_page_that_claims_more_bytes_than_its_column_has(compression, tmp_path):
    path = tmp_path / "pool.parquet"
    X = np.random.default_rng(0).random((64, 8), np.float32)
    pq.write_table(
        pa.table({"id": np.arange(64), "features": fixed(X)}), path, compression=compression, use_dictionary=False
    )
    with pq.ParquetFile(path) as parquet:
        chunk = parquet.metadata.row_group(0).column(1)
        at = chunk.data_page_offset
        check_pages(DataFile(str(path)), parquet, "features", None, None)
    data = bytearray(path.read_bytes())
    # A data page (type 0), its size, and 2 GiB - 1 as its compressed size. The five fields fit into the old header.
    lie = b"\x15\x00" + b"\x15" + uint(2048) + b"\x15" + uint((1 << 31) - 1)
    data[at : at + len(lie)] = lie
    path.write_bytes(data)
    with pq.ParquetFile(path) as parquet, pytest.raises(DataError, match=r"page|damaged"):
        check_pages(DataFile(str(path)), parquet, "features", None, None)


def test_repeated_keys_and_columns_take_linear_time(tmp_path):
    """Counting each name in the list of all names would take hours for these; the test would not end."""
    keys = 400_000
    pairs = ",".join(f'"k{i}":0' for i in range(keys))
    text = f'{{{pairs},"k{keys - 1}":1}}'.encode()
    with pytest.raises(DataError, match=f"'k{keys - 1}' stands twice"):
        header_of(len(text).to_bytes(8, "little") + text, "head")
    (tmp_path / "wide.csv").write_text(",".join(["id", "label", *(f"c{i}" for i in range(keys))]) + "\n")
    assert list(read_rows(str(tmp_path / "wide.csv"), ["id", "label"])) == []


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("s3://KEY:secret@bucket/x", "s3://...@bucket/x"),
        ("s3://KEY:sec/ret+@bucket/x", "s3://...@bucket/x"),
        ("s3://user:p@ss@bucket/x", "s3://...@bucket/x"),
        ("s3://user@bucket/a@b.parquet", "s3://...@bucket/a@b.parquet"),
        ("https://host/x.parquet?X-Amz-Signature=secret", "https://host/x.parquet?..."),
        ("https://host:8080/a@b.parquet", "https://host:8080/a@b.parquet"),
        ("s3://bucket/a@b.parquet", "s3://bucket/a@b.parquet"),
        ("folder/what?.parquet", "folder/what?.parquet"),
    ],
)
def test_secrets_of_a_uri_are_not_shown(uri, expected):
    assert shown(uri) == expected
    assert DataFile(uri).name == expected


def test_secrets_are_left_out_of_what_a_library_says():
    uri = "s3://KEY:sec/ret@bucket/x?sig=abc"
    assert without_secrets("no key KEY:sec/ret for bucket/x?sig=abc", uri) == "no key ... for bucket/x?..."
    assert without_secrets("bucket/x: no such file", "s3://bucket/x") == "bucket/x: no such file"
    with pytest.raises(AlcliError) as caught:
        find_remote("nonsense://KEY:se/cret@bucket/x?token=abcdef")
    assert not any(word in str(caught.value) for word in ("KEY", "cret", "abcdef"))


def test_label_files_in_parquet_are_read_a_block_at_a_time(tmp_path):
    """A small file can hold many millions of rows, since repeated values take no room."""
    n = 300_000
    pq.write_table(pa.table({"id": ["r0"] * n, "label": ["a"] * n}), tmp_path / "labels.parquet")
    assert (tmp_path / "labels.parquet").stat().st_size < 10_000
    tracemalloc.start()
    assert sum(1 for _ in read_rows(str(tmp_path / "labels.parquet"), ["id", "label"])) == n
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 << 20


@pytest.mark.parametrize(
    "shape", ["(4, -", "(4, '3)", "(4, 3), 'more': [", "(99999999999999999999, 3)", "(-4, 3)", "4"]
)
def test_a_header_of_an_array_file_that_is_damaged(shape, tmp_path, alcli):
    np.save(tmp_path / "a.npy", np.zeros((4, 3), np.float32))
    data = (tmp_path / "a.npy").read_bytes()
    (tmp_path / "b.npy").write_bytes(data.replace(b"(4, 3)", shape.encode()))
    alcli("embed", tmp_path / "b.npy", "-m", "identity", "-o", tmp_path / "o.parquet").refused(65, "b.npy")
