"""The facts about a file of labels: classes, annotators, and how far the annotators agree.

Memory: the rows of the file.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from alcli.data.annotations.said import Said
from alcli.data.exports.answers import ExportReader
from alcli.data.exports.places import Places
from alcli.data.exports.votes import majority
from alcli.data.spellings.classes import Spelling
from alcli.data.spellings.labels import is_blank
from alcli.data.tables import columns_of, read_rows
from alcli.data.text.dialect import near
from alcli.data.text.rows import NamedColumns, Row
from alcli.remarks import Note
from alcli.workflows.inspect.agreement import alpha
from alcli.workflows.inspect.rows import counts, digest_of, numbers_of, of_ids, range_of, text_of

_NAMED = 5


def about_labels(path: str, places: Places, spelling: Spelling, note: Note) -> dict[str, Any]:
    """Return the facts about a file of labels, or an export of a tool. Raises what `read_rows` does.

    places: the columns that the user named. spelling: of the classes; note is told of those that are merged.
    """
    columns = columns_of(path)
    grouped = places.id is None and near(columns, "id") is None and near(columns, "group") is not None
    key = "group" if grouped else "id"
    source = NamedColumns(path, places.id, places.label)
    rows = list(read_rows(source, [key, "label"], optional=["weight", "annotator"], export=ExportReader(places)))
    rows = _respelled(rows, spelling, note)
    facts: dict[str, Any] = {"rows": len(rows), "columns": columns} | of_ids(rows, key)
    facts |= _of_classes(rows) | range_of(rows, "weight") | _of_votes(rows, key)
    return facts | {"sha256": digest_of(path)}


def _respelled(rows: Sequence[Row], spelling: Spelling, note: Note) -> list[Row]:
    """The rows with one name for classes that look alike."""
    written = Counter(text_of(row.values["label"]) for row in rows if not is_blank(row.values["label"]))
    names = spelling.names(written, note)
    return [
        row
        if is_blank(label := row.values["label"]) or text_of(label) not in names
        else replace(row, values=row.values | {"label": names[text_of(label)]})
        for row in rows
    ]


def _of_classes(rows: Sequence[Row]) -> dict[str, Any]:
    """The rows without a label, and the classes with the number of rows of each, or the range of the numbers."""
    blank = sum(is_blank(row.values["label"]) for row in rows)
    if _are_measurements(rows):
        return {"rows_without_a_label": blank, "labels": "numbers"} | range_of(rows, "label")
    of_class = counts(rows, "label", "rows_of_class")
    return {"rows_without_a_label": blank, "classes": len(of_class.get("rows_of_class", {}))} | of_class


def _of_votes(rows: Sequence[Row], key: str) -> dict[str, Any]:
    """The items with different labels; where annotators are named, how many rows each labelled and how they agree."""
    votes: dict[str, dict[str | None, str]] = {}
    labels: dict[str, set[str]] = {}
    labelled = [row for row in rows if not is_blank(row.values["label"])]
    for row in labelled:
        who, item, label = row.values.get("annotator"), str(row.values[key]), text_of(row.values["label"])
        labels.setdefault(item, set()).add(label)
        # Of two labels of one annotator the later one is the one that was meant.
        votes.setdefault(item, {})[None if is_blank(who) else str(who)] = label
    different = [item for item, found in labels.items() if len(found) > 1]
    facts: dict[str, Any] = {"ids_with_different_labels": len(different)}
    facts |= {"for_example": different[:_NAMED]} if different else {}
    return facts | _of_annotators(labelled, votes)


def _of_annotators(rows: Sequence[Row], votes: Mapping[str, Mapping[str | None, str]]) -> dict[str, Any]:
    """The number of annotators and of their labels; items of several, and the agreement on these."""
    given = counts(rows, "annotator", "labels_of_annotator")
    if not given:
        return {}
    several = {item: list(by.values()) for item, by in votes.items() if len(by) > 1}
    said = {item: [Said(label, 1.0, "") for label in found] for item, found in several.items()}
    return {
        "annotators": len(given["labels_of_annotator"]),
        **given,
        "items_of_several_annotators": len(several),
        "items_on_which_they_differ": sum(len(set(found)) > 1 for found in several.values()),
        "items_without_a_majority": sum(majority(found) is None for found in said.values()),
        "krippendorff_alpha": alpha(list(several.values()), numbers=_are_measurements(rows)),
    }


def _are_measurements(rows: Sequence[Row]) -> bool:
    """True where all labels are numbers and one has a fraction."""
    found = numbers_of(rows, "label")
    filled = sum(not is_blank(row.values.get("label")) for row in rows)
    return len(found) == filled and any(not number.is_integer() for number in found)
