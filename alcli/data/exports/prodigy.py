"""Exports of Prodigy: the JSON Lines of `db-out`.

An answer is `accept`, `reject` or `ignore`. A choice lists its options in `accept`; a binary question has a `label`,
which a reject denies. What an item is not, is no label here, so a reject is skipped. Source: the pages of Prodigy on
its annotation tasks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from alcli.data.exports.places import ID_FIELDS, Found, Places, field_of_id, single

NAME = "Prodigy"
_ANSWERS = ("accept", "reject", "ignore")


def is_item(value: Mapping[str, Any]) -> bool:
    """True for a task with an answer."""
    return value.get("answer") in _ANSWERS and ("accept" in value or "label" in value or "_task_hash" in value)


def answers(where: str, value: Mapping[str, Any], asked: Places) -> Iterator[Found]:
    """Yield the answer of one task. Raises DataError."""
    meta = value.get("meta")
    fields = {**(meta if isinstance(meta, dict) else {}), **{k: value[k] for k in value if k in (*ID_FIELDS, asked.id)}}
    id = fields[field_of_id(fields, asked, where)]
    label = None
    if value["answer"] == "accept":
        label = single(value[asked.label or ("accept" if "accept" in value else "label")], where)
    who = value.get("_annotator_id") or value.get("_session_id")
    yield Found(id, label, None if who is None else str(who))
