"""Read an audit: the labels of drawn rows, and the weights that the draw gave them, from one file or from several."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.data.annotations.reading import places_of
from alcli.data.annotations.said import Said
from alcli.data.exports.answers import ExportReader
from alcli.data.ids import Id
from alcli.data.labels import Labels
from alcli.data.pool import Pool
from alcli.data.spellings.labels import is_blank, to_class, to_target, to_weight
from alcli.data.tables import read_rows
from alcli.data.text.rows import Row, RowSource
from alcli.errors import DataError, counted, printable
from alcli.numerics.audit.draw import LARGEST_WEIGHT
from alcli.remarks import Note
from alcli.workflows.labelled import LabelledRows

# Intervals from fewer labels would be as wide as the range of what they measure.
FEWEST = 10
_BOTH = "give the file of 'alcli query -s audit' too, as in --audit answers.csv --audit audit.csv"


@dataclass(frozen=True)
class AuditLabels:
    """The labelled rows of an audit. rows_M: row numbers. labels: in the same order. weights_M: 1 / (n q).

    drawn: the rows that were drawn, labelled or not. n: the number of rows that they were drawn from.
    """

    rows_M: Int64
    labels: Labels
    weights_M: Float64
    drawn: Int64
    n: int


def read_audit(pool: Pool, sources: Sequence[RowSource], *, regression: bool, note: Note) -> AuditLabels:
    """Read the files of an audit: each has the column id, and label or weight or both.

    Labels and weights are joined by id; of two, the one in the later file counts. Raises DataError naming file, line
    and id for a row that is not in the pool, has a label and no weight, or two labels in one file; and where there are
    too few labels.
    """
    found = _Columns()
    for source in sources:
        found.read(source, pool, regression)
    shown = ", ".join(map(printable, sources))
    _check_drawn(pool, found, shown)
    n = int((~pool.is_test & ~pool.is_bad).sum())
    if found.population is not None and found.population != n:
        note(
            f"{shown}: the audit was drawn from {found.population} rows, and {n} can be drawn now; it tells of the old"
        )
    drawn = pool.ids.rows_of(list(found.weights))
    labels = _usable(pool, found, note)
    if len(labels) < FEWEST:
        what = f"{shown}: {counted(len(labels), 'audit label')}, an audit needs at least {FEWEST}"
        raise DataError(what, hint="label more rows of it")
    if missing := len(set(found.weights) - set(found.labels.by_id)):
        one, several = "drawn row has no label and is", "drawn rows have no label and are"
        note(f"{shown}: {counted(missing, one, several)} left out, which is right for the last in rank alone")
    weights_M = np.array([found.weights[id] for id in labels.by_id])
    return AuditLabels(pool.ids.rows_of(list(labels.by_id)), labels, weights_M, drawn, max(found.population or n, n))


def without_audit(pool: Pool, labelled: LabelledRows, drawn: Int64, note: Note) -> LabelledRows:
    """Leave out the labels of rows that belong to an audit, and say how many. drawn: row numbers."""
    out_L = np.isin(labelled.rows_L, drawn)
    if not out_L.any():
        return labelled
    one, several = "labelled row belongs to the audit, so it is", "labelled rows belong to the audit, so they are"
    note(f"{counted(int(out_L.sum()), one, several)} not learned from")
    kept = {id: said for (id, said), out in zip(labelled.labels.by_id.items(), out_L) if not out}
    return replace(labelled, rows_L=labelled.rows_L[~out_L], labels=replace(labelled.labels, by_id=kept))


class _Columns:
    """Labels and weights by id, as the files have them. where: the place of the row of each id."""

    def __init__(self) -> None:
        self.labels, self.weights, self.where = Labels(), dict[Id, float](), dict[Id, str]()
        self.population: int | None = None

    def read(self, source: RowSource, pool: Pool, regression: bool) -> None:
        """Add the rows of one file. Raises DataError."""
        in_file: dict[Id, Said] = {}
        optional = ["label", "weight", "population"]
        for row in read_rows(source, ["id"], optional=optional, export=ExportReader(places_of(source))):
            id = pool.ids.parse(row.values["id"], row.where, from_text=row.from_text)
            self.where[id] = row.where
            if not is_blank(value := row.values.get("label")):
                said = Said(_label(value, row.where, regression), 1.0, row.where)
                _check_same(in_file.get(id), said, id)
                in_file[id] = said
            if row.values.get("weight") not in (None, ""):
                self.weights[id] = _weight(row)
            self.population = _population(row, self.population)
        self.labels.by_id |= in_file


def _label(value: Any, where: str, regression: bool) -> str | float:
    return to_target(value, where) if regression else to_class(value, where, set())


def _check_same(before: Said | None, said: Said, id: Id) -> None:
    """Raise DataError for two labels of an id in one file."""
    if before is not None and before.label != said.label:
        what = f"the id '{printable(id)}' is labelled '{printable(said.label)}'"
        raise DataError(f"{said.where}: {what}, but '{printable(before.label)}' at {before.where}")


def _weight(row: Row) -> float:
    """The weight of a drawn row. Raises DataError for a number that no draw gives."""
    weight = to_weight(row.values["weight"], row.where)
    if weight > LARGEST_WEIGHT * (1.0 + 1e-5):
        what = f"{row.where}: the weight {weight:g} is not that of an audit, expected more than 0 and at most 2"
        raise DataError(what, hint="'alcli query -s audit' writes the weights")
    return weight


def _population(row: Row, before: int | None) -> int | None:
    """The number of rows that the row was drawn from, where the file says it; the largest of several batches."""
    value = row.values.get("population")
    if value is None or value == "":
        return before
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = 0
    if number < 1:
        raise DataError(f"{row.where}: the population '{printable(value)}' is not a number of rows")
    return max(number, before or 0)


def _check_drawn(pool: Pool, found: _Columns, shown: str) -> None:
    """Raise DataError for a row of another pool, and for a label of a row that was not drawn."""
    ids = list(found.where)
    unknown = np.flatnonzero(pool.ids.rows_of(ids) < 0)
    if len(unknown):
        id = ids[unknown[0]]
        what = f"{found.where[id]}: the id '{printable(id)}' is not in the pool, so the audit is of another pool"
        raise DataError(what, hint="give the pool that the audit was drawn from")
    if not len(found.labels):
        raise DataError(f"{shown}: no row has a label", hint="label the rows of the audit, in a column label")
    without = [id for id in found.labels.by_id if id not in found.weights]
    if without:
        said, more = found.labels.by_id[without[0]], f" (and {len(without) - 1} more)" if len(without) > 1 else ""
        what = f"{said.where}: the id '{printable(without[0])}' has a label and no weight, so it was not drawn{more}"
        raise DataError(what, hint=_BOTH)


def _usable(pool: Pool, found: _Columns, note: Note) -> Labels:
    """The labels of rows that an audit can be of: without test rows and rows without a usable vector."""
    ids = list(found.labels.by_id)
    rows_M = pool.ids.rows_of(ids)
    out_M = pool.is_test[rows_M] | pool.is_bad[rows_M]
    if out_M.any():
        one, several = "audited row is a test row or has no usable vector and was", "audited rows are test rows or "
        note(f"{counted(int(out_M.sum()), one, several + 'have no usable vector and were')} left out")
    return replace(found.labels, by_id={id: found.labels.by_id[id] for id, out in zip(ids, out_M) if not out})
