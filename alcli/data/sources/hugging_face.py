"""Datasets of Hugging Face: folders of save_to_disk, and the names of classes, which the schema of a file holds."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from alcli.data.sources.arrow import ArrowReader
from alcli.data.sources.base import opened
from alcli.errors import DataError, printable
from alcli.remarks import Note

STATE = "state.json"
SPLITS = "dataset_dict.json"
_KEY = b"huggingface"
_MOST_BYTES = 64 << 20


def is_saved(folder: Path) -> bool:
    """True for a folder that save_to_disk wrote."""
    return (folder / STATE).is_file() or (folder / SPLITS).is_file()


def open_saved(folder: Path, note: Note) -> ArrowReader:
    """Return a reader of a folder that save_to_disk wrote; of several splits, the column `split` has the name.

    note: told of the splits. Raises InputError, and DataError where files are missing.
    """
    if not (folder / SPLITS).is_file():
        return ArrowReader(_files(folder))
    splits = [name for name in _listed(_json(folder / SPLITS), "splits", folder / SPLITS) if _is_plain(name)]
    files = [(path, name) for name in splits for path in _files(folder / name)]
    if not files:
        raise DataError(f"{printable(folder / SPLITS)}: it names no split")
    first = ArrowReader([files[0][0]])
    if "split" in first.schema.names:
        return ArrowReader([path for path, _ in files])
    tests = "; rows of split test are never chosen" if "test" in splits else ""
    note(f"{printable(folder)}: the column split holds {', '.join(map(printable, splits))}{tests}")
    return ArrowReader([path for path, _ in files], [{"split": name} for _, name in files])


def class_names(schema: pa.Schema, column: str) -> list[str] | None:
    """Return the names of the classes of a column of type ClassLabel; None for any other column."""
    try:
        about = json.loads((schema.metadata or {})[_KEY])["info"]["features"][column]
        names = about["names"] if about["_type"] == "ClassLabel" else None
    except (KeyError, TypeError, ValueError, RecursionError):
        return None
    whole = pa.types.is_integer(schema.field(column).type)
    return names if whole and isinstance(names, list) and all(isinstance(n, str) for n in names) else None


def named(values: pa.Array, names: list[str], place: str) -> pa.Array:
    """Return class numbers as names; -1, with which Hugging Face marks rows without a label, is null.

    place: of the values, for messages. Raises DataError for a number that no class has.
    """
    numbers = values.cast(pa.int64()).fill_null(-1).to_numpy()
    wrong = numbers[(numbers < -1) | (numbers >= len(names))]
    if len(wrong):
        raise DataError(f"{place}: the label {wrong[0]} is none of the {len(names)} classes of its ClassLabel")
    return pa.array(names, pa.string()).take(pa.array(numbers, mask=np.asarray(numbers < 0)))


def _files(folder: Path) -> list[Path]:
    """The files of one split, in their order."""
    state = _json(folder / STATE)
    entries = _listed(state, "_data_files", folder / STATE)
    if state.get("_indices_data_files"):
        what = f"{printable(folder)}: its rows are in the order of another file, as old versions of datasets saved it"
        raise DataError(what, hint="load it with datasets, and save it again after flatten_indices()")
    names = [entry.get("filename") if isinstance(entry, dict) else None for entry in entries]
    if not names or not all(isinstance(name, str) and _is_plain(name) for name in names):
        raise DataError(f"{printable(folder / STATE)}: it does not name the files of the dataset")
    return [folder / str(name) for name in names]


def _is_plain(name: Any) -> bool:
    """True for a name that stays in its folder."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & {"/", "\\", "\0"}


def _listed(found: Any, key: str, path: Path) -> list[Any]:
    """The list under a key. Raises DataError."""
    if not isinstance(found, dict) or not isinstance(found.get(key), list):
        raise DataError(f"{printable(path)}: expected an object with a list '{key}'")
    return list(found[key])


def _json(path: Path) -> Any:
    """The content of a JSON file. Raises InputError, DataError."""
    with opened(path) as file:
        try:
            return json.loads(file.read(_MOST_BYTES))
        except (ValueError, RecursionError) as error:
            raise DataError(f"{printable(path)}: is not JSON ({printable(error)})") from error
