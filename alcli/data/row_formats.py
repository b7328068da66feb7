"""Formats of a long table: its rows are turned into bytes a batch at a time, so that a table need not fit into memory.

A format is a function `(schema, batches, about)` that yields the bytes of a file. The same rows give the same bytes,
however they are divided into batches. A column of structs is an object in JSON Lines, and one column for each field in
CSV and Parquet: the field `cat` of the column `probs` is the column `p:cat`. No other column of alcli's begins with
`p:`, so a field may have any name.

Text is made by Arrow for whole columns, and by Python for the few strings alone that need quotes or escapes.
Memory: a batch and its text; for Parquet a row group of about 16 MiB.
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from alcli.data.formats import FORMATS, own_format
from alcli.errors import UsageError, printable

# Help and completion read the table of formats, so the functions import Arrow themselves.
if TYPE_CHECKING:
    import pyarrow as pa

    RowWriter: TypeAlias = Callable[[pa.Schema, Iterable[pa.RecordBatch], Mapping[str, Any]], Iterator[bytes]]

PREFIX = "p:"
_CSV_SPECIAL, _JSON_SPECIAL = '[",\r\n]', r'["\\\x00-\x1f]'
_GROUP_BYTES = 16 << 20


def row_format_of(path: Path | None, wanted: str | None) -> str:
    """Return the name of the format for an output: the `wanted` one, else the one of its extension, else `csv`.

    Raises UsageError for an extension that no format has.
    """
    extension = "" if path is None else path.suffix
    found = wanted or own_format(extension) or ("csv" if not extension else "")
    if wanted is None and found not in ROW_FORMATS:
        known = ", ".join(e for name in ROW_FORMATS for e in FORMATS[name].extensions)
        what = f"{printable(path)}: no format of a table has the extension '{printable(extension)}'"
        raise UsageError(what, hint=f"known: {known}; --format {'|'.join(ROW_FORMATS)} names one")
    return found


def flat(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return the batch with one column for each field of a column of structs."""
    import pyarrow as pa

    columns = [
        (name, column)
        for field, column in zip(batch.schema, batch.columns)
        for name, column in zip(_flat_names(field), column.flatten() if _is_struct(field) else [column])
    ]
    return pa.RecordBatch.from_arrays([column for _, column in columns], schema=flat_schema(batch.schema))


def flat_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of `flat` batches."""
    import pyarrow as pa

    parts = [(field, field.type if _is_struct(field) else [field]) for field in schema]
    return pa.schema([(name, part.type) for field, of in parts for name, part in zip(_flat_names(field), of)])


def _flat_names(field: pa.Field) -> list[str]:
    return [f"{PREFIX}{part.name}" for part in field.type] if _is_struct(field) else [field.name]


def _is_struct(field: pa.Field) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_struct(field.type))


# -- text -------------------------------------------------------------------------------------------------------------


def _csv(schema: pa.Schema, batches: Iterable[pa.RecordBatch], about: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield CSV with a header line and "\\n" at line ends. Fields are quoted where they must be."""
    import pyarrow as pa

    names = pa.array(flat_schema(schema).names, pa.large_string())
    yield (",".join(_escaped(names, _CSV_SPECIAL, _quoted).to_pylist()) + "\n").encode()
    for batch in batches:
        columns = [_escaped(_text(column), _CSV_SPECIAL, _quoted) for column in flat(batch).columns]
        yield _lines(piece for i, column in enumerate(columns) for piece in (*"," * bool(i), column))


def _jsonl(schema: pa.Schema, batches: Iterable[pa.RecordBatch], about: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield one JSON object a line."""
    for batch in batches:
        yield _lines(_object(schema, batch.columns))


def _object(fields: Iterable[pa.Field], columns: Iterable[pa.Array]) -> Iterator[Any]:
    """Yield the pieces that make the JSON object of each row: texts that all rows share, and columns of text."""
    for i, (field, column) in enumerate(zip(fields, columns)):
        yield f"{', ' if i else '{'}{json.dumps(field.name, ensure_ascii=False)}: "
        yield from _value(field, column)
    yield "}"


def _value(field: pa.Field, column: pa.Array) -> Iterator[Any]:
    import pyarrow as pa

    if _is_struct(field):
        yield from _object(field.type, column.flatten())
    elif pa.types.is_string(field.type):
        yield from ('"', _escaped(_text(column), _JSON_SPECIAL, _json_escaped), '"')
    else:
        yield _text(column)


def _text(column: pa.Array) -> pa.Array:
    """The values as text: floats with the digits that tell them from other floats of their width, and with a point."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text = column.cast(pa.large_string())
    if pa.types.is_floating(column.type) and pc.any(pc.equal(pc.trunc(column), column)).as_py():
        return pc.replace_substring_regex(text, "^(-?[0-9]+)$", r"\1.0")
    return text


def _escaped(text: pa.Array, special: str, escape: Callable[[str], str]) -> pa.Array:
    """The texts, after `escape` where they match `special`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    found = pc.match_substring_regex(text, special)
    if not found.true_count:
        return text
    escaped = [escape(value) for value in text.filter(found).to_pylist()]
    return pc.replace_with_mask(text, found, pa.array(escaped, text.type))


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _json_escaped(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _lines(pieces: Iterable[Any]) -> bytes:
    """Join the pieces of every row to a line. pieces: columns of text, and texts that all rows share."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = pa.large_string()
    parts = [pa.scalar(piece, kind) if isinstance(piece, str) else piece for piece in pieces]
    lines = pc.binary_join_element_wise(*parts, pa.scalar("\n", kind), pa.scalar("", kind))
    # Arrow holds the texts of a column one after another, and their ends.
    _, ends, data = lines.buffers()
    return data.slice(0, int(np.frombuffer(ends, np.int64)[len(lines)])).to_pybytes() if len(lines) else b""


# -- Parquet ----------------------------------------------------------------------------------------------------------


def _parquet(schema: pa.Schema, batches: Iterable[pa.RecordBatch], about: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield Parquet in row groups of a fixed number of rows, with page checksums and `about` in its metadata."""
    import pyarrow.parquet as pq

    wide = flat_schema(schema).with_metadata({"alcli": json.dumps(about, sort_keys=True)})
    rows = max(_GROUP_BYTES // (8 * len(wide)), 1024)
    out = io.BytesIO()
    writer = pq.ParquetWriter(out, wide, compression="zstd", use_dictionary=["predicted"], write_page_checksum=True)
    for table in _regrouped(batches, rows, wide):
        writer.write_table(table, row_group_size=rows)
        yield _taken(out)
    writer.close()
    yield _taken(out)


def _regrouped(batches: Iterable[pa.RecordBatch], rows: int, wide: pa.Schema) -> Iterator[pa.Table]:
    """Yield the rows in tables of `rows` rows, the last one with what is left."""
    import pyarrow as pa

    waiting = pa.Table.from_batches([], wide)
    for batch in batches:
        waiting = pa.concat_tables([waiting, pa.Table.from_batches([flat(batch)], wide)])
        while len(waiting) >= rows:
            yield waiting.slice(0, rows).combine_chunks()
            waiting = waiting.slice(rows)
    if len(waiting):
        yield waiting.combine_chunks()


def _taken(out: io.BytesIO) -> bytes:
    """Return the bytes that were written since the last call."""
    # Arrow counts its position by itself, so the buffer can begin anew.
    data = out.getvalue()
    out.seek(0)
    out.truncate()
    return data


# A new format is a row here; its extensions are those that `FORMATS` gives its name.
ROW_FORMATS: dict[str, RowWriter] = {"csv": _csv, "jsonl": _jsonl, "parquet": _parquet}
