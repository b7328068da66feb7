"""Labels by id, from several files; of two labels of an id, the one in the later file counts."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from alcli.arrays import Array, Float64, Int64
from alcli.data.annotations.conflicts import Conflict, find_conflicts
from alcli.data.annotations.counting import better_column, check_counting
from alcli.data.annotations.reading import LabelReader, respell, settle
from alcli.data.annotations.said import Key, LabelFile, Said
from alcli.data.groups import Groups, by_row
from alcli.data.ids import Id, Ids
from alcli.data.spellings.classes import AS_WRITTEN, Spelling, look_alike, remark_on_look_alikes
from alcli.data.spellings.labels import is_blank, to_class, to_target
from alcli.data.text.rows import RowSource
from alcli.errors import DataError, counted, printable
from alcli.remarks import Note, silence

# Rows whose values are Python objects at a time.
_AT_ONCE = 1 << 16
_TEXT = (pt.is_string, pt.is_large_string, pt.is_binary, pt.is_large_binary, pt.is_null)
_OF_TYPE = {
    "string": re.compile(".*", re.DOTALL),
    "boolean": re.compile("true|false"),
    "integer": re.compile("0|-?[1-9][0-9]{0,17}"),
}


@dataclass
class Labels:
    """Labels by id in the order they were read. A class is a string; in a regression a label is a float.

    class_type: the type that classes have in a typed file: "string", "integer" or "boolean". of_no_class: the items
    that belong to no class, as their label says. conflicts: of items that got several labels, see annotations/.
    """

    by_id: dict[Id, Said] = field(default_factory=dict)
    class_type: str = "string"
    of_no_class: dict[Id, Said] = field(default_factory=dict)
    conflicts: tuple[Conflict, ...] = ()

    def __len__(self) -> int:
        return len(self.by_id)

    def arrays(self, classes: Sequence[str] | None) -> tuple[Array, Float64]:
        """Return (y_L, weights_L): class numbers in `classes`, or float64 targets where `classes` is None.

        Raises DataError for an unknown class.
        """
        weights_L = np.array([s.weight for s in self.by_id.values()])
        if classes is None:
            return np.array([s.label for s in self.by_id.values()], np.float64), weights_L
        number = {c: i for i, c in enumerate(classes)}
        for said in self.by_id.values():
            if said.label not in number:
                other = look_alike(str(said.label), classes)
                hint = "--allow-new-classes of 'alcli update' adds it; or fit a new head"
                hint = (
                    hint
                    if other is None
                    else f"it has '{printable(other)}', which looks alike; --normalize-labels takes it so"
                )
                raise DataError(f"{said.where}: the head has no class '{printable(said.label)}'", hint=hint)
        return np.array([number[str(s.label)] for s in self.by_id.values()], np.int64), weights_L

    def classes(self) -> tuple[str, ...]:
        """Return the distinct classes: integers in order of value, everything else alphabetically."""
        return sorted_classes({str(s.label) for s in self.by_id.values()}, self.class_type)


def set_apart(labels: Labels, none_label: str | None, note: Note = silence) -> Labels:
    """Move the items whose label is `none_label` to `of_no_class`.

    note: told how many there are, and of a class that is named nearly so.
    """
    if none_label is None:
        return labels
    none = {id: said for id, said in labels.by_id.items() if said.label == none_label}
    kept = {id: said for id, said in labels.by_id.items() if said.label != none_label}
    shown = f"label '{printable(none_label)}'"
    if none:
        note(f"{counted(len(none), 'item belongs', 'items belong')} to no class ({shown})")
    other = look_alike(none_label, {said.label for said in kept.values() if isinstance(said.label, str)})
    if other is not None:
        note(f"the class '{printable(other)}' looks like the {shown} of --none-label, and is a class all the same")
    return replace(labels, by_id=kept, of_no_class=labels.of_no_class | none)


def sorted_classes(found: Iterable[str], class_type: str) -> tuple[str, ...]:
    """Return distinct class names in their fixed order."""
    return tuple(sorted(found, key=int if class_type == "integer" else str))


def is_of_type(name: str, class_type: str) -> bool:
    """True where a class of this name can stand in a typed file beside classes of the type."""
    return _OF_TYPE[class_type].fullmatch(name) is not None


def read_labels(
    paths: Sequence[RowSource],
    ids: Ids,
    *,
    regression: bool,
    ignore_unknown: bool = False,
    groups: Groups | None = None,
    corrections: bool = False,
    none_label: str | None = None,
    spelling: Spelling = AS_WRITTEN,
    given_out: Collection[Id] | None = None,
    note: Note = silence,
) -> Labels:
    """Read label files with columns `id`, `label`, optional `weight` and `annotator`, or exports of labelling tools.

    A later file wins; two different labels of an id in one file are an error, but with `corrections` the last one
    counts. ids: of the pool, whose type the ids
    get. groups: of the pool; the label of a group is the label of its rows (see data/groups.py). ignore_unknown:
    leave out labels of ids that the pool does not have. none_label: says that an item belongs to no class. spelling:
    whether classes that look alike become one. given_out: the ids of a ledger; ids that only count the rows of a file
    must be among them. note: told of labels left out, repeated, merged or in conflict. Raises
    DataError naming file, line and id; UsageError, InputError.
    """
    types: set[str] = set()
    reader = LabelReader(ids, groups, regression, types, none_label)
    files = [reader.read(path) for path in paths]
    if not regression:
        known = spelling.known if none_label is None else (none_label, *spelling.known)
        respell(files, replace(spelling, known=known), note)
    labels, not_there = Labels(), set[Key]()
    for file in files:
        settle(file, corrections=corrections, note=note)
        in_file, unknown = _of_pool(file, ids, groups)
        check_counting(file, unknown, ids, given_out)
        _check_known(file.source, unknown, ids, ignore_unknown, note)
        not_there |= unknown.keys()
        for id in in_file:
            labels.by_id.pop(id, None)
        labels.by_id.update(in_file)
    labels.conflicts = find_conflicts(files, not_there, note)
    if len(types) == 1:
        labels.class_type = types.pop()
    labels = set_apart(labels, none_label, note)
    if not regression:
        remark_on_look_alikes(labels.classes(), note)
    return labels


def _of_pool(file: LabelFile, ids: Ids, groups: Groups | None) -> tuple[dict[Id, Said], dict[Any, Said]]:
    """The labels of a file that are of rows of the pool, and the others by their name in the file."""
    if groups is not None:
        of_rows, missing = by_row(file.took, lambda said: said.where, ids, groups)
        return of_rows, {name: file.took[name] for name in missing}
    wanted = list(file.took)
    found = dict(file.took)
    return found, {id: found.pop(id) for id in [wanted[i] for i in np.flatnonzero(ids.rows_of(wanted) < 0)]}


def _check_known(source: RowSource, unknown: dict[Any, Said], ids: Ids, ignore: bool, note: Note) -> None:
    """Tell of ids that the pool does not have, or raise DataError for them."""
    if unknown and not ignore:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        id, said = next(iter(unknown.items()))
        what = f"{said.where}: the id '{printable(str(id))}' is not in the pool{more}"
        column = better_column(source, ids)
        hint = "leave such ids out with --ignore-unknown"
        hint = (
            hint
            if column is None
            else f"the column '{printable(column)}' has ids of the pool: name it by --labels-id-col"
        )
        raise DataError(what, hint=hint)
    if unknown:
        one, several = "label of an id that is not in the pool was", "labels of ids that are not in the pool were"
        note(f"{counted(len(unknown), one, several)} ignored")


def respelled(labels: Labels, spelling: Spelling, note: Note = silence) -> Labels:
    """Return the labels with one name for classes that look alike, as `spelling` says. note: see `Spelling.names`."""
    names = spelling.names(Counter(str(said.label) for said in labels.by_id.values()), note)
    if not names:
        return labels
    renamed = {id: replace(said, label=names.get(str(said.label), said.label)) for id, said in labels.by_id.items()}
    return replace(labels, by_id=renamed)


def labels_of_column(column: pa.Array, ids: Ids, rows: Int64, where: str, *, regression: bool | None = None) -> Labels:
    """Return the labels of `rows` in a column of the pool itself; null means not labelled.

    where: pool and column, for messages. regression: None means a regression for a column of floats. Raises
    DataError.
    """
    kind = class_type_of(column.type, where)
    regression = kind == "float" if regression is None else regression
    labels, types = Labels(), set[str]()
    if column.null_count:
        rows = rows[column.is_valid().to_numpy(zero_copy_only=False)[rows]]
    given = [
        (row, value)
        for start in range(0, len(rows), _AT_ONCE)
        for row, value in _values_at(column, rows[start : start + _AT_ONCE])
        if not is_blank(value)
    ]
    for id, (row, value) in zip(ids.arrow(np.array([row for row, _ in given], np.int64)).to_pylist(), given):
        at = f"{where}, row {row} (id '{printable(id)}')"
        labels.by_id[id] = Said(to_target(value, at) if regression else to_class(value, at, types), 1.0, at)
    labels.class_type = types.pop() if len(types) == 1 else "string"
    return labels


def _values_at(column: pa.Array, rows: Int64) -> Iterator[tuple[int, Any]]:
    """The rows, and the values of a column at them."""
    return zip(rows.tolist(), column.take(pa.array(rows)).to_pylist())


def class_type_of(kind: pa.DataType, where: str) -> str:
    """Return the type of a label column: "string", "integer", "boolean" (classification) or "float" (regression).

    Raises DataError for other types. where: pool and column, for messages.
    """
    if pt.is_decimal(kind):
        # Databases unload integers as decimals without places.
        return "float" if kind.scale > 0 else "integer"
    if pt.is_floating(kind):
        return "float"
    if pt.is_boolean(kind):
        return "boolean"
    if pt.is_integer(kind):
        return "integer"
    if any(is_a(kind) for is_a in _TEXT):
        return "string"
    raise DataError(f"{where} is of type {kind}, expected classes (strings, integers, booleans) or numbers")
