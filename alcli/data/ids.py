"""The ids of a pool: one int64 or string per row, unique; their order, their hashes, and the look-up of a row."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from alcli.arrays import Array, Int64, Keys
from alcli.data.fingerprint import id_keys
from alcli.data.reading.uuids import hex_text
from alcli.data.spellings.numbers import whole
from alcli.errors import DataError, printable

Id = int | str
_INT64 = (-(2**63), 2**63 - 1)
_INTEGER = re.compile(r"\s*[+-]?[0-9]+\s*")
# Hashes that are compared at a time.
_AT_ONCE = 1 << 16
# Longer texts are not turned into an integer, and not shown whole in a message.
_DIGITS = 60


class Ids:
    """The id column of a pool, held in Arrow memory (int64, or large_string)."""

    def __init__(self, column: pa.Array) -> None:
        self._column = column
        self._hashes: Keys | None = None
        self.is_text = pt.is_large_string(column.type)

    @property
    def kind(self) -> str:
        """The type of the ids in words, "string" or "integer"."""
        return "string" if self.is_text else "integer"

    def __len__(self) -> int:
        return len(self._column)

    def __getitem__(self, row: int) -> Id:
        return self._column[int(row)].as_py()

    def arrow(self, rows: Int64) -> pa.Array:
        """Return the ids of `rows` as an Arrow array."""
        return self._column.take(pa.array(rows, pa.int64()))

    def keys(self, rows: Int64) -> Array:
        """Return the ids of `rows` as int64 or as an object array of str: both sort as the ids do."""
        taken = self.arrow(rows)
        return np.array(taken.to_pylist(), object) if self.is_text else np.asarray(taken)

    def ranks(self, rows: Int64) -> Int64:
        """Return numbers of `rows` that sort as their ids do, int64: the ids themselves or their ranks among `rows`."""
        taken = self.arrow(rows)
        if not self.is_text:
            return np.asarray(taken)
        ranks = np.empty(len(rows), np.int64)
        ranks[pc.sort_indices(taken).to_numpy()] = np.arange(len(rows))
        return ranks

    def order(self, rows: Int64) -> Int64:
        """Return `rows` in ascending order of their ids: integers by value, strings by their bytes."""
        return np.asarray(rows)[pc.sort_indices(self.arrow(rows)).to_numpy()]

    def hashes(self, rows: Int64 | None = None) -> Keys:
        """Return a 64-bit hash of the id of each of `rows` (None: of all). The hashes of the whole column are kept."""
        if self._hashes is None:
            self._hashes = id_keys(self._column)
        return self._hashes if rows is None else self._hashes[rows]

    def keep(self) -> None:
        """Keep all ids in memory, for a command that asks for ids as long as it runs. Cost: a read of the column."""

    def rows_of(self, wanted: Sequence[Id] | pa.ChunkedArray) -> Int64:
        """Return the row numbers of the ids in `wanted`, -1 for an id that the pool does not have.

        wanted: ids as `parse` gives them, or a column of them as `parsed` gives it.

        Cost: O(N log n) for n ids. Memory: O(n).
        """
        if not len(wanted):
            return np.empty(0, np.int64)
        column = wanted if isinstance(wanted, pa.ChunkedArray) else pa.chunked_array([pa.array(wanted, self._type)])
        ids = column.combine_chunks().cast(self._type)
        rows = self._with_hashes(np.sort(id_keys(ids)))
        places = pc.index_in(ids, value_set=self.arrow(rows)).fill_null(-1).to_numpy()
        return np.append(rows, -1)[places]

    def _with_hashes(self, wanted: Keys) -> Int64:
        """The rows whose hash is among `wanted`, which ascend."""
        hashes, found = self.hashes(), []
        for a in range(0, len(hashes), _AT_ONCE):
            block = hashes[a : a + _AT_ONCE]
            places = np.minimum(np.searchsorted(wanted, block), len(wanted) - 1)
            found.append(np.flatnonzero(wanted[places] == block) + a)
        return np.concatenate(found) if found else np.empty(0, np.int64)

    @property
    def _type(self) -> pa.DataType:
        return pa.large_string() if self.is_text else pa.int64()

    def parsed(self, column: pa.ChunkedArray, where: Callable[[int], str]) -> pa.ChunkedArray:
        """Return a column of ids that are not text of a file in this pool's type: `parse` for all of them at once.

        where: describes the place of a value, for messages. Raises DataError for ids of another type.
        """
        is_text = pt.is_large_string(column.type) or pt.is_string(column.type)
        if is_text != self.is_text:
            for number, value in enumerate(column):
                self.parse(value.as_py(), where(number), from_text=False)
        return column

    def parse(self, value: object, where: str, *, from_text: bool) -> Id:
        """Turn an id from a file of labels or ids into this pool's type. where: its place, for messages.

        from_text: the file is text, so digits may mean an integer. Raises DataError for an id of another type, or too
        large.
        """
        given = value = _plain_value(value)
        if isinstance(value, bool) or not isinstance(value, (int, str)):
            what = f"the id {printable(repr(value))} is {_type_name(value)}"
            raise DataError(f"{where}: {what}, expected {self.kind} as in the pool")
        if self.is_text:
            if isinstance(value, int):
                what = f"the id {value} is an integer, the pool's ids are strings"
                raise DataError(f"{where}: {what}", hint='write it in quotes: "…"')
            return value
        if isinstance(value, str):
            if not from_text or not _INTEGER.fullmatch(value):
                what = f"the id '{printable(value)}' is a string, the pool's ids are integers"
                raise DataError(f"{where}: {what}")
            value = int(value) if len(value) <= _DIGITS else _INT64[1] + 1
        if not _INT64[0] <= value <= _INT64[1]:
            raise DataError(f"{where}: the id {printable(given)[:_DIGITS]} does not fit into 64 bits")
        return value

    def check_unique(self, describe: Callable[[int], str]) -> None:
        """Raise DataError that names both places of an id that occurs twice. describe: names a row for messages.

        Cost: time O(N log N) on the 64-bit hashes. Memory: 8 bytes a row.
        """
        ascending = np.sort(self.hashes())
        twice = np.unique(ascending[1:][ascending[1:] == ascending[:-1]])
        if not len(twice):
            return
        rows = self._with_hashes(twice)
        order = np.argsort(self.hashes(rows), kind="stable")
        same = np.flatnonzero(np.diff(self.hashes(rows)[order]) == 0)
        for i in same:
            a, b = int(rows[order[i]]), int(rows[order[i + 1]])
            if self[a] == self[b]:
                raise DataError(
                    f"{describe(a)} and {describe(b)}: the same id twice", hint="ids must be unique in a pool"
                )


def _plain_value(value: object) -> object:
    """Return bytes that are text as text, and a decimal without a fraction as an integer."""
    if isinstance(value, bytes):
        with suppress(UnicodeDecodeError):
            return value.decode()
    return whole(value) if isinstance(value, Decimal) and whole(value) is not None else value


def _type_name(value: object) -> str:
    """The type of a value that is no id, in words."""
    names = {bool: "a boolean", float: "a number with a fraction", type(None): "missing"}
    return names.get(type(value), f"of type {type(value).__name__}")


def id_type(kind: pa.DataType) -> str | None:
    """The type of ids in words, "string" or "integer", for a column of a plain type; None where it holds no ids.

    Bytes are read as text in UTF-8, and decimals without places as integers: some writers make no others. Bytes of a
    fixed size, such as digests, are read as their hexadecimal digits.
    """
    texts = (pt.is_string, pt.is_large_string, pt.is_binary, pt.is_large_binary, pt.is_fixed_size_binary)
    if any(is_a(kind) for is_a in texts):
        return "string"
    return "integer" if pt.is_integer(kind) or (pt.is_decimal(kind) and kind.scale <= 0) else None


def to_ids(column: pa.Array, where: Callable[[int], str], what: str = "id") -> pa.Array:
    """Return one block of a column of ids, of plain type, as int64 or large_string.

    what: the ids in words, for messages. Raises DataError that names the row of a null or an empty string, and for
    any other type.
    """
    kind = id_type(column.type)
    if kind is None:
        what = f"{where(0)}: {what}s of type {column.type}, expected strings or integers"
        raise DataError(what, hint="cast the column to one of these")
    text = kind == "string"
    if column.null_count:
        row = int(np.flatnonzero(column.is_null().to_numpy(zero_copy_only=False))[0])
        raise DataError(f"{where(row)}: the {what} is null")
    try:
        column = hex_text(column) if pt.is_fixed_size_binary(column.type) else column
        column = column.cast(pa.large_string() if text else pa.int64())
    except pa.ArrowInvalid as error:
        hint = "bytes that are no text in UTF-8 need a cast to text, such as hexadecimal" if text else ""
        raise DataError(f"{where(0)}: the {what} column cannot be read: {printable(error)}", hint=hint) from error
    if text:
        empty = pc.index(pc.binary_length(column), 0).as_py()
        if empty >= 0:
            raise DataError(f"{where(empty)}: the {what} is an empty string")
    return column
