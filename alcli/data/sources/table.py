"""A table as a source: CSV, JSON Lines and Parquet behind one protocol, with ids checked and labels cleaned."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from alcli.data.reading.parquet import plain
from alcli.data.schema import near_columns, pool_metadata, remark_on_near_columns
from alcli.data.sources.base import Asked, Window, as_ids, digest_of_files, is_text, stamp_of_files
from alcli.data.sources.columns import choose, could_be_input
from alcli.data.sources.hugging_face import class_names, named
from alcli.data.sources.inputs import items_of, kind_of
from alcli.data.sources.windows import Reader
from alcli.embedders._contract import Kind
from alcli.errors import DataError, printable
from alcli.remarks import Note, silence

# Rows of ids that are read at once.
_ROWS_OF_IDS = 65536


class TableSource:
    """Rows of a table with one input column. Raises DataError and UsageError when it is made."""

    def __init__(self, reader: Reader, path: Path, asked: Asked, note: Note = silence) -> None:
        self._reader, self._path = reader, path
        # Paths of images are relative to the folder of the table.
        self._base = path if path.is_dir() else path.parent
        self.name, self.n, self.place = path.name, reader.n, reader.place
        self._choice = choose(reader.schema, asked, printable(path))
        remark_on_near_columns(printable(path), self._near(asked), note)
        kind = reader.schema.field(self._choice.input).type
        bytes_too = asked.vectors and pa.types.is_fixed_size_binary(kind)
        if not could_be_input(kind) and not bytes_too:
            what = "mixes kinds of values or is empty" if pa.types.is_null(kind) else f"holds {kind}"
            hint = "the input must be text, image paths or bytes, or a list of numbers; choose another by --input-col"
            raise DataError(f"{printable(path)}: column '{printable(self._choice.input)}' {what}", hint=hint)
        self.kind: Kind = self._kind(kind, asked.vectors)
        self.columns = self._schema()
        if not self._choice.id:
            note("there is no id column, so ids are row numbers; --id-col or --ids names them")

    def ids(self) -> Iterator[pa.Array]:
        """Yield the ids in order, in pieces; nothing where ids are row numbers. Raises DataError."""
        first = 0
        for table in self._reader.windows([self._choice.id], _ROWS_OF_IDS, 0) if self._choice.id else ():
            yield as_ids(table[0].combine_chunks(), first, self.place)
            first += len(table)

    def windows(self, rows: int, start: int = 0) -> Iterator[Window]:
        """Yield windows of `rows` rows, from window number `start` on."""
        first = rows * start
        for table in self._reader.windows(self._choice.names, rows, start):
            items = items_of(table[self._choice.input].combine_chunks(), self.kind, self._base)
            yield Window(first, self._columns(table, first), items)
            first += len(table)

    def about(self) -> dict[str, Any]:
        """Return what embed wrote about the inputs where they are the features of a pool. Raises DataError."""
        return pool_metadata(self._reader.schema, self.name) if self._choice.input == "features" else {}

    def contents(self) -> str:
        """Return a digest of the files of the table."""
        return digest_of_files(self._reader.files)

    def stamp(self) -> Any:
        """Return the sizes, times and inodes of the files of the table."""
        return stamp_of_files(self._reader.files)

    def _near(self, asked: Asked) -> dict[str, str]:
        """The columns that are called nearly as one that the pool has, and have no role."""
        usual = {"id": asked.id, "label": asked.label, "split": None, "group": None}
        found = near_columns([name for name, named in usual.items() if named is None], self._reader.schema.names)
        return {name: near for name, near in found.items() if near not in self._choice.names}

    def _schema(self) -> pa.Schema:
        """The schema of the columns of a window. Raises DataError for labels that are no labels."""
        id_type = self._reader.schema.field(self._choice.id).type if self._choice.id else pa.int64()
        empty = pa.schema([("id", as_ids(pa.array([], id_type), 0, self.place).type)])
        for column, name in self._choice.others:
            empty = empty.append(pa.field(name, _plain(self._reader.schema.field(column).type)))
            if name == "label" and class_names(self._reader.schema, column) is not None:
                empty = empty.set(len(empty) - 1, pa.field(name, pa.string()))
            if name == "label":
                self._check_label(empty.field(name).type, column)
        return empty

    def _check_label(self, kind: pa.DataType, column: str) -> None:
        """Raise DataError unless labels can be of this type."""
        fits = is_text(kind) or pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind)
        if not fits:
            found = "mixed kinds of values or nothing" if pa.types.is_null(kind) else kind
            where = f"{printable(self._path)}: column '{printable(column)}'"
            what = f"labels must be strings, integers, booleans or numbers, got {found}"
            raise DataError(f"{where}: {what}", hint="choose another by --label-col")

    def _columns(self, table: pa.Table, first: int) -> pa.Table:
        """The columns of a window under the names of the pool.

        first: the number of its first row, which may be its id.
        """
        ids = pa.array(range(first, first + len(table)), pa.int64())
        if self._choice.id:
            ids = as_ids(table[self._choice.id].combine_chunks(), first, self.place)
        columns = [ids]
        for column, name in self._choice.others:
            names = class_names(self._reader.schema, column) if name == "label" else None
            values = plain(table[column].combine_chunks())
            if names is not None:
                values = named(values, names, f"{self.place(first)} and after, column '{printable(column)}'")
            values = values.cast(self.columns.field(name).type)
            columns.append(_blank_is_null(values) if name in ("label", "split", "group") else values)
        return pa.Table.from_arrays(columns, schema=self.columns)

    def _kind(self, kind: pa.DataType, vectors: bool) -> Kind:
        """The kind of the inputs, see `kind_of`."""
        tables = self._reader.windows([self._choice.input], 1024, 0) if is_text(kind) else iter(())
        texts = (text for table in tables for text in table[0].to_pylist())
        return kind_of(kind, self._choice.input, texts, vectors)


def _plain(kind: pa.DataType) -> pa.DataType:
    """The type that a column has in the pool: dictionaries decoded, one kind of string, decimals of integers int64."""
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    if pa.types.is_decimal(kind) and kind.scale <= 0:
        return pa.int64()
    return pa.string() if is_text(kind) else kind


def _blank_is_null(values: pa.Array) -> pa.Array:
    """Replace empty texts and NaN by null: in label, split and group they mean that there is no value."""
    if is_text(values.type):
        return pc.if_else(pc.equal(values, ""), pa.scalar(None, values.type), values)
    if pa.types.is_floating(values.type):
        return pc.if_else(pc.is_nan(values), pa.scalar(None, values.type), values)
    return values
