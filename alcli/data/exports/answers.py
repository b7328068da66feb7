"""Labels in the exports of labelling tools: which tool wrote a file, and where its ids and answers stand.

A label must never land on the wrong row. Tools number their items anew, and such numbers are valid ids of a pool whose
ids are row numbers. So an integer in a place where the tool puts numbers of its own is refused, unless the user names
that column.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from alcli.data.exports import argilla, doccano, label_studio, prodigy
from alcli.data.exports.places import ID_FIELDS, Found, Places
from alcli.data.text.dialect import near
from alcli.data.text.rows import Row
from alcli.errors import DataError, printable

_TOOLS = (label_studio, argilla, prodigy, doccano)
_INTEGER = re.compile(r"\s*[+-]?\d+(\.0*)?\s*")


def is_export(names: Sequence[str], first: Mapping[str, Any] | None) -> bool:
    """True for the columns of a table that a tool exports, and for the first object of such a file in JSON."""
    is_table = label_studio.is_table(names) or doccano.is_table(names)
    return is_table or (first is not None and any(tool.is_item(first) for tool in _TOOLS))


class ExportReader:
    """The reader of the answers in one file, for `read_rows`. asked: the columns that the user named."""

    def __init__(self, asked: Places) -> None:
        self.asked = asked
        self._missing, self._has_answers = "", False

    def columns(self, names: Sequence[str], where: str) -> dict[str, str]:
        """The columns of a table that hold ids, labels and annotators, by what they hold.

        Columns that were not asked for and are not found are left out. Raises DataError for one that was asked for.
        """
        for wanted, option in ((self.asked.id, "--labels-id-col"), (self.asked.label, "--labels-label-col")):
            if wanted is not None and wanted not in names:
                listed = ", ".join(f"'{printable(n)}'" for n in names[:10])
                raise DataError(f"{where}: no column '{printable(wanted)}' among {listed}", hint=f"see {option}")
        found = {"id": self.asked.id, "label": self.asked.label}
        if found["id"] is None and (label_studio.is_table(names) or doccano.is_table(names)):
            found["id"] = label_studio.id_column(names)
        elif found["id"] is None and ID_FIELDS[0] in names:
            # A column that only a batch of alcli has.
            found["id"] = ID_FIELDS[0]
        found = {what: column or near(names, what) for what, column in found.items()}
        return {what: column for what, column in found.items() if column is not None}

    def check(self, id: Any, names: Sequence[str], where: str) -> None:
        """Raise DataError for an id in a row of a table that may be a number of the tool's own."""
        tool = next((tool.NAME for tool in (label_studio, doccano) if tool.is_table(names)), None)
        if tool is not None and label_studio.id_column(names) is None:
            self._check_number(id, tool, names, where)

    def rows(self, where: str, value: Mapping[str, Any]) -> Iterator[Row] | None:
        """The answers in one JSON object, a row for each annotator; None for an object that no tool writes."""
        tool = next((tool for tool in _TOOLS if tool.is_item(value)), None)
        return None if tool is None else self._rows(where, tool.answers(where, value, self.asked))

    def end(self) -> None:
        """Raise DataError where no item of the file has the question that is expected."""
        if self._missing and not self._has_answers:
            raise DataError(self._missing, hint="name the question by --labels-label-col")

    def _rows(self, where: str, found: Iterator[Found]) -> Iterator[Row]:
        for one in found:
            self._missing, self._has_answers = self._missing or one.missing, self._has_answers or not one.missing
            if one.tool is not None:
                self._check_number(one.id, one.tool, one.names, where)
            # Some tools turn every id into text, which then stands for an integer of the pool.
            is_text = isinstance(one.id, str)
            yield Row(where, {"id": one.id, "label": one.label, "annotator": one.annotator}, is_text)

    def _check_number(self, id: Any, tool: str, names: Sequence[str], where: str) -> None:
        """Raise DataError for an integer, unless the user named the column of the ids."""
        if self.asked.id is None and (isinstance(id, int) or (isinstance(id, str) and _INTEGER.fullmatch(id))):
            others = ", ".join(f"'{printable(n)}'" for n in names if n != "id") or "none"
            what = f"{where}: the id {printable(id)} may be {tool}'s own number of the item"
            hint = f"name the column with your ids by --labels-id-col ({others}); --labels-id-col id takes it as it is"
            raise DataError(what, hint=hint)
