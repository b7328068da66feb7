"""A folder of images or of text files as a source: an item is a file, its relative path the id."""

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


class FolderSource:
    """Files in the order of their ids. Names that begin with a dot or an underscore are left out, links to folders not followed."""

    def __init__(self, folder: Path, asked: Asked) -> None:
        if asked.input or asked.id or asked.keep or asked.label not in (None, "folder"):
            hint = "ids are the relative paths; --label-col folder takes the name of the folder a file lies in as its label"
            raise UsageError(f"{printable(folder)}: a folder of files has no columns to choose", hint=hint)
        self._folder, self.name = folder, folder.resolve().name
        images, texts = files_in(folder, IMAGE_SUFFIXES), files_in(folder, TEXT_SUFFIXES)
        if images and texts:
            raise DataError(f"{printable(folder)}: there are {len(images)} images and {len(texts)} text files", hint="embed one kind at a time")
        if not images and not texts:
            raise InputError(f"{printable(folder)}: there are no images, text files or Parquet files in this folder")
        self.kind: Kind = "image" if images else "text"
        self._paths = images or texts
        self.n, self.notes = len(self._paths), ["ids are the paths relative to the folder"]
        label = [("label", pa.string())] if asked.label else []
        self.columns = pa.schema([("id", pa.string()), *label])

    def ids(self) -> Iterator[pa.Array]:
        return iter(())

    def windows(self, rows: int, start: int = 0) -> Iterator[Window]:
        for first in range(rows * start, self.n, rows):
            names = self._paths[first : first + rows]
            columns = [pa.array(names, pa.string())]
            if "label" in self.columns.names:
                columns.append(pa.array([n.split("/")[-2] if "/" in n else None for n in names], pa.string()))
            yield Window(first, pa.table(columns, schema=self.columns), [self._folder / n for n in names])

    def place(self, row: int) -> str:
        return printable(self._folder)

    def contents(self) -> str:
        """A digest of names, sizes and times; the files themselves are read once only, by the model."""
        return hashlib.sha256(repr(list(zip(self._paths, self.stamp()))).encode()).hexdigest()

    def stamp(self) -> Any:
        return [(size, time) for size, time, _ in stamp_of_files([self._folder / n for n in self._paths])]


def files_in(folder: Path, suffixes: frozenset[str]) -> list[str]:
    """Relative paths, with forward slashes, of files with one of the suffixes; sorted. Raises InputError for a folder that cannot be searched."""
    found = []
    for where, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [f for f in folders if not f.startswith((".", "_"))]
        for name in names:
            if not name.startswith((".", "_")) and os.path.splitext(name)[1].lower() in suffixes:
                path = Path(where, name).relative_to(folder).as_posix()
                if not path.isprintable() and any("\ud800" <= c <= "\udfff" for c in path):
                    raise DataError(f"{printable(folder)}: the file name '{printable(path)}' is not UTF-8, so it cannot be an id")
                found.append(path)
    return sorted(found)
