"""A .npy file as a source: one row is one item, and its number is the id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np
import pyarrow as pa

from alcli.data.sources.base import Asked, Window, digest_of_files, opened, stamp_of_files
from alcli.embedders._contract import Kind
from alcli.errors import DataError, UsageError, printable
from alcli.remarks import Note, silence


class NpySource:
    """Vectors or model inputs, [N, ...]. Memory: one window, because the file is memory-mapped.

    Raises UsageError, InputError and DataError when it is made.
    """

    kind: Kind = "array"
    columns = pa.schema([("id", pa.int64())])

    def __init__(self, path: Path, asked: Asked, note: Note = silence) -> None:
        self._path, self.name = path, path.name
        for option, value in (("--input-col", asked.input), ("--id-col", asked.id), ("--label-col", asked.label)):
            if value is not None:
                raise UsageError(
                    f"{option} {value}: a .npy file has no columns", hint="leave it out; ids are row numbers"
                )
        if asked.keep:
            raise UsageError(f"--keep {asked.keep[0]}: a .npy file has no columns", hint="leave it out")
        opened(path).close()
        try:
            self._array = np.load(path, mmap_mode="r", allow_pickle=False)
        except (ValueError, OSError, EOFError, SyntaxError, OverflowError, TokenError) as error:
            raise DataError(f"{printable(path)}: cannot be read as .npy ({printable(error)})") from error
        if self._array.ndim < 2 or self._array.dtype.kind not in "fiub":
            found = f"{self._array.dtype} of shape {self._array.shape}"
            raise DataError(f"{printable(path)}: expected numbers of shape [N, D] or [N, ...], got {found}")
        self.n = len(self._array)
        note("ids are row numbers")

    def ids(self) -> Iterator[pa.Array]:
        """Yield nothing: row numbers cannot repeat."""
        return iter(())

    def windows(self, rows: int, start: int = 0) -> Iterator[Window]:
        """Yield windows of `rows` rows, from window number `start` on."""
        for first in range(rows * start, self.n, rows):
            block = np.array(self._array[first : first + rows])
            ids = pa.table([pa.array(range(first, first + len(block)), pa.int64())], schema=self.columns)
            yield Window(first, ids, list(block))

    def place(self, row: int) -> str:
        """Name the file and the row, for messages."""
        return f"{printable(self._path)}: row {row}"

    def about(self) -> dict[str, Any]:
        """Return an empty mapping: nobody wrote anything about the inputs."""
        return {}

    def contents(self) -> str:
        """Return a digest of the file."""
        return digest_of_files([self._path])

    def stamp(self) -> Any:
        """Return the size, time and inode of the file."""
        return stamp_of_files([self._path])
