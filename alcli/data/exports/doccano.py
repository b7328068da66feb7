"""Exports of doccano: JSON Lines, whose labels are lists, and CSV.

doccano writes its own number of an item as `id`, unless the item was imported with an `id` among its other columns.
Source: data_export of doccano 1.8.4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alcli.data.exports.places import Found, Places, field_of_id, single

NAME = "doccano"
_COMMENTS = "Comments"


def is_table(names: Sequence[str]) -> bool:
    """True for the columns of a CSV."""
    return {"id", "label", _COMMENTS} <= set(names)


def is_item(value: Mapping[str, Any]) -> bool:
    """True for a line of the JSON Lines export."""
    return isinstance(value.get("label"), list) and ("text" in value or "filename" in value)


def answers(where: str, value: Mapping[str, Any], asked: Places) -> Iterator[Found]:
    """Yield the label of one line. Raises DataError."""
    field = field_of_id(value, asked, where)
    others = [name for name in value if name not in ("id", "text", "filename", "label", _COMMENTS)]
    tool = NAME if field == "id" else None
    yield Found(value[field], single(value[asked.label or "label"], where), None, tool, others)
