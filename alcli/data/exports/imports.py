"""Batches in the forms that labelling tools import. Each form carries the id of the pool so that the export returns it.

Sources: the import pages of Label Studio (tasks in JSON), Argilla 2 (Record.from_dict), Prodigy (JSON Lines of tasks)
and doccano (JSON Lines, whose other columns become the meta of an item).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from alcli.errors import UsageError

# The field in which an id travels; the readers of exports look for it first.
ID = "alcli_id"
# Columns that a tool shows as the item itself.
_SHOWN = ("text", "image", "audio", "url")


def label_studio(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
    """Write a JSON list of tasks: the kept columns and `alcli_id`, `rank` and `score` as `data`.

    A suggestion is an entry of `predictions`: the choice of the question for the object that is shown.
    """
    shown = _shown(about, "label-studio") if _suggests(about) else ""
    tasks = []
    for row, kept in _rows(table, about):
        task: dict[str, Any] = {"data": {**kept, ID: row["id"], **_facts(row)}}
        if _suggests(about):
            choice = {
                "id": f"alcli-{row['rank']}",
                "from_name": about["suggestion"]["question"],
                "to_name": shown,
                "type": "choices",
                "value": {"choices": [_name(row["predicted"])]},
            }
            model = about["suggestion"]["model"]
            task["predictions"] = [{"model_version": model, "score": row["confidence"], "result": [choice]}]
        tasks.append(task)
    return _json(tasks)


def argilla(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
    """Write a JSON list of records: the kept columns as `fields`, the facts of the choice as `metadata`.

    A suggestion is an entry of `suggestions` under the name of the question.
    """
    records = []
    for row, kept in _rows(table, about):
        record: dict[str, Any] = {"id": str(row["id"]), "fields": {k: _text(v) for k, v in kept.items()}}
        record["metadata"] = _facts(row)
        if _suggests(about):
            of_head = {"value": _name(row["predicted"]), "score": row["confidence"]}
            about_head = about["suggestion"]
            record["suggestions"] = {about_head["question"]: {**of_head, "agent": about_head["model"]}}
        records.append(record)
    return _json(records)


def prodigy(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
    """Write a line of JSON for each task: the kept columns, and the id and the facts of the choice as `meta`.

    With a suggestion the classes are the `options`, and the predicted one is in `accept`.
    """
    shown = _shown(about, "prodigy")

    tasks = []
    for row, kept in _rows(table, about):
        task = _named(kept, shown)
        if _suggests(about):
            task["options"] = [{"id": name, "text": name} for name in about["suggestion"]["classes"]]
            task["accept"] = [_name(row["predicted"])]
        tasks.append({**task, "meta": {"id": row["id"], **_facts(row)}})
    return _lines(tasks)


def doccano(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> bytes:
    """Write a line of JSON for each text: the kept columns and `alcli_id`, which doccano keeps as meta.

    A suggestion is the `label`, which is empty otherwise.
    """
    shown = _shown(about, "doccano")
    lines = []
    for row, kept in _rows(table, about):
        labels = [_name(row["predicted"])] if _suggests(about) else []
        lines.append({**_named(kept, shown), ID: row["id"], **_facts(row), "label": labels})
    return _lines(lines)


def _suggests(about: Mapping[str, Any]) -> bool:
    """True where the predictions are suggestions."""
    return "suggestion" in about


def _name(predicted: Any) -> str:
    """The name of a class as tools take it: a text."""
    return str(predicted).lower() if isinstance(predicted, bool) else str(predicted)


def _rows(table: Mapping[str, list[Any]], about: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield each row with its kept columns apart."""
    names = about.get("kept", [])
    for values in zip(*table.values()):
        row = dict(zip(table, values))
        yield row, {name: row[name] for name in names}


def _facts(row: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of the choice that an annotator may want to see or sort by."""
    return {name: row[name] for name in ("rank", "score", "predicted", "confidence") if name in row}


def _shown(about: Mapping[str, Any], tool: str) -> str:
    """The kept column that the tool shows. Raises UsageError where it is not clear."""
    kept = about.get("kept", [])
    found = next((name for name in _SHOWN if name in kept), None) or (kept[0] if len(kept) == 1 else None)
    if found is None:
        hint = "--keep text takes it from the pool, --keep text --items FILE from a file of the items"
        raise UsageError(f"--format {tool} needs the column that {tool} shows", hint=hint)
    return found


def _named(kept: Mapping[str, Any], shown: str) -> dict[str, Any]:
    """The kept columns, with the one that is shown under the name that tools expect."""
    name = shown if shown in _SHOWN else "text"
    return {name: kept[shown], **{key: value for key, value in kept.items() if key != shown}}


def _text(value: Any) -> str:
    return "" if value is None else str(value)


def _json(values: list[Any]) -> bytes:
    return (json.dumps(values, ensure_ascii=False, indent=1) + "\n").encode("utf-8")


def _lines(values: Iterable[Any]) -> bytes:
    return "".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values).encode("utf-8")
