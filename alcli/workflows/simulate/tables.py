"""The tables of a simulation as the bytes of CSV and Parquet files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from alcli import __version__

# The format of everything in the folder of a simulation.
FORMAT = 1


def parquet_bytes(
    rows: Sequence[Mapping[str, Any]], names: Sequence[str], kinds: Mapping[str, pa.DataType], kind: str
) -> bytes:
    """Return rows as the bytes of a Parquet file, with a checksum for each page.

    names: the columns, in order; a row without one of them is null there. kinds: their types. kind: the kind of table,
    for the file's metadata.
    """
    table = pa.table({name: pa.array([row.get(name) for row in rows], kinds[name]) for name in names})
    about = {"format": FORMAT, "kind": kind, "version": __version__}
    table = table.replace_schema_metadata({"alcli": json.dumps(about, sort_keys=True)})
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd", write_page_checksum=True)
    return out.getvalue()


def csv_bytes(rows: Sequence[Mapping[str, Any]]) -> bytes:
    """Return rows as the bytes of a CSV file; the columns are the keys of the first row."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()
