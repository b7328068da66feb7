"""A Lance dataset as a table of embed, by the library lance (the package pylance)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from alcli.data.sources.folder import files_in
from alcli.data.sources.windows import in_windows
from alcli.embedders._contract import require
from alcli.errors import AlcliError, DataError, UnavailableError, printable

_SUFFIX = frozenset({".lance"})


def is_lance(folder: Path) -> bool:
    """True for the folder of a Lance dataset."""
    return (folder / "_versions").is_dir() and bool(files_in(folder, _SUFFIX))


class LanceReader:
    """The latest version of a dataset, without rows that it has deleted. Memory: one batch and one window.

    Raises DataError for a damaged dataset, UnavailableError without the library.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.files = [folder / name for name in files_in(folder, _SUFFIX)]
        try:
            lance = require("lance")
        except UnavailableError as error:
            what = f"{printable(folder)}: reading Lance needs the extra lance, since {error.message}"
            hint = f"{error.hint}; or write it as Parquet where the library is"
            raise UnavailableError(what, hint=hint) from error
        with self._reading():
            self._dataset: Any = lance.dataset(str(folder))
            self.schema: pa.Schema = self._dataset.schema
            self.n: int = self._dataset.count_rows()

    def windows(self, names: list[str], rows: int, start: int) -> Iterator[pa.Table]:
        """Yield tables of `rows` rows with the columns `names`, from window number `start` on, in the stored order."""
        return in_windows(self._tables(names, rows, rows * start), rows)

    def place(self, row: int) -> str:
        """Name the dataset and the row in it, for messages."""
        return f"{printable(self._folder)}: row {row}"

    def _tables(self, names: list[str], rows: int, skip: int) -> Iterator[pa.Table]:
        with self._reading():
            scanner = self._dataset.scanner(columns=names, batch_size=rows, offset=skip, scan_in_order=True)
            for batch in scanner.to_batches():
                yield pa.Table.from_batches([batch]).select(names)

    @contextmanager
    def _reading(self) -> Iterator[None]:
        """Turn whatever the library raises into a sentence."""
        try:
            yield
        except (AlcliError, MemoryError, GeneratorExit):
            raise
        except BaseException as error:
            # The library turns a panic of its Rust code into an exception that is no `Exception`.
            if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
                raise
            text = printable(next(iter(str(error).strip().splitlines()), type(error).__name__)).rstrip(". ")
            raise DataError(f"{printable(self._folder)}: not readable as Lance: {text}") from error
