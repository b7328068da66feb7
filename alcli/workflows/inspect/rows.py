"""The facts about tables with a row an item: ledgers, selections, predictions and lists of ids.

Memory: the rows of the table.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from alcli.data.reading.data_file import DataFile
from alcli.data.reading.head_header import contents_of
from alcli.data.reading.parquet import open_parquet, reading
from alcli.data.schema import pool_metadata
from alcli.data.spellings.labels import is_blank
from alcli.data.spellings.numbers import number_of
from alcli.data.tables import columns_of, read_rows
from alcli.data.text.rows import Row
from alcli.errors import printable

_NAMED = 5
# The columns of each kind of table that have facts of their own.
_COLUMNS: dict[str, Sequence[str]] = {
    "ledger": ("rank", "strategy", "purpose"),
    "selection": ("rank", "score", "strategy", "weight", "predicted", "confidence"),
    "predictions": ("predicted", "confidence"),
    "ids": (),
}


def about_rows(path: str, kind: str) -> dict[str, Any]:
    """Return the facts about a table of the kind. Raises what `read_rows` does."""
    rows = list(read_rows(path, ["id"], optional=_COLUMNS[kind]))
    about = _metadata(path)
    facts: dict[str, Any] = {"rows": len(rows), "columns": columns_of(path)} | of_ids(rows, "id")
    facts |= _OF_KIND[kind](rows)
    facts |= {name: about[name] for name in ("seed", "ledger_rows", "options", "pool") if name in about}
    if isinstance(batch := about.get("batch"), dict):
        facts["last_batch"] = {name: batch[name] for name in ("out", "rows") if name in batch}
    return facts | {"sha256": digest_of(path)}


def digest_of(path: str) -> str:
    """The SHA-256 of a file, hexadecimal."""
    return hashlib.sha256(contents_of(Path(path))).hexdigest()


def _metadata(path: str) -> dict[str, Any]:
    """The metadata of alcli in a Parquet file; empty for other files."""
    if contents_of(Path(path))[:4] != b"PAR1":
        return {}
    file = DataFile(path)
    with reading(file), open_parquet(file) as parquet:
        return pool_metadata(parquet.schema_arrow, file.name)


def of_ids(rows: Sequence[Row], key: str) -> dict[str, Any]:
    """The number of different ids, and ids that stand in several rows."""
    counts = Counter(str(row.values[key]) for row in rows)
    twice = [id for id, n in counts.items() if n > 1]
    facts: dict[str, Any] = {"different_ids": len(counts)}
    return facts | ({"ids_in_several_rows": len(twice), "for_example": twice[:_NAMED]} if twice else {})


def _of_ledger(rows: Sequence[Row]) -> dict[str, Any]:
    """The number of batches, and of rows of each strategy and purpose."""
    facts: dict[str, Any] = {"batches": sum(number_of(row.values.get("rank")) == 0 for row in rows)}
    return facts | counts(rows, "strategy", "rows_of_strategy") | counts(rows, "purpose", "rows_of_purpose")


def _of_selection(rows: Sequence[Row]) -> dict[str, Any]:
    """The rows of each strategy and predicted class, and the ranges of scores, weights and confidences."""
    facts = counts(rows, "strategy", "rows_of_strategy") | _of_predictions(rows)
    return facts | range_of(rows, "score") | range_of(rows, "weight")


def _of_predictions(rows: Sequence[Row]) -> dict[str, Any]:
    """The predicted classes with the number of rows of each, or the range of predicted numbers."""
    values = [row.values.get("predicted") for row in rows]
    are_numbers = bool(rows) and "confidence" not in rows[0].values
    facts = range_of(rows, "predicted") if are_numbers else counts(rows, "predicted", "rows_of_predicted_class")
    return (facts if any(v is not None for v in values) else {}) | range_of(rows, "confidence")


def counts(rows: Iterable[Row], column: str, name: str) -> dict[str, Any]:
    """The number of rows of each value of a column, by value; empty where no row has a value."""
    found = Counter(text_of(row.values[column]) for row in rows if not is_blank(row.values.get(column)))
    return {name: dict(sorted(found.items()))} if found else {}


def range_of(rows: Iterable[Row], column: str) -> dict[str, Any]:
    """The least, median and most of a column of numbers; empty where no row has a number."""
    found = numbers_of(rows, column)
    return (
        {f"{column}_min": min(found), f"{column}_median": median(found), f"{column}_max": max(found)} if found else {}
    )


def numbers_of(rows: Iterable[Row], column: str) -> list[float]:
    values = (number_of(row.values[column]) for row in rows if not is_blank(row.values.get(column)))
    return [value for value in values if math.isfinite(value)]


def text_of(value: Any) -> str:
    """The name of a value: a boolean as label files write it."""
    return str(value).lower() if isinstance(value, bool) else printable(value)


def _no_more(rows: Sequence[Row]) -> dict[str, Any]:
    """A list of ids has no other column."""
    return {}


_OF_KIND: dict[str, Callable[[Sequence[Row]], dict[str, Any]]] = {
    "ledger": _of_ledger,
    "selection": _of_selection,
    "predictions": _of_predictions,
    "ids": _no_more,
}
