"""Read files of labels row by row, then bring the labels of each item together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from alcli.data.annotations.said import Label, LabelFile, Said
from alcli.data.exports.answers import ExportReader
from alcli.data.exports.places import Places
from alcli.data.exports.votes import settled
from alcli.data.groups import Groups, name_of
from alcli.data.ids import Ids
from alcli.data.spellings.classes import Spelling
from alcli.data.spellings.labels import is_blank, to_class, to_target, to_weight
from alcli.data.spellings.weights import remark_on_weights
from alcli.data.tables import read_rows
from alcli.data.text.rows import NamedColumns, RowSource
from alcli.errors import DataError, counted, printable
from alcli.remarks import Note


@dataclass(frozen=True)
class LabelReader:
    """The way in which the values of a file become labels.

    types: the types of classes are added to it. none_label: the label of no class, which has no type.
    """

    ids: Ids
    groups: Groups | None
    regression: bool
    types: set[str]
    none_label: str | None

    def read(self, source: RowSource) -> LabelFile:
        """Read one file. Raises what `read_rows` does, and DataError for a value that is no label, weight or id."""
        export = ExportReader(places_of(source))
        if self.groups is None:
            rows = read_rows(source, ["id", "label"], optional=["weight", "annotator"], export=export)
        else:
            rows = read_rows(source, ["label"], optional=["id", "group", "weight", "annotator"], export=export)
        found, blank = [], 0
        for row in rows:
            if is_blank(value := row.values["label"]):
                blank += 1
                continue
            if self.groups is None:
                key: Any = self.ids.parse(row.values["id"], row.where, from_text=row.from_text)
            else:
                key = name_of(row, self.ids, self.groups)
            who = row.values.get("annotator")
            weight = to_weight(row.values.get("weight"), row.where)
            said = Said(self._label(value, row.where), weight, row.where, None if is_blank(who) else str(who))
            found.append((key, said))
        return LabelFile(source, found, blank)

    def _label(self, value: Any, where: str) -> Label:
        if value == self.none_label:
            return str(value)
        return to_target(value, where) if self.regression else to_class(value, where, self.types)


def places_of(source: RowSource) -> Places:
    """The columns that the user named for a file."""
    return Places(source.id, source.label) if isinstance(source, NamedColumns) else Places()


def respell(files: Sequence[LabelFile], spelling: Spelling, note: Note) -> None:
    """Give classes that look alike one name in all files, in place. note: told of each name and of the number.

    The names do not depend on the order of rows and files, since they are chosen from the counts of all rows.
    """
    names = spelling.names(Counter(str(said.label) for file in files for _, said in file.rows), note)
    if names:
        for file in files:
            file.rows = [(key, replace(said, label=names.get(str(said.label), said.label))) for key, said in file.rows]


def settle(file: LabelFile, *, corrections: bool, note: Note) -> None:
    """Find the label that a file gives each item, in place: `took` and `votes`.

    Where annotators are named, the majority counts. corrections: of two labels of one annotator the last one counts;
    without it they are a DataError.
    """
    twice = corrected = 0
    for key, said in file.rows:
        votes = file.votes.setdefault(key, {})
        before = votes.get(said.annotator)
        is_other = before is not None and before.label != said.label
        if before is not None and is_other and not corrections:
            what = f"the id '{printable(str(key))}' is labelled '{printable(said.label)}'"
            raise DataError(f"{said.where}: {what}, but '{printable(before.label)}' at {before.where}")
        corrected += is_other
        twice += before is not None and not is_other
        votes[said.annotator] = said
    file.took, remarks = settled(file.votes)
    name = printable(file.source)
    remark_on_weights([said.weight for said in file.took.values()], name, note)
    for n, one, several in (
        (file.blank, "row without a label was skipped", "rows without a label were skipped"),
        (twice, "row repeats a label of the same file", "rows repeat a label of the same file"),
        (corrected, "row corrects a label of the same file", "rows correct a label of the same file"),
    ):
        remarks += [counted(n, one, several)] if n else []
    for remark in remarks:
        note(f"{name}: {remark}")
