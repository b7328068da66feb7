"""Datasets of an HDF5 file as arrays, by h5py."""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Array
from alcli.data.sources.arrays.columns import ArraysReader, reader_of
from alcli.data.sources.base import opened
from alcli.embedders._contract import require
from alcli.errors import DataError, UnavailableError, printable

# What h5py raises over a damaged file.
_FAULTS = (OSError, ValueError, RuntimeError, KeyError, TypeError, UnicodeDecodeError)
# How the first block of a file begins, and a collection of texts of different lengths: the latter with its version.
_SIGNATURE = b"\x89HDF\r\n\x1a\n"
_COLLECTION = b"GCOL\1\0\0\0"


class Hdf5Dataset:
    """One dataset. Text is of the type str, whatever its length. check: called before text is read."""

    def __init__(self, where: str, dataset: Any, is_text: bool, check: Callable[[], None]) -> None:
        self._where, self._dataset, self._check = where, dataset.asstr() if is_text else dataset, check
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype: np.dtype = np.dtype(str) if is_text else dataset.dtype

    def read(self, first: int, last: int) -> Array:
        """Return rows `first` to `last`. Raises DataError where the file is damaged, or text is not UTF-8."""
        try:
            self._check()
            return np.asarray(self._dataset[first:last])
        except _FAULTS as error:
            raise DataError(f"{self._where}: rows from {first} on cannot be read ({printable(error)})") from error


def open_hdf5(path: Path, wanted: str | None, others: Sequence[str], *, as_column: bool = False) -> ArraysReader:
    """Return a reader of the datasets in an HDF5 file, which are named by their path; `reader_of` says which.

    Links are not followed, and datasets whose values are in other files are left out. Raises InputError, DataError,
    and UnavailableError without h5py.
    """
    opened(path).close()
    try:
        h5py = require("h5py")
    except UnavailableError as error:
        what = f"{printable(path)}: reading HDF5 needs the extra hdf5, since {error.message}"
        raise UnavailableError(what, hint=error.hint) from error
    datasets: dict[str, Hdf5Dataset] = {}
    check = cache(lambda: _check_texts(path))

    def visit(name: str | bytes, found: Any) -> None:
        if isinstance(found, h5py.Dataset) and not found.is_virtual and not found.external and found.shape:
            text = h5py.check_string_dtype(found.dtype)
            if text is not None or found.dtype.kind in "fiub":
                varies = text is not None and text.length is None
                name = os.fsdecode(name)  # bytes where it is not UTF-8
                where = f"{printable(path)}: '{printable(name)}'"
                datasets[name] = Hdf5Dataset(where, found, text is not None, check if varies else lambda: None)

    try:
        h5py.File(path, "r").visititems(visit)
    except _FAULTS as error:
        raise DataError(f"{printable(path)}: cannot be read as HDF5 ({printable(error)})") from error
    return reader_of(path, datasets, wanted and wanted.strip("/"), [name.strip("/") for name in others], as_column)


def _check_texts(path: Path) -> None:
    """Raise ValueError for a damaged collection of texts, over which the HDF5 library would not end.

    A collection (a "global heap collection" of the HDF5 file format) is a row of texts, each after its length. The
    library goes from text to text, and stays for good where damage leaves a length of zero. Cost: one pass over the
    bytes of the file, and a step a text.
    """
    with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        # The first block may come after a block of the user's. The width of lengths depends on the block's version.
        first = max(data.find(_SIGNATURE), 0)
        width = data[first + 14] if data[first + 8] < 2 else data[first + 10]
        start = data.find(_COLLECTION)
        while start >= 0:
            _check_collection(data, start, width)
            start = data.find(_COLLECTION, start + 1)


def _check_collection(data: mmap.mmap, start: int, width: int) -> None:
    """Raise ValueError for a collection at `start` whose texts do not fill it. width: of its lengths, in bytes."""
    header = 8 + width + -width % 8
    end = start + int.from_bytes(data[start + 8 : start + 8 + width], "little")
    at = start + header
    while at + header <= min(end, len(data)):
        number, length = data[at : at + 2], int.from_bytes(data[at + 8 : at + 8 + width], "little")
        # Number 0 is the room that is left, whose length counts its header.
        step = length if number == b"\0\0" else header + length + -length % 8
        if step == 0 or at + step > end:
            raise ValueError(f"a text at byte {at} has the length {length}, which cannot be")
        at += step
