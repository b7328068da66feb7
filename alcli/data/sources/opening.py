"""Open the source at a path by its kind, and check that ids are unique before any model runs."""

from __future__ import annotations

import stat
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from alcli.data.fingerprint import id_keys
from alcli.data.sources.arrays.folders import numbered, open_array_folder
from alcli.data.sources.arrays.hdf5 import open_hdf5
from alcli.data.sources.arrays.npy import open_npy, open_npz
from alcli.data.sources.arrow import ArrowReader
from alcli.data.sources.base import IMAGE_SUFFIXES, TEXT_SUFFIXES, Asked, InputSource, head_of
from alcli.data.sources.delimited import DelimitedReader
from alcli.data.sources.folder import FolderSource, files_in
from alcli.data.sources.hugging_face import is_saved, open_saved
from alcli.data.sources.jsonl import JsonLinesReader
from alcli.data.sources.lance import LanceReader, is_lance
from alcli.data.sources.naming import with_ids
from alcli.data.sources.parquet import ParquetReader
from alcli.data.sources.table import TableSource
from alcli.data.sources.wide import WideReader
from alcli.data.sources.windows import Reader
from alcli.data.text.contents import encoding_of
from alcli.errors import DataError, InputError, UsageError, printable
from alcli.remarks import Note, silence

_KNOWN = (
    ".csv, .tsv, .jsonl, .parquet, .arrow, .feather, .npy, .npz or .h5, or a folder of such files, of images or texts"
)
_ARROW = frozenset({".arrow", ".feather", ".ipc", ".arrows"})
_HDF5 = frozenset({".h5", ".hdf5", ".he5"})


def split_name(path: Path, asked: Asked) -> tuple[Path, Asked]:
    """Split FILE:NAME, which names an array of a .npz or HDF5 file; other paths stay as they are. Raises UsageError."""
    file, colon, name = str(path).rpartition(":")
    if not colon or not name or Path(file).suffix.lower() not in {".npz", *_HDF5} or path.exists():
        return path, asked
    if asked.input is not None:
        what = f"{printable(path)} and --input-col {printable(asked.input)} both name the array"
        raise UsageError(what, hint="use one of the two")
    return Path(file), replace(asked, input=name)


def open_source(path: Path, asked: Asked, note: Note = silence) -> InputSource:
    """Open the file or folder at `path` as a source. note: told of the ids and columns that the user may not expect.

    Raises InputError when there is nothing to open, DataError when its content is not of the kind that its name says,
    UsageError for options that exclude each other, UnavailableError where an optional library is missing.
    """
    opened = _open(path, asked, note, as_ids=False)
    if opened is None:
        if asked.ids is not None or asked.features_cols:
            option = "--ids" if asked.ids is not None else "--features-cols"
            raise UsageError(f"{option}: {printable(path)} is a folder of files, and their paths are the ids")
        return FolderSource(path, asked, note)
    reader, asked = opened
    if asked.features_cols:
        if asked.input is not None:
            raise UsageError("--features-cols and --input-col exclude each other", hint="use one of the two")
        reader = WideReader(reader, asked.features_cols, printable(path), note)
        asked = replace(asked, input=reader.name)
    if asked.ids is not None:

        def open_table(file: Path, of_ids: Asked) -> tuple[Reader, Asked]:
            found = _open(file, of_ids, note, as_ids=True)
            if found is None:
                raise DataError(f"{printable(file)}: is a folder of files, expected a file of ids")
            return found

        reader, asked = with_ids(reader, asked, printable(path), open_table)
    return TableSource(reader, path, asked, note)


def _open(path: Path, asked: Asked, note: Note, as_ids: bool) -> tuple[Reader, Asked] | None:
    """Return a reader of a table, and `asked` with the input where the table knows it; None for a folder of files.

    as_ids: a file of ids is wanted, not inputs.
    """
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be opened ({error.strerror})") from error
    if stat.S_ISDIR(mode):
        return _folder(path, asked, note)
    if not stat.S_ISREG(mode):
        raise InputError(f"{printable(path)}: is not a regular file", hint=f"expected {_KNOWN}")
    kind = path.suffix.lower()
    if kind == ".npy":
        if asked.ids is None and not as_ids:
            _refuse_columns(asked)
        npy = open_npy([path], "id" if as_ids else "array", as_column=as_ids)
        return npy, replace(asked, input=npy.input)
    if kind == ".npz" or kind in _HDF5:
        of_ids = asked.ids is not None
        others = [] if of_ids else [name for name in (asked.id, asked.label, *asked.keep) if name is not None]
        found = (open_npz if kind == ".npz" else open_hdf5)(path, asked.input, others, as_column=as_ids)
        return found, replace(asked, input=found.input)
    return _table(path, asked, note), asked


def _folder(path: Path, asked: Asked, note: Note) -> tuple[Reader, Asked] | None:
    """Return a reader of the tables or arrays in a folder; None for a folder of images or texts. Raises DataError."""
    if is_saved(path):
        return open_saved(path, note), asked
    if is_lance(path):
        return LanceReader(path), asked
    if files_in(path, IMAGE_SUFFIXES | TEXT_SUFFIXES - {".md"}):
        return None
    if arrays := files_in(path, frozenset({".npy"})):
        reader, name = open_array_folder(path, arrays, asked, note)
        return reader, replace(asked, input=name)
    if arrow := sorted(files_in(path, _ARROW), key=numbered):
        return ArrowReader([path / name for name in arrow]), asked
    if tables := files_in(path, frozenset({".parquet"})):
        return ParquetReader([path / name for name in tables], asked.hive, note), asked
    return None


def _refuse_columns(asked: Asked) -> None:
    """Raise UsageError for an option that names a column of a .npy file."""
    for option, value in (("--input-col", asked.input), ("--id-col", asked.id), ("--label-col", asked.label)):
        if value is not None:
            what = f"{option} {printable(value)}: a .npy file has no columns"
            raise UsageError(what, hint="--ids FILE:COLUMN takes ids and other columns from a file beside it")
    if asked.keep:
        raise UsageError(f"--keep {printable(asked.keep[0])}: a .npy file has no columns", hint="leave it out")


def _table(path: Path, asked: Asked, note: Note) -> Reader:
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
        case suffix if suffix in _ARROW:
            return ArrowReader([path])
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
