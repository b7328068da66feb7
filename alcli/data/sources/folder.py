"""A folder of images or of text files as a source: an item is a file, and its relative path is the id."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from alcli.data.reading.local import refuse
from alcli.data.sources.base import IMAGE_SUFFIXES, TEXT_SUFFIXES, Asked, Window, stamp_of_files
from alcli.embedders._contract import Kind
from alcli.errors import DataError, InputError, UsageError, printable
from alcli.remarks import Note, silence


class FolderSource:
    """Files in the order of their ids.

    Names that begin with a dot or an underscore are left out, links to folders not followed. Raises UsageError,
    DataError and InputError when it is made.
    """

    def __init__(self, folder: Path, asked: Asked, note: Note = silence) -> None:
        if asked.input or asked.id or asked.keep or asked.label not in (None, "folder"):
            folder_label = "--label-col folder takes the name of the folder a file lies in as its label"
            hint = f"ids are the relative paths; {folder_label}"
            raise UsageError(f"{printable(folder)}: a folder of files has no columns to choose", hint=hint)
        self._folder, self.name = folder, folder.resolve().name
        images, texts = files_in(folder, IMAGE_SUFFIXES), files_in(folder, TEXT_SUFFIXES)
        if images and texts:
            what = f"{printable(folder)}: there are {len(images)} images and {len(texts)} text files"
            raise DataError(what, hint="embed one kind at a time")
        if not images and not texts:
            raise InputError(f"{printable(folder)}: there are no images, text files or Parquet files in this folder")
        self.kind: Kind = "image" if images else "text"
        self._paths = images or texts
        self.n = len(self._paths)
        note("ids are the paths relative to the folder")
        label = [("label", pa.string())] if asked.label else []
        self.columns = pa.schema([("id", pa.string()), *label])

    def ids(self) -> Iterator[pa.Array]:
        """Yield nothing: the paths in a folder cannot repeat."""
        return iter(())

    def windows(self, rows: int, start: int = 0) -> Iterator[Window]:
        """Yield windows of `rows` files, from window number `start` on. The model opens the files."""
        for first in range(rows * start, self.n, rows):
            names = self._paths[first : first + rows]
            columns = [pa.array(names, pa.string())]
            if "label" in self.columns.names:
                parents = [n.split("/")[-2] if "/" in n else None for n in names]
                columns.append(pa.array(parents, pa.string()))
            yield Window(first, pa.table(columns, schema=self.columns), [self._folder / n for n in names])

    def place(self, row: int) -> str:
        """Name the folder, for messages; the id is the path of the file."""
        return printable(self._folder)

    def about(self) -> dict[str, Any]:
        """Return an empty mapping: nobody wrote anything about the inputs."""
        return {}

    def contents(self) -> str:
        """Return a digest of names, sizes and times; the files themselves are read only once, by the model."""
        return hashlib.sha256(repr(list(zip(self._paths, self.stamp()))).encode()).hexdigest()

    def stamp(self) -> Any:
        """Return the size and time of each file."""
        return [(size, time) for size, time, _ in stamp_of_files([self._folder / n for n in self._paths])]


def files_in(folder: Path, suffixes: frozenset[str]) -> list[str]:
    """Return the relative paths, with forward slashes and sorted, of the files below `folder` with one of the suffixes.

    Raises InputError for a folder that cannot be searched, DataError for a file name that is not UTF-8.
    """
    found = []
    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [f for f in folders if not f.startswith((".", "_"))]
        for name in names:
            if not name.startswith((".", "_")) and os.path.splitext(name)[1].lower() in suffixes:
                path = Path(where, name).relative_to(folder).as_posix()
                if not path.isprintable() and any("\ud800" <= c <= "\udfff" for c in path):
                    what = f"the file name '{printable(path)}' is not UTF-8, so it cannot be an id"
                    raise DataError(f"{printable(folder)}: {what}")
                found.append(path)
    return sorted(found)
