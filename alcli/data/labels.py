"""Labels: who said what about which id, from several files, the later one winning."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.types as pt

from alcli.arrays import Array, Float64, Int64
from alcli.data.groups import Groups, by_row, name_of
from alcli.data.ids import Id, Ids
from alcli.data.tables import Row, RowSource, read_rows
from alcli.errors import DataError, counted, printable
from alcli.remarks import Note, silence

K = TypeVar("K", bound=Hashable)
Label = str | float


@dataclass(frozen=True)
class Said:
    """One label and where it was read."""

    label: Label
    weight: float
    where: str


@dataclass
class Labels:
    """Labels by id in the order they were read. A class is a string; in a regression a label is a float."""

    by_id: dict[Id, Said] = field(default_factory=dict)
    class_type: str = "string"  # how classes are written in a typed file: string, integer, boolean

    def __len__(self) -> int:
        return len(self.by_id)

    def arrays(self, classes: Sequence[str] | None) -> tuple[Array, Float64]:
        """(y_L, weights_L): class numbers in `classes`, or float64 targets where that is None. Raises DataError for an unknown class."""
        weights_L = np.array([s.weight for s in self.by_id.values()])
        if classes is None:
            return np.array([s.label for s in self.by_id.values()], np.float64), weights_L
        number = {c: i for i, c in enumerate(classes)}
        for said in self.by_id.values():
            if said.label not in number:
                raise DataError(f"{said.where}: the head has no class '{printable(said.label)}'", hint="--allow-new-classes of 'alcli update' adds it; or fit a new head")
        return np.array([number[str(s.label)] for s in self.by_id.values()], np.int64), weights_L

    def classes(self) -> tuple[str, ...]:
        """The distinct classes: integers in order of value, everything else alphabetically."""
        return sorted_classes({str(s.label) for s in self.by_id.values()}, self.class_type)


def sorted_classes(found: Iterable[str], class_type: str) -> tuple[str, ...]:
    """Distinct class names in their fixed order."""
    return tuple(sorted(found, key=int if class_type == "integer" else str))


def read_labels(
    paths: Sequence[RowSource], ids: Ids, *, regression: bool, ignore_unknown: bool = False, groups: Groups | None = None, note: Note = silence
) -> Labels:
    """Read label files with columns `id`, `label`, optional `weight`; a later file wins, within a file a contradiction is an error.

    ids: those of the pool, whose type the ids get. groups: of the pool; the label of one is that of its rows (see data/groups.py).
    Raises DataError naming file, line and id; UsageError, InputError.
    """
    labels = Labels()
    types: set[str] = set()
    for path in paths:
        in_file, unknown = _one_file(path, ids, groups, regression, types, note)
        _check_known(unknown, ignore_unknown, note)
        for id in in_file:
            labels.by_id.pop(id, None)
        labels.by_id.update(in_file)
    if len(types) == 1:
        labels.class_type = types.pop()
    if not regression:
        _warn_of_look_alikes(labels, note)
    return labels


def _check_known(unknown: dict[str, Said], ignore: bool, note: Note) -> None:
    """Note ids that the pool does not have, or refuse them."""
    if unknown and not ignore:
        more = f" (and {len(unknown) - 1} more)" if len(unknown) > 1 else ""
        id, said = next(iter(unknown.items()))
        raise DataError(f"{said.where}: the id '{printable(id)}' is not in the pool{more}", hint="leave such ids out with --ignore-unknown")
    if unknown:
        note(f"{counted(len(unknown), 'label of an id that is not in the pool was', 'labels of ids that are not in the pool were')} ignored")


def _one_file(path: RowSource, ids: Ids, groups: Groups | None, regression: bool, types: set[str], note: Note) -> tuple[dict[Id, Said], dict[str, Said]]:
    """What a file says of the rows of the pool, and of ids that it does not have."""
    if groups is not None:
        rows = read_rows(path, ["label"], optional=["id", "group", "weight"])
        named = _said(path, rows, lambda row: name_of(row, ids, groups), regression, types, note)
        of_rows, missing = by_row(named, lambda said: said.where, ids, groups)
        return of_rows, {str(name): named[name] for name in missing}
    rows = read_rows(path, ["id", "label"], optional=["weight"])
    found = _said(path, rows, lambda row: ids.parse(row.values["id"], row.where, from_text=row.from_text), regression, types, note)
    wanted = list(found)
    unknown = [wanted[i] for i in np.flatnonzero(ids.rows_of(wanted) < 0)]
    return found, {str(id): found.pop(id) for id in unknown}


def _said(path: RowSource, rows: Iterable[Row], key: Callable[[Row], K], regression: bool, types: set[str], note: Note) -> dict[K, Said]:
    """The labels of a file by what they are of. The types of classes are added to `types`."""
    found: dict[K, Said] = {}
    blank = twice = 0
    for row in rows:
        value = row.values["label"]
        if value is None or value == "":
            blank += 1
            continue
        id = key(row)
        said = Said(to_target(value, row.where) if regression else to_class(value, row.where, types), to_weight(row.values.get("weight"), row.where), row.where)
        before = found.get(id)
        if before is not None and before.label != said.label:
            raise DataError(f"{row.where}: the id '{printable(str(id))}' is labelled '{printable(said.label)}', but '{printable(before.label)}' at {before.where}")
        twice += before is not None
        found[id] = said
    if blank:
        note(f"{printable(path)}: {counted(blank, 'row without a label was', 'rows without a label were')} skipped")
    if twice:
        note(f"{printable(path)}: {counted(twice, 'row repeats', 'rows repeat')} a label of the same file")
    return found


def to_class(value: Any, where: str, types: set[str]) -> str:
    """The name of a class; its type is added to `types`. A float without a fraction is an integer, as libraries write integers with gaps."""
    if isinstance(value, bool):
        types.add("boolean")
        return "true" if value else "false"
    if isinstance(value, int) or (isinstance(value, float) and value.is_integer()):
        types.add("integer")
        return str(int(value))
    if isinstance(value, str):
        types.add("string")
        return value
    raise DataError(f"{where}: the label {printable(repr(value))} is no class, expected a string, an integer or a boolean", hint="'alcli fit-head --task regression' makes a head for numbers")


def to_target(value: Any, where: str) -> float:
    """The number that a label of a regression is. Raises DataError."""
    try:
        number = float(value) if not isinstance(value, bool) else math.nan
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise DataError(f"{where}: the label '{printable(value)}' is not a finite number, as a regression needs")
    return number


def to_weight(value: Any, where: str) -> float:
    """The weight of a label, 1 where nothing is said. Raises DataError unless it is positive and finite."""
    if value is None or value == "":
        return 1.0
    try:
        weight = float(value)
    except (TypeError, ValueError, OverflowError):
        weight = math.nan
    if not (math.isfinite(weight) and weight > 0):
        raise DataError(f"{where}: the weight '{printable(value)}' is not a positive number")
    return weight


def _warn_of_look_alikes(labels: Labels, note: Note) -> None:
    plain: dict[str, str] = {}
    for name in sorted({str(s.label) for s in labels.by_id.values()}):
        other = plain.setdefault(name.strip(), name)
        if other != name:
            note(f"the classes '{printable(other)}' and '{printable(name)}' differ only by spaces")


def labels_of_column(column: pa.Array, ids: Ids, rows: Int64, where: str, *, regression: bool | None = None) -> Labels:
    """The labels that a pool itself carries, for `rows`; null means not labelled. where: pool and column, for messages.

    regression: None makes one of a float column.
    """
    kind = class_type_of(column.type, where)
    regression = kind == "float" if regression is None else regression
    labels, types = Labels(), set[str]()
    for id, row, value in zip(ids.arrow(rows).to_pylist(), rows.tolist(), column.take(pa.array(rows)).to_pylist()):
        if value is None or value == "":
            continue
        at = f"{where}, row {row} (id '{printable(id)}')"
        labels.by_id[id] = Said(to_target(value, at) if regression else to_class(value, at, types), 1.0, at)
    labels.class_type = types.pop() if len(types) == 1 else "string"
    return labels


def class_type_of(kind: pa.DataType, where: str) -> str:
    """string, integer, boolean (classification) or float (regression). Raises DataError for other types of a label column."""
    if pt.is_floating(kind) or pt.is_decimal(kind):
        return "float"
    if pt.is_boolean(kind):
        return "boolean"
    if pt.is_integer(kind):
        return "integer"
    if pt.is_string(kind) or pt.is_large_string(kind) or pt.is_null(kind):
        return "string"
    raise DataError(f"{where} is of type {kind}, expected classes (strings, integers, booleans) or numbers")
