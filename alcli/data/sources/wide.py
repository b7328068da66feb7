"""Many columns of numbers, such as emb_0 to emb_767, as one column of vectors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from itertools import pairwise

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from alcli.data.sources.arrays.folders import numbered
from alcli.data.sources.base import is_text
from alcli.data.sources.columns import listing
from alcli.data.sources.windows import Reader
from alcli.errors import DataError, counted, printable
from alcli.remarks import Note


class WideReader:
    """A table whose columns of numbers that match `patterns` are one column, whose name is that of the patterns.

    Columns stand in the order of the patterns, and within a pattern in the order of the numbers in their names. where:
    the table, for messages. note: told which columns there are. Raises DataError.
    """

    def __init__(self, reader: Reader, patterns: Sequence[str], where: str, note: Note) -> None:
        self._reader, self._where = reader, where
        self.files, self.n, self.place = reader.files, reader.n, reader.place
        self.name = ", ".join(patterns)
        self._columns = [name for pattern in patterns for name in _matching(pattern, reader.schema, where)]
        self._columns = list(dict.fromkeys(self._columns))
        for name in self._columns:
            kind = reader.schema.field(name).type
            if not (is_text(kind) or _is_number(kind)):
                what = f"column '{printable(name)}' holds {kind}, expected numbers"
                raise DataError(f"{where}: {what}", hint="narrow --features-cols")
        first, last = printable(self._columns[0]), printable(self._columns[-1])
        note(f"{where}: the features are {counted(len(self._columns), 'column')}, from '{first}' to '{last}'")
        if missing := _missing(self._columns):
            note(f"{where}: of the numbers in the names of these columns, some are missing, such as {missing}")
        taken = set(self._columns)
        vector = pa.field(self.name, pa.list_(pa.float64(), len(self._columns)))
        self.schema = pa.schema([*(f for f in reader.schema if f.name not in taken), vector], reader.schema.metadata)

    def windows(self, names: list[str], rows: int, start: int) -> Iterator[pa.Table]:
        """Yield tables of `rows` rows with the columns `names`, from window number `start` on."""
        others = [name for name in names if name != self.name]
        if len(others) == len(names):
            yield from self._reader.windows(names, rows, start)
            return
        first = rows * start
        for table in self._reader.windows([*others, *self._columns], rows, start):
            vectors = self._vectors(table, first)
            yield table.select(others).append_column(self.schema.field(self.name), vectors).select(names)
            first += len(table)

    def _vectors(self, table: pa.Table, first: int) -> pa.Array:
        """The columns as vectors; what is missing is null. first: the number of the first row."""
        columns = [self._numbers(table[name].combine_chunks(), name, first) for name in self._columns]
        missing_BD = np.column_stack([column.is_null().to_numpy(zero_copy_only=False) for column in columns])
        X_BD = np.column_stack([column.fill_null(0.0).to_numpy() for column in columns])
        values = pa.array(X_BD.reshape(-1), mask=missing_BD.reshape(-1) if missing_BD.any() else None)
        return pa.FixedSizeListArray.from_arrays(values, len(columns))

    def _numbers(self, column: pa.Array, name: str, first: int) -> pa.Array:
        """One column as float64; an empty text is null. Raises DataError for text that is no number."""
        if is_text(column.type):
            column = pc.utf8_trim_whitespace(column)
            column = pc.if_else(pc.equal(column, ""), pa.scalar(None, column.type), column)
        try:
            return column.cast(pa.float64(), safe=False)
        except pa.ArrowInvalid:
            row, text = next((i, t) for i, t in enumerate(column.to_pylist()) if not _is_float(t))
            what = f"'{printable(text)[:40]}' in column '{printable(name)}' is no number"
            raise DataError(f"{self.place(first + row)}: {what}", hint="narrow --features-cols") from None


def _matching(pattern: str, schema: pa.Schema, where: str) -> list[str]:
    """The columns that a pattern names. Raises DataError where there are none."""
    if pattern in schema.names:
        return [pattern]
    found = sorted((name for name in schema.names if fnmatchcase(name, pattern)), key=numbered)
    if not found:
        what = f"no column matches --features-cols {printable(pattern)}, there are {listing(schema)}"
        raise DataError(f"{where}: {what}", hint="* stands for any characters, as in 'emb_*'")
    return found


def _missing(names: Sequence[str]) -> int | None:
    """The first number that is missing between those at the end of the names; None where there is none.

    Of names with something else at their end, nothing is missing.
    """
    ends = [re.search(r"[0-9]{1,9}$", name) for name in names]
    numbers = sorted({int(end[0]) for end in ends if end})
    if len(numbers) < len(names):
        return None
    return next((a + 1 for a, b in pairwise(numbers) if b > a + 1), None)


def _is_number(kind: pa.DataType) -> bool:
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal)
    return any(test(kind) for test in tests)


def _is_float(text: str | None) -> bool:
    """True for text that Arrow reads as a number, and for null."""
    try:
        pa.scalar(text).cast(pa.float64())
    except pa.ArrowInvalid:
        return False
    return True
