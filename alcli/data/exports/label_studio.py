"""Exports of Label Studio: JSON, JSON_MIN, CSV and TSV.

JSON holds tasks with the item in `data` and a list of `annotations`. The other forms hold one object, or line, for
each annotation; in these `id` is the number of the task, whatever the item's own `id` was (JSON_MIN), or where it had
none (CSV). Source: the converter of label-studio-sdk 2.1.2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alcli.data.exports.places import ID_FIELDS, Found, Places, field_of_id, question_of, single
from alcli.errors import DataError, printable

NAME = "Label Studio"
# Columns that every table of annotations has.
_OWN = ("annotation_id", "annotator", "created_at", "lead_time", "updated_at")
_VALUES = {"choices": "choices", "labels": "labels", "rating": "rating", "number": "number", "taxonomy": "taxonomy"}


def is_table(names: Sequence[str]) -> bool:
    """True for the columns of a CSV or TSV, and the keys of JSON_MIN."""
    return set(_OWN) <= set(names)


def id_column(names: Sequence[str]) -> str | None:
    """The column that surely holds the ids of the pool; None where only `id` may."""
    return next((name for name in ID_FIELDS if name != "id" and name in names), None)


def is_item(value: Mapping[str, Any]) -> bool:
    """True for a task of the JSON export, and for an object of JSON_MIN."""
    return is_table(list(value)) or (
        isinstance(value.get("data"), dict) and ("annotations" in value or "completions" in value)
    )


def answers(where: str, value: Mapping[str, Any], asked: Places) -> Iterator[Found]:
    """Yield the answers of one object. Raises DataError."""
    if is_table(list(value)):
        yield _of_minimal(where, value, asked)
        return
    item = value["data"]
    field = field_of_id(item, asked, where)
    for annotation in value.get("annotations", value.get("completions")) or []:
        if not isinstance(annotation, dict):
            raise DataError(f"{where}: an annotation is no JSON object")
        skipped = annotation.get("was_cancelled") or annotation.get("skipped")
        label = None if skipped else _label(where, annotation.get("result") or [], asked)
        yield Found(item[field], label, _annotator(annotation.get("completed_by")))


def _label(where: str, results: Sequence[Any], asked: Places) -> Any:
    """The label among the results of one annotation."""
    usable = [
        r for r in results if isinstance(r, dict) and r.get("type") in _VALUES and isinstance(r.get("value"), dict)
    ]
    question = question_of([str(r.get("from_name")) for r in usable], asked, where)
    for result in usable:
        if result.get("from_name") == question:
            return single(result["value"].get(_VALUES[result["type"]]), where)
    return None


def _of_minimal(where: str, value: Mapping[str, Any], asked: Places) -> Found:
    """The answer of one object of JSON_MIN."""
    others = [name for name in value if name not in (*_OWN, "id", "agreement")]
    column = asked.id or id_column(list(value)) or "id"
    if column not in value:
        raise DataError(f"{where}: no key '{printable(column)}'", hint="name the key with your ids by --labels-id-col")
    # A task without an answer lacks the key; where every task does, the question has another name.
    question = asked.label or "label"
    missing = "" if question in value else f"{where}: no key 'label' among {', '.join(map(_quoted, others))}"
    answer = value.get(question)
    # Several choices come as {"choices": [...]}, one as its text.
    answer = answer.get("choices") if isinstance(answer, dict) else answer
    tool = NAME if column == "id" else None
    return Found(value[column], single(answer, where), _annotator(value["annotator"]), tool, others, missing)


def _quoted(name: str) -> str:
    return f"'{printable(name)}'"


def _annotator(who: Any) -> str | None:
    """The annotator as a text: a number, an address, or an object with both."""
    if isinstance(who, dict):
        who = who.get("email") or who.get("id")
    return None if who is None else str(who)
