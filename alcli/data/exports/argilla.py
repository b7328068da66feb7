"""Exports of Argilla 2: records as JSON, nested or flattened.

A record has one list of responses for each question, an entry for each annotator. Its id is the one that it was made
with, else one that the server drew. The nested form does not say which responses are drafts; the flattened form does,
and drafts are left out. Source: Record.to_dict and the flattened form of argilla 2.8.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alcli.data.exports.places import Found, Places, question_of, single
from alcli.errors import DataError, printable

NAME = "Argilla"
_ANSWERS = ".responses"
# Of the states of a response, the ones that are no answer.
_UNFINISHED = ("draft", "discarded")


def answer_columns(names: Sequence[str]) -> list[str]:
    """The keys of a flattened record that hold responses."""
    return [name for name in names if name.endswith(_ANSWERS)]


def is_item(value: Mapping[str, Any]) -> bool:
    """True for a record, nested or flattened."""
    nested = isinstance(value.get("responses"), dict) and isinstance(value.get("fields"), dict)
    return nested or any(f"{name}.users" in value for name in answer_columns(list(value)))


def answers(where: str, value: Mapping[str, Any], asked: Places) -> Iterator[Found]:
    """Yield the submitted responses of one record. Raises DataError."""
    id = _id(where, value, asked)
    if isinstance(value.get("responses"), dict):
        by_question = value["responses"]
        question = question_of([name for name in by_question if by_question[name]], asked, where)
        for one in by_question.get(question) or []:
            if not isinstance(one, dict):
                raise DataError(f"{where}: a response is no JSON object")
            done = one.get("status") not in _UNFINISHED
            yield Found(id, single(one.get("value"), where) if done else None, _text(one.get("user_id")))
        return
    question = question_of([name[: -len(_ANSWERS)] for name in answer_columns(list(value))], asked, where)
    values = value.get(f"{question}{_ANSWERS}") or []
    users = value.get(f"{question}{_ANSWERS}.users") or [None] * len(values)
    states = value.get(f"{question}{_ANSWERS}.status") or [None] * len(values)
    for answer, user, state in zip(values, users, states):
        yield Found(id, None if state in _UNFINISHED else single(answer, where), _text(user))


def _id(where: str, value: Mapping[str, Any], asked: Places) -> Any:
    """The id of a record: its own, or a field of its metadata that the user names."""
    if asked.id is None:
        return value.get("id")
    for holder in (value, value.get("metadata"), value.get("fields")):
        if isinstance(holder, dict) and asked.id in holder:
            return holder[asked.id]
    raise DataError(f"{where}: no key '{printable(asked.id)}'", hint="see --labels-id-col")


def _text(who: Any) -> str | None:
    return None if who is None else str(who)
