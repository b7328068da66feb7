"""Arrays of NumPy: a .npy file, several of them one after another, or the members of a .npz archive."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from tokenize import TokenError
from typing import IO, Any

import numpy as np

from alcli.arrays import Array
from alcli.data.sources.arrays.columns import ArraysReader, check_input, reader_of
from alcli.data.sources.base import opened
from alcli.errors import DataError, printable

_PASSED = 1 << 20
# What NumPy and zipfile raise over a file that is not of their kind, or damaged.
_FAULTS = (ValueError, OSError, EOFError, SyntaxError, OverflowError, TokenError, zipfile.BadZipFile, zlib.error)
_FAULTS_OF_ZIP = (*_FAULTS, RuntimeError, NotImplementedError, KeyError)


class NpyFiles:
    """The arrays of .npy files, one after another, memory-mapped.

    Raises InputError and DataError, also where the arrays of two files do not fit together.
    """

    def __init__(self, files: Sequence[Path]) -> None:
        self._arrays = [_mapped(path) for path in files]
        first = self._arrays[0]
        for path, array in zip(files, self._arrays):
            if array.shape[1:] != first.shape[1:] or array.dtype != first.dtype or not array.shape:
                a, b = (f"{x.dtype} of shape {x.shape}" for x in (array, first))
                raise DataError(f"{printable(path)}: holds {a}, {printable(files[0])} {b}")
        self.rows = [len(array) for array in self._arrays]
        self.shape = (sum(self.rows), *first.shape[1:])
        self.dtype = first.dtype

    def read(self, first: int, last: int) -> Array:
        """Return rows `first` to `last`."""
        pieces = []
        for array in self._arrays:
            if first < len(array) and last > 0:
                pieces.append(np.array(array[max(first, 0) : last]))
            first, last = first - len(array), last - len(array)
        return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


def open_npy(files: Sequence[Path], name: str = "array", *, as_column: bool = False) -> ArraysReader:
    """Return a reader of one array in .npy files. as_column: a column such as ids is wanted, not inputs.

    Raises InputError and DataError.
    """
    array = NpyFiles(files)
    where = printable(files[0])
    if not as_column:
        check_input(where, array)
    elif len(array.shape) != 1 or array.dtype.kind not in "iuSU":
        found = f"{array.dtype} of shape {array.shape}"
        raise DataError(f"{where}: expected ids, which are integers or text of shape [N], got {found}")
    return ArraysReader(list(zip(files, array.rows)), {name: array}, name)


class NpzMember:
    """One array of a .npz archive, read in order without unpacking it; where it is stored by columns, read whole.

    Cost: a step back reads the array from its beginning.
    """

    def __init__(self, path: Path, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
        self._shown, self._archive, self._entry = printable(path), archive, entry
        self._stream: IO[bytes] | None = None
        self._next = 0
        self._whole: Array | None = None
        with archive.open(entry) as file:
            version = np.lib.format.read_magic(file)
            if version not in ((1, 0), (2, 0)):
                raise ValueError(f"its version {version} is not known")
            header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
            self.shape, self._by_columns, self.dtype = header(file)
            self._start = file.tell()
        self._row_bytes = self.dtype.itemsize * int(np.prod(self.shape[1:], dtype=np.int64))
        needed = self._start + (self._row_bytes * self.shape[0] if self.shape else self.dtype.itemsize)
        if entry.file_size < needed and not self.dtype.hasobject:
            raise ValueError(f"it has {entry.file_size} bytes, its header asks for {needed}")

    def read(self, first: int, last: int) -> Array:
        """Return rows `first` to `last`. Raises DataError where the archive is damaged."""
        try:
            if self._by_columns and len(self.shape) > 1:
                return self._read_whole()[first:last]
            if self._stream is None or first != self._next:
                self._stream = self._archive.open(self._entry)
                _pass_over(self._stream, self._start + first * self._row_bytes)
            size = (last - first) * self._row_bytes
            data = self._stream.read(size)
            if len(data) < size:
                raise EOFError("it ends too early")
        except _FAULTS_OF_ZIP as error:
            what = f"the array '{printable(_name(self._entry))}' cannot be read ({printable(error)})"
            raise DataError(f"{self._shown}: {what}", hint="copy the file again") from error
        self._next = last
        return np.frombuffer(data, self.dtype).reshape(last - first, *self.shape[1:])

    def _read_whole(self) -> Array:
        if self._whole is None:
            with self._archive.open(self._entry) as file:
                self._whole = np.lib.format.read_array(file, allow_pickle=False)
        return self._whole


def _pass_over(stream: IO[bytes], size: int) -> None:
    """Read bytes that nobody wants. After a seek, newer versions of zipfile compare no checksum."""
    while size and (passed := len(stream.read(min(size, _PASSED)))):
        size -= passed


def open_npz(path: Path, wanted: str | None, others: Sequence[str], *, as_column: bool = False) -> ArraysReader:
    """Return a reader of the arrays in a .npz archive; `reader_of` says which. Raises InputError and DataError."""
    opened(path).close()
    try:
        archive = zipfile.ZipFile(path)
        entries = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
        members = {_name(entry): NpzMember(path, archive, entry) for entry in entries}
    except _FAULTS_OF_ZIP as error:
        raise DataError(f"{printable(path)}: cannot be read as .npz ({printable(error)})") from error
    return reader_of(path, members, wanted, others, as_column)


def _name(entry: zipfile.ZipInfo) -> str:
    return entry.filename.removesuffix(".npy")


def _mapped(path: Path) -> Any:
    """The memory-mapped array of a .npy file. Raises InputError, DataError."""
    opened(path).close()
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except _FAULTS as error:
        hint = "NumPy saved Python objects, which are never read; save text as text: np.save(FILE, ids.astype(str))"
        hint = hint if "Python objects" in str(error) else ""
        raise DataError(f"{printable(path)}: cannot be read as .npy ({printable(error)})", hint=hint) from error
