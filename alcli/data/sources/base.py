"""A source of embed: rows with an id, an input for the model, and columns that travel along, in fixed windows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from alcli.data.ids import id_type
from alcli.data.reading.parquet import plain
from alcli.data.reading.uuids import hex_text
from alcli.data.text.contents import HEAD_BYTES
from alcli.embedders._contract import Kind
from alcli.errors import DataError, InputError, printable

IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm"})
TEXT_SUFFIXES = frozenset({".txt", ".text", ".md"})
# A file of up to this many bytes is digested whole, a larger file by so many pieces of so many bytes.
_WHOLE_BYTES = 1 << 30
_PIECE_BYTES = 1 << 20
_PIECES = 64


@dataclass(frozen=True)
class Asked:
    """Columns that the user named; None where the source is to find the column itself.

    hive: `key=value` folders are columns. ids: a file of ids, as FILE or FILE:COLUMN, for a source that has none.
    features_cols: patterns of columns of numbers, which together are the input. vectors: the model takes vectors and
    nothing else.
    """

    input: str | None = None
    id: str | None = None
    label: str | None = None
    keep: tuple[str, ...] = ()
    hive: bool = False
    ids: str | None = None
    features_cols: tuple[str, ...] = ()
    vectors: bool = False


@dataclass(frozen=True)
class Window:
    """Rows `first` to `first + len(items)`.

    columns: `id` (int64 or string) and the columns that travel along, under the names of the pool. items: inputs as
    they are in the source: str, bytes or Path of an image, Path of a text file, array, or None where there is
    nothing.
    """

    first: int
    columns: pa.Table
    items: list[Any]


class InputSource(Protocol):
    """Rows to embed.

    Windows are multiples of `rows` from row 0, so they do not depend on the row where reading starts.
    """

    @property
    def name(self) -> str:
        """The last component of its path, for metadata."""

    @property
    def kind(self) -> Kind:
        """The kind of its inputs."""

    @property
    def n(self) -> int:
        """The number of rows."""

    @property
    def columns(self) -> pa.Schema:
        """The schema of `Window.columns`."""

    def ids(self) -> Iterator[pa.Array]:
        """Yield the ids in order, in pieces; nothing at all where ids cannot repeat."""

    def windows(self, rows: int, start: int = 0) -> Iterator[Window]:
        """Yield windows of `rows` rows, from window number `start` on."""

    def place(self, row: int) -> str:
        """Name the file and the row, for messages."""

    def about(self) -> dict[str, Any]:
        """Return what embed wrote about the inputs where they are the features of a pool; else an empty mapping."""

    def contents(self) -> str:
        """Return a digest of the inputs, equal for an unchanged source."""

    def stamp(self) -> Any:
        """Return sizes, times and inodes, which differ once the source is modified."""


def digest_of_files(files: list[Path]) -> str:
    """Return the SHA-256 over names, sizes and bytes of the files; beyond 1 GiB, over 64 spaced pieces of 1 MiB."""
    total = hashlib.sha256()
    for path in files:
        with opened(path) as file:
            size = path.stat().st_size
            total.update(f"{path.name}\0{size}\0".encode("utf-8", "surrogateescape"))
            if size <= _WHOLE_BYTES:
                while piece := file.read(_PIECE_BYTES):
                    total.update(piece)
            else:
                for i in range(_PIECES):
                    file.seek((size - _PIECE_BYTES) * i // (_PIECES - 1))
                    total.update(file.read(_PIECE_BYTES))
    return total.hexdigest()


def stamp_of_files(files: list[Path]) -> list[tuple[int, int, int]]:
    """Return (size, mtime in ns, inode) of each file; a missing file has zeros, and so counts as changed."""
    return [(s.st_size, s.st_mtime_ns, s.st_ino) if (s := _stat(f)) else (0, 0, 0) for f in files]


def _stat(path: Path) -> Any:
    try:
        return path.stat()
    except OSError:
        return None


def opened(path: Path) -> Any:
    """Open `path` for reading bytes. Raises InputError."""
    try:
        return open(path, "rb")
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be opened ({error.strerror})") from error


def head_of(path: Path) -> bytes:
    """Return the first bytes of a file, which tell its kind. Raises InputError."""
    with opened(path) as file:
        return bytes(file.read(HEAD_BYTES))


def as_ids(column: pa.Array, first: int, place: Any) -> pa.Array:
    """Return a column as ids: int64 or string. first: row number of its first value. place: names a row in a message.

    Raises DataError for a null, an empty text, and a type that is neither integer nor string.
    """
    column = plain(column)
    kind = id_type(column.type)
    if column.null_count:
        row = pc.index(column.is_null(), True).as_py()
        hint = "give every row an id, or leave --id-col out to use row numbers"
        raise DataError(f"{place(first + row)}: the id is null", hint=hint)
    if kind is None:
        hint = "choose another column by --id-col"
        raise DataError(f"{place(first)}: ids must be integers or strings, got {column.type}", hint=hint)
    try:
        column = hex_text(column) if pa.types.is_fixed_size_binary(column.type) else column
        column = column.cast(pa.int64() if kind == "integer" else pa.string())
    except pa.ArrowInvalid as error:
        fault = "is out of the range of int64" if kind == "integer" else "is not text in UTF-8"
        raise DataError(f"{place(first)}: an id {fault} ({error})") from error
    if kind == "integer":
        return column
    empty = pc.index(pc.equal(column, ""), True).as_py()
    if empty >= 0:
        raise DataError(f"{place(first + empty)}: the id is empty", hint="give every row an id")
    return column


def is_text(kind: pa.DataType) -> bool:
    """Return True for each of Arrow's types of strings."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))
