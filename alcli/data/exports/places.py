"""Shared by the readers of exports: the columns that the user named, an answer that was found, and choices in lists."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alcli.errors import DataError, printable

# Names under which an id of the pool travels through a tool as a field of the item, the surest first.
ID_FIELDS = ("alcli_id", "id", "item_id", "sample_id", "record_id", "external_id")


@dataclass(frozen=True)
class Places:
    """The names of the columns, or fields, with ids and with labels; None where the user did not name one."""

    id: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Found:
    """An answer. label: None where the item was skipped. tool: the tool whose own number the id may be, else None.

    names: other fields that may hold the ids of the pool. missing: what is wrong if no item of the file has an answer.
    """

    id: Any
    label: Any
    annotator: str | None
    tool: str | None = None
    names: Sequence[str] = ()
    missing: str = ""


def field_of_id(fields: Mapping[str, Any], asked: Places, where: str) -> str:
    """The field of an item that holds the id of the pool. Raises DataError where there is none."""
    if asked.id is not None and asked.id in fields:
        return asked.id
    found = None if asked.id is not None else next((name for name in ID_FIELDS if name in fields), None)
    if found is None:
        listed = ", ".join(f"'{printable(name)}'" for name in list(fields)[:10]) or "none"
        what = f"no field '{printable(asked.id)}'" if asked.id is not None else "no field with an id of the pool"
        hint = "name the field with your ids by --labels-id-col; send the ids along as a field of each item"
        raise DataError(f"{where}: {what} among {listed}", hint=hint)
    return found


def question_of(questions: Sequence[str], asked: Places, where: str) -> str | None:
    """The question whose answers are labels; None where an item has none. Raises DataError where it is not clear."""
    distinct = list(dict.fromkeys(questions))
    if asked.label is not None:
        return asked.label if asked.label in distinct else None
    if len(distinct) > 1:
        listed = ", ".join(f"'{printable(name)}'" for name in distinct)
        raise DataError(f"{where}: answers to several questions: {listed}", hint="choose one by --labels-label-col")
    return distinct[0] if distinct else None


def single(choices: Any, where: str) -> Any:
    """The one entry of a list of choices; None for an empty list; a value that is no list as it is.

    Raises DataError for several choices.
    """
    if not isinstance(choices, list):
        return choices
    if len(choices) > 1:
        listed = ", ".join(f"'{printable(one)}'" for one in choices[:5])
        raise DataError(f"{where}: several classes for one item: {listed}", hint="alcli takes one class for each item")
    return choices[0] if choices else None
