"""The roles of a table's columns: the input, guessed if obvious, ids, labels, and columns that travel along."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from alcli.data.reading.vectors import storage_type
from alcli.data.schema import FEATURE_NAMES
from alcli.data.sources.base import Asked, is_text
from alcli.embedders._vectors import SPARK
from alcli.errors import DataError, UsageError, printable, suggestion
from alcli.parsing import repeated

# Names, in lower case, that say what a column holds.
TEXT_NAMES = (
    "text",
    "sentence",
    "document",
    "content",
    "question",
    "query",
    "utterance",
    "review",
    "message",
    "body",
    "abstract",
)
IMAGE_NAMES = (
    "image",
    "img",
    "picture",
    "photo",
    "image_path",
    "img_path",
    "file_name",
    "filename",
    "file",
    "filepath",
    "file_path",
    "path",
)
# Columns that every pool has if the source has them.
TRAVELLERS = ("label", "split", "group")
_OWN = ("id", "features", *TRAVELLERS)
_TYPES = pa.types
_LISTS = (
    _TYPES.is_list,
    _TYPES.is_large_list,
    _TYPES.is_fixed_size_list,
    _TYPES.is_list_view,
    _TYPES.is_large_list_view,
)
_NUMBERS = (_TYPES.is_integer, _TYPES.is_floating, _TYPES.is_boolean, _TYPES.is_decimal)


@dataclass(frozen=True)
class Choice:
    """The role of each column that is read.

    input: the column of model inputs. id: the column of ids, None for row numbers. others: (column, name in the pool)
    of each column that travels along.
    """

    input: str
    id: str | None
    others: tuple[tuple[str, str], ...]

    @property
    def names(self) -> list[str]:
        """All columns to read, each once."""
        return list(dict.fromkeys([self.input, *([self.id] if self.id else []), *(n for n, _ in self.others)]))


def is_usual(name: str) -> bool:
    """Return True for a name that headers of tables have, in small or capital letters."""
    return name.strip().lower() in {*_OWN, *TEXT_NAMES, *IMAGE_NAMES}


def choose(schema: pa.Schema, asked: Asked, name: str) -> Choice:
    """Give each column of `schema` its role, as far as it was `asked` for. name: of the source, for messages.

    Raises DataError that lists the columns when one is missing or unclear, UsageError for a --keep that the pool
    cannot hold.
    """
    twice = sorted(repeated(schema.names))
    if twice:
        raise DataError(f"{name}: there are several columns named '{printable(twice[0])}'", hint="rename all but one")
    for wanted in (asked.input, asked.id, asked.label, *asked.keep):
        if wanted is not None and wanted not in schema.names:
            hint = suggestion(wanted, schema.names[:10])
            raise DataError(f"{name}: there is no column '{printable(wanted)}', there are {listing(schema)}", hint=hint)
    id_col = asked.id or ("id" if "id" in schema.names and asked.input != "id" else None)
    label = asked.label or ("label" if "label" in schema.names else None)
    others = [(label, "label")] if label else []
    others += [(n, n) for n in ("split", "group") if n in schema.names]
    for kept in dict.fromkeys(asked.keep):
        if kept in _OWN and (kept, kept) not in others:
            raise UsageError(
                f"--keep {kept}: the pool has a column '{kept}' of its own", hint="rename the column of the source"
            )
        others += [(kept, kept)] if (kept, kept) not in others else []
    taken = {id_col, *(n for n, _ in others if n not in asked.keep)}
    return Choice(asked.input or _obvious_input(schema, taken, name, asked.vectors), id_col, tuple(others))


def _obvious_input(schema: pa.Schema, taken: set[str | None], name: str, vectors: bool) -> str:
    """The one column whose name says that it is the input, or the one free column whose type could be an input.

    Where no column is free, a column of file names may be both ids and inputs. vectors: the model takes vectors alone,
    so a column of vectors counts before any other.
    """
    left = [f.name for f in schema if f.name not in taken]
    named: list[str] = [n for n in left if n.lower() in (*TEXT_NAMES, *IMAGE_NAMES)]
    if vectors:
        are = [n for n in left if is_vector(schema.field(n).type)]
        named = [n for n in left if n in FEATURE_NAMES][:1] or are or named
    fitting = [n for n in left if could_be_input(schema.field(n).type)]
    possible = named or fitting or [n for n in schema.names if n in taken and n in IMAGE_NAMES]
    if len(possible) == 1:
        return possible[0]
    what = "several columns could be the input" if possible else "no column looks like an input"
    raise DataError(f"{name}: {what} ({listing(schema)})", hint="name one by --input-col")


def could_be_input(kind: pa.DataType) -> bool:
    """Return True for text, bytes, a Hugging Face image, or a vector of numbers."""
    return is_text(kind) or is_bytes(kind) or is_image_struct(kind) or is_vector(kind)


def is_bytes(kind: pa.DataType) -> bool:
    """Return True for each of Arrow's types of bytes."""
    return bool(pa.types.is_binary(kind) or pa.types.is_large_binary(kind) or pa.types.is_binary_view(kind))


def is_image_struct(kind: pa.DataType) -> bool:
    """Return True for struct<bytes: binary, path: string>, the type in which Hugging Face datasets keep images."""
    return bool(pa.types.is_struct(kind) and {f.name for f in kind} == {"bytes", "path"})


def is_vector(kind: pa.DataType) -> bool:
    """Return True for numbers in lists, also in lists of lists, in a struct of one such list, and a vector of Spark."""
    kind = storage_type(kind)
    if pa.types.is_struct(kind):
        names = {f.name for f in kind}
        return names == SPARK or (len(names) == 1 and is_vector(kind.field(0).type))
    if not any(is_a(kind) for is_a in _LISTS):
        return False
    return any(is_a(kind.value_type) for is_a in _NUMBERS) or is_vector(kind.value_type)


def listing(schema: pa.Schema) -> str:
    """List up to 10 column names with their types, for messages."""
    shown = [f"'{printable(f.name)}' ({_brief(f.type)})" for f in list(schema)[:10]]
    more = len(schema) - len(shown)
    return ", ".join(shown) + (f" and {more} more" if more > 0 else "") if shown else "no columns"


def _brief(kind: pa.DataType) -> str:
    """The name of a type in at most 40 characters."""
    text = "mixed types" if pa.types.is_null(kind) else str(kind)
    return text if len(text) <= 40 else f"{text[:37]}..."
