"""From a pool and label files to the labelled rows that a head learns from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from alcli.arrays import Array, Int64
from alcli.data.head_file import Absorbed
from alcli.data.labels import Labels, class_type_of, labels_of_column, read_labels
from alcli.data.pool import Pool
from alcli.data.tables import RowSource
from alcli.errors import DataError, UsageError, counted, printable
from alcli.heads._contract import Training
from alcli.remarks import Note, silence

Task = Literal["auto", "classification", "regression"]


@dataclass(frozen=True)
class LabelledRows:
    """Labelled rows of a pool: their numbers and their labels."""

    rows_L: Int64
    labels: Labels
    regression: bool

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes that occur; None in a regression."""
        return None if self.regression else self.labels.classes()


def gather(
    pool: Pool, paths: Sequence[RowSource], *, task: Task = "auto", head: str | None = None, ignore_unknown: bool = False, note: Note = silence
) -> LabelledRows:
    """The labelled rows: those of the label files, or without any file those of the pool's own label column.

    Rows whose split is test are left out, as are rows without a usable vector. Raises DataError, UsageError, InputError.
    """
    regression = is_regression(pool, task, head)
    if paths:
        labels = read_labels(paths, pool.ids, regression=regression, ignore_unknown=ignore_unknown, groups=pool.groups, note=note)
        if task == "auto" and not regression and _are_decimals(labels):
            note(f"the labels look like numbers and are taken for {len(labels.classes())} classes: 'alcli fit-head --task regression' predicts them as numbers")
        return usable(pool, labels, regression, note)
    return usable(pool, own_labels(pool, np.flatnonzero(~pool.is_test), regression=regression), regression, note)


def _are_decimals(labels: Labels) -> bool:
    """Whether all labels are numbers, and not whole ones alone."""
    try:
        numbers = [float(said.label) for said in labels.by_id.values()]
    except ValueError:
        return False
    return not all(number.is_integer() for number in numbers)


def usable(pool: Pool, labels: Labels, regression: bool, note: Note) -> LabelledRows:
    """Leave out the labels of test rows and of rows without a usable vector, with a note on each kind."""
    rows_L = pool.ids.rows_of(list(labels.by_id))
    for mask, one, several, done in (
        (pool.is_test, "is a test row and was", "are test rows and were", "kept out of the fit"),
        (pool.is_bad, "has no usable vector and was", "have no usable vector and were", "left out"),
    ):
        out_L = mask[rows_L]
        if out_L.any():
            note(f"{counted(int(out_L.sum()), f'labelled row {one}', f'labelled rows {several}')} {done}")
            labels = replace(labels, by_id={id: said for (id, said), out in zip(labels.by_id.items(), out_L) if not out})
            rows_L = rows_L[~out_L]
    return LabelledRows(rows_L, labels, regression)


def own_labels(pool: Pool, rows: Int64, *, regression: bool | None = None) -> Labels:
    """The labels that the pool itself carries for `rows`; none at all when it has no label column. regression: None follows its type."""
    column = pool.labels()
    return Labels() if column is None else labels_of_column(column, pool.ids, rows, pool.label_place, regression=regression)


def is_regression(pool: Pool, task: Task, head: str | None) -> bool:
    """Whether labels are numbers to predict: as the user says, else as the type of the pool's label column says."""
    if task not in ("auto", "classification", "regression"):
        raise UsageError(f"the task must be auto, classification or regression, got '{task}'")
    if task != "auto":
        return task == "regression"
    column = pool.labels()
    floats = column is not None and class_type_of(column.type, pool.label_place) == "float"
    return floats and head in (None, "ridge", "mlp")


def training(pool: Pool, labelled: LabelledRows, classes: Sequence[str] | None) -> Training:
    """Features and labels of labelled rows, in the order of the ids, so that their order in the files does not matter."""
    y_L, weights_L = labelled.labels.arrays(classes)
    order = id_order(pool, labelled.rows_L)
    return Training(pool.take(labelled.rows_L[order]), y_L[order], weights_L[order], None if classes is None else len(classes))


def absorbed(pool: Pool, labelled: LabelledRows, data: Training) -> Absorbed:
    """What a head remembers of `data`, made by `training` from the same rows."""
    rows_L = labelled.rows_L[id_order(pool, labelled.rows_L)]
    return Absorbed(pool.ids.hashes(rows_L), data.y_L, data.weights_L)


def test_rows(pool: Pool, classes: Sequence[str] | None) -> tuple[Int64, Array, int]:
    """(rows, labels, how many were left out) of the labelled test split; a class unknown to the head leaves its rows out."""
    labels = own_labels(pool, np.flatnonzero(pool.is_test & ~pool.is_bad), regression=classes is None)
    before = len(labels)
    if classes is not None:
        known = set(classes)
        labels.by_id = {id: said for id, said in labels.by_id.items() if said.label in known}
    y, _ = labels.arrays(classes)
    return pool.ids.rows_of(list(labels.by_id)), y, before - len(labels)


def require_labels(labelled: LabelledRows, pool: Pool, paths: Sequence[RowSource]) -> None:
    """Raise DataError when there is nothing to learn from: no label at all, or one class."""
    if not len(labelled.labels):
        where = "the label files hold no label" if paths else f"{pool.name} has no labelled row in column '{pool.label_column}'"
        raise DataError(f"{where}, a head needs some", hint="give labels with -l FILE")
    if labelled.classes is not None and len(labelled.classes) == 1:
        what = f"a head needs 2 classes, {'the label is' if len(labelled.labels) == 1 else f'all {len(labelled.labels)} labels are'} '{printable(labelled.classes[0])}'"
        raise DataError(what, hint="label items of another class; query with a strategy that needs no head, such as coreset, finds some")


def id_order(pool: Pool, rows: Int64) -> Int64:
    """The permutation that puts `rows` in the order of their ids."""
    by_id = pool.sorted_by_id(rows)
    place = {int(row): i for i, row in enumerate(rows)}
    return np.array([place[int(row)] for row in by_id], np.int64)
