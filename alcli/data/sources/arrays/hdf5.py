"""Datasets of an HDF5 file as arrays, by h5py."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Array
from alcli.data.sources.arrays.columns import ArraysReader, reader_of
from alcli.data.sources.base import opened
from alcli.embedders._contract import require
from alcli.errors import DataError, UnavailableError, printable


class Hdf5Dataset:
    """One dataset. Text is of the type str, whatever its length."""

    def __init__(self, where: str, dataset: Any, is_text: bool) -> None:
        self._where, self._dataset = where, dataset.asstr() if is_text else dataset
        self.shape: tuple[int, ...] = dataset.shape
        self.dtype: np.dtype = np.dtype(str) if is_text else dataset.dtype

    def read(self, first: int, last: int) -> Array:
        """Return rows `first` to `last`. Raises DataError where the file is damaged, or text is not UTF-8."""
        try:
            return np.asarray(self._dataset[first:last])
        except (OSError, ValueError, RuntimeError) as error:
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

    def visit(name: str, found: Any) -> None:
        if isinstance(found, h5py.Dataset) and not found.is_virtual and not found.external and found.shape:
            is_text = h5py.check_string_dtype(found.dtype) is not None
            if is_text or found.dtype.kind in "fiub":
                datasets[name] = Hdf5Dataset(f"{printable(path)}: '{printable(name)}'", found, is_text)

    try:
        h5py.File(path, "r").visititems(visit)
    except (OSError, ValueError, RuntimeError, KeyError, UnicodeDecodeError) as error:
        raise DataError(f"{printable(path)}: cannot be read as HDF5 ({printable(error)})") from error
    return reader_of(path, datasets, wanted and wanted.strip("/"), [name.strip("/") for name in others], as_column)
