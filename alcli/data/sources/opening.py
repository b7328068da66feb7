"""Open the source at a path by its kind, and check that ids are unique before any model runs."""

from __future__ import annotations

import stat
from pathlib import Path

import numpy as np
import pyarrow as pa

from alcli.data.fingerprint import id_keys
from alcli.data.sources.base import IMAGE_SUFFIXES, TEXT_SUFFIXES, Asked, InputSource, head_of
from alcli.data.sources.delimited import DelimitedReader
from alcli.data.sources.folder import FolderSource, files_in
from alcli.data.sources.jsonl import JsonLinesReader
from alcli.data.sources.npy import NpySource
from alcli.data.sources.parquet import ParquetReader
from alcli.data.sources.table import Reader, TableSource
from alcli.data.text.contents import encoding_of
from alcli.errors import DataError, InputError, printable
from alcli.remarks import Note, silence

_KNOWN = ".csv, .tsv, .jsonl, .parquet, .npy, or a folder of images, text files or Parquet files"


def open_source(path: Path, asked: Asked, note: Note = silence) -> InputSource:
    """Open the file or folder at `path` as a source. note: told of the ids and columns that the user may not expect.

    Raises InputError when there is nothing to open, DataError when its content is not of the kind that its name says.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be opened ({error.strerror})") from error
    if stat.S_ISDIR(mode):
        tables = files_in(path, frozenset({".parquet"}))
        if tables and not files_in(path, IMAGE_SUFFIXES | TEXT_SUFFIXES - {".md"}):
            return TableSource(ParquetReader([path / t for t in tables], asked.hive, note), path, asked, note)
        return FolderSource(path, asked, note)
    if not stat.S_ISREG(mode):
        raise InputError(f"{printable(path)}: is not a regular file", hint=f"expected {_KNOWN}")
    if path.suffix.lower() == ".npy":
        return NpySource(path, asked, note)
    return TableSource(_reader(path, asked, note), path, asked, note)


def _reader(path: Path, asked: Asked, note: Note) -> Reader:
    """The reader of a table, by the extension of its name. Raises DataError that says what any other file is."""
    match path.suffix.lower():
        case ".csv":
            return DelimitedReader(path, ",", asked, note)
        case ".tsv" | ".tab":
            return DelimitedReader(path, "\t", asked, note)
        case ".jsonl" | ".ndjson":
            return JsonLinesReader(path)
        case ".parquet" | ".pq":
            return ParquetReader([path], asked.hive, note)
    encoding_of(head_of(path), printable(path))
    raise DataError(f"{printable(path)}: cannot tell what kind of file this is", hint=f"expected {_KNOWN}")


def check_ids(source: InputSource) -> None:
    """Read the ids once. Raises DataError for a null or empty id, and for a duplicate, with both places.

    Memory: the ids and 16 bytes a row.
    """
    ids = pa.chunked_array(list(source.ids()), source.columns.field("id").type)
    keys_N = np.concatenate([np.empty(0, np.uint64), *(id_keys(chunk) for chunk in ids.chunks)])
    order = np.argsort(keys_N, kind="stable")
    for i in np.flatnonzero(keys_N[order][1:] == keys_N[order][:-1]):
        first, second = int(order[i]), int(order[i + 1])
        if ids[first] == ids[second]:
            where = f"{source.place(first)} and {source.place(second)}"
            what = f"{where} have the same id '{printable(ids[first].as_py())}'"
            raise DataError(what, hint="ids must be unique")
