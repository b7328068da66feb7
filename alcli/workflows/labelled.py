"""The labelled rows that a head learns from, gathered from a pool and label files."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Literal

import numpy as np

from alcli.arrays import Array, Int64
from alcli.data.absorbed import Absorbed
from alcli.data.ids import Id
from alcli.data.labels import Labels, class_type_of, labels_of_column, read_labels, respelled, set_apart
from alcli.data.pool import Pool
from alcli.data.spellings.classes import AS_WRITTEN, Spelling, remark_on_look_alikes, remark_on_strangers
from alcli.data.text.rows import RowSource
from alcli.errors import DataError, UsageError, counted, printable
from alcli.heads._contract import Training
from alcli.remarks import Note, silence
from alcli.workflows.oddities import remark_on_columns, remark_on_task

Task = Literal["auto", "classification", "regression"]


@dataclass(frozen=True)
class LabelledRows:
    """Labelled rows of a pool: rows_L their numbers, labels their labels in the same order.

    none_label: the label of items that belong to no class. none_rows: the numbers of their rows. normalizes: classes
    that look alike were taken as one.
    """

    rows_L: Int64
    labels: Labels
    regression: bool
    none_label: str | None = None
    none_rows: Int64 = field(default_factory=lambda: np.empty(0, np.int64))
    normalizes: bool = False

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The classes that occur; None in a regression."""
        return None if self.regression else self.labels.classes()


def gather(
    pool: Pool,
    paths: Sequence[RowSource],
    *,
    task: Task = "auto",
    head: str | None = None,
    ignore_unknown: bool = False,
    corrections: bool = False,
    none_label: str | None = None,
    spelling: Spelling = AS_WRITTEN,
    given_out: Collection[Id] | None = None,
    note: Note = silence,
) -> LabelledRows:
    """Return the rows labelled by the label files or, without any file, by the pool's own label column.

    Rows whose split is test are left out, and so are rows without a usable vector. Raises DataError, UsageError,
    InputError.
    """
    regression = is_regression(pool, task, head, from_files=bool(paths))
    remark_on_columns(pool, note, needs_labels=not paths)
    if paths:
        labels = read_labels(
            paths,
            pool.ids,
            regression=regression,
            ignore_unknown=ignore_unknown,
            groups=pool.groups,
            corrections=corrections,
            none_label=none_label,
            spelling=spelling,
            given_out=given_out,
            note=note,
        )
    else:
        known = spelling if none_label is None else replace(spelling, known=(none_label, *spelling.known))
        labels = own_labels(pool, np.flatnonzero(~pool.is_test), regression=regression, spelling=known, note=note)
        labels = set_apart(labels, none_label, note)
        if not regression:
            remark_on_look_alikes(labels.classes(), note)
    if task == "auto":
        remark_on_task(labels, regression, note)
    rows = pool.ids.rows_of(list(labels.of_no_class))
    found = usable(pool, labels, regression, note)
    return replace(found, none_label=none_label, none_rows=rows, normalizes=spelling.merge and not regression)


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
            kept = {id: said for (id, said), out in zip(labels.by_id.items(), out_L) if not out}
            labels = replace(labels, by_id=kept)
            rows_L = rows_L[~out_L]
    return LabelledRows(rows_L, labels, regression)


def own_labels(
    pool: Pool,
    rows: Int64,
    *,
    regression: bool | None = None,
    spelling: Spelling = AS_WRITTEN,
    note: Note = silence,
) -> Labels:
    """Return the labels that the pool itself carries for `rows`; no labels when it has no label column.

    regression: None follows the type of the column. spelling: of classes; note is told of those that are merged.
    """
    # With test labels in files, a column that cannot be learned is nobody's concern.
    column = None if pool.test_sources and not _is_learnable(pool) else pool.labels()
    if column is None:
        found = Labels()
    else:
        found = labels_of_column(column, pool.ids, rows, pool.label_place, regression=regression)
    found = and_test_labels(pool, rows, found, bool(regression), spelling)
    return found if regression else respelled(found, spelling, note)


def with_test_labels(
    pool: Pool, sources: Sequence[RowSource], *, ignore_unknown: bool, normalize: bool = False
) -> Pool:
    """Return the pool with more test rows: those that files label. `own_labels` then gives the labels too.

    ignore_unknown: leave out ids that the pool does not have. normalize: classes that look alike are one.
    Raises what `read_labels` does, and UsageError for standard input, which can be read once.
    """
    if not sources:
        return pool
    if "-" in map(str, sources):
        raise UsageError("--test-labels reads its file twice, standard input can be read once", hint="name a file")
    given, groups, spelling = pool.ids, pool.groups, Spelling(normalize)
    read = partial(read_labels, sources, given, ignore_unknown=ignore_unknown, groups=groups, spelling=spelling)
    try:
        labels = read(regression=False)
    except DataError as error:
        # The labels may be numbers, which the caller does not know yet.
        try:
            labels = read(regression=True)
        except DataError:
            raise error from None
    return pool.with_test(pool.ids.rows_of(list(labels.by_id)), sources)


def and_test_labels(pool: Pool, rows: Int64, labels: Labels, regression: bool, spelling: Spelling) -> Labels:
    """Return the labels with those that the files of test rows give to `rows`, which come before the others."""
    if not pool.test_sources:
        return labels
    given = read_labels(
        pool.test_sources,
        pool.ids,
        regression=regression,
        ignore_unknown=True,
        groups=pool.groups,
        spelling=spelling,
    )
    wanted = set(pool.ids.arrow(rows).to_pylist())
    kept = {id: said for id, said in given.by_id.items() if id in wanted}
    return replace(labels, by_id=labels.by_id | kept, class_type=labels.class_type if len(labels) else given.class_type)


def _check_learnable(pool: Pool) -> None:
    """Raise DataError for a label column that cannot be learned, such as lists or dates; no value is read."""
    for kind in pool.types_of(pool.label_column):
        try:
            class_type_of(kind, pool.label_place)
        except DataError as error:
            hint = "give labels with -l FILE, or name another column with --label-col"
            raise DataError(error.message, hint=hint) from None


def _is_learnable(pool: Pool) -> bool:
    try:
        _check_learnable(pool)
    except DataError:
        return False
    return True


def is_regression(pool: Pool, task: Task, head: str | None, *, from_files: bool = False) -> bool:
    """True where labels are numbers to predict: as `task` says; with auto, as the type of the label column says.

    from_files: the labels are in files, so that a column which cannot be learned is nobody's concern.
    """
    if task not in ("auto", "classification", "regression"):
        raise UsageError(f"the task must be auto, classification or regression, got '{task}'")
    if task != "auto":
        return task == "regression"
    if from_files and not _is_learnable(pool):
        return False
    _check_learnable(pool)
    column = pool.labels()
    floats = column is not None and class_type_of(column.type, pool.label_place) == "float"
    return floats and head in (None, "ridge", "mlp")


def training(pool: Pool, labelled: LabelledRows, classes: Sequence[str] | None) -> Training:
    """Return the features and labels of labelled rows, in the order of the ids.

    The order of the labels in the files therefore does not matter.
    """
    y_L, weights_L = labelled.labels.arrays(classes)
    order = id_order(pool, labelled.rows_L)
    n_classes = None if classes is None else len(classes)
    return Training(pool.take(labelled.rows_L[order]), y_L[order], weights_L[order], n_classes)


def absorbed(pool: Pool, labelled: LabelledRows, data: Training) -> Absorbed:
    """Return the record that a head keeps of `data`, made by `training` from the same rows."""
    rows_L = labelled.rows_L[id_order(pool, labelled.rows_L)]
    return Absorbed(pool.ids.hashes(rows_L), data.y_L, data.weights_L)


def test_rows(
    pool: Pool, classes: Sequence[str] | None, none_label: str | None, *, normalize: bool, note: Note
) -> tuple[Int64, Array, int]:
    """Return (rows, labels, number of rows left out) of the labelled test split, without rows of no class.

    Rows of a class that the head does not know are left out. A label column that cannot be learned labels no row.
    normalize: a class that looks like one of the head is it. note: told of such classes where they are not.
    """
    if not _is_learnable(pool) and not pool.test_sources:
        return np.empty(0, np.int64), np.empty(0), 0
    spelling = Spelling(normalize, (*(() if none_label is None else (none_label,)), *(classes or ())))
    rows = np.flatnonzero(pool.is_test & ~pool.is_bad)
    labels = set_apart(own_labels(pool, rows, regression=classes is None, spelling=spelling), none_label)
    before = len(labels)
    if classes is not None:
        known = set(classes)
        remark_on_strangers([str(said.label) for said in labels.by_id.values()], known, "the test rows", note)
        labels.by_id = {id: said for id, said in labels.by_id.items() if said.label in known}
    y, _ = labels.arrays(classes)
    return pool.ids.rows_of(list(labels.by_id)), y, before - len(labels)


def require_labels(labelled: LabelledRows, pool: Pool, paths: Sequence[RowSource]) -> None:
    """Raise DataError when there is nothing to learn from: no label at all, or labels of one class only."""
    if not len(labelled.labels):
        column = f"{pool.name} has no labelled row in column '{pool.label_column}'"
        where = "the label files hold no label" if paths else column
        raise DataError(f"{where}, a head needs some", hint="give labels with -l FILE")
    if labelled.classes is not None and len(labelled.classes) == 1:
        n = len(labelled.labels)
        there = "the label is" if n == 1 else f"all {n} labels are"
        raise DataError(
            f"a head needs 2 classes, {there} '{printable(labelled.classes[0])}'",
            hint=_undecided(labelled.labels)
            or "label items of another class; query with a strategy that needs no head, such as coreset, finds some",
        )


def _undecided(labels: Labels) -> str:
    """A hint at an item that was left out since its annotators disagree; "" where there is none."""
    said = [one for one in labels.conflicts if one.taken is None]
    if not said:
        return ""
    places = " and ".join(f"'{printable(str(one.label))}' at {one.where}" for one in said if one.id == said[0].id)
    return f"items without a majority are left out: '{printable(str(said[0].id))}' is {places}; settle such items"


def id_order(pool: Pool, rows: Int64) -> Int64:
    """Return the permutation that puts `rows` in the order of their ids."""
    by_id = pool.sorted_by_id(rows)
    place = {int(row): i for i, row in enumerate(rows)}
    return np.array([place[int(row)] for row in by_id], np.int64)
