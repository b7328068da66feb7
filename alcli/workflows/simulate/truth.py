"""The labels of a pool as a simulation needs them: all known, to be given out one batch at a time."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Array, Int64
from alcli.data.annotations.said import Said
from alcli.data.ids import Id
from alcli.data.labels import Labels, read_labels, respelled, set_apart
from alcli.data.pool import Pool
from alcli.data.spellings.classes import Spelling, remark_on_look_alikes
from alcli.data.spellings.numbers import number_of
from alcli.data.text.rows import RowSource
from alcli.errors import DataError, UsageError, counted, printable
from alcli.remarks import Note, silence
from alcli.selection.group_source import Grouping
from alcli.simulation.oracle import NO_CLASS, no_class_N
from alcli.workflows.labelled import and_test_labels, is_regression, own_labels


@dataclass(frozen=True)
class Truth:
    """The labels of the rows that take part.

    y_N: int64 class numbers, NO_CLASS for a row of no class, or float64 targets; only the entries of `used` rows have a
    meaning.
    used: the numbers of the rows with a label and a usable vector, in the order of their ids; without test rows of no
    class.
    test: the used rows of the test split, in the same order; empty where the pool has no test split.
    classes: the names of the classes; None in a regression. grouping: the groups of the used rows; None where every
    row is an item.
    """

    y_N: Array
    used: Int64
    test: Int64
    classes: tuple[str, ...] | None
    grouping: Grouping | None = None

    @property
    def n_classes(self) -> int | None:
        return None if self.classes is None else len(self.classes)

    def measured_counts(self) -> Int64 | None:
        """Return the number of rows of each class among those that strategies are measured on; None in a regression.

        Where the pool has no test rows some are held out, with the shares of the classes; then all rows count.
        """
        if self.classes is None:
            return None
        rows = self.test if len(self.test) else self._of_class
        return np.bincount(self.y_N[rows], minlength=len(self.classes))

    @property
    def _of_class(self) -> Int64:
        """The used rows that belong to a class; all of them in a regression."""
        return self.used[~no_class_N(self.y_N[self.used])]

    def unlearnable(self) -> str | None:
        """Return a remark on test rows of classes that no other row has; None without a test split or such rows."""
        if self.classes is None or not len(self.test):
            return None
        y_T = self.y_N[self.test]
        learned = np.unique(self.y_N[np.setdiff1d(self.used, self.test)])
        lost_T = ~np.isin(y_T, learned)
        if not lost_T.any():
            return None
        names = ", ".join(f"'{printable(self.classes[c])}'" for c in np.unique(y_T[lost_T])[:5])
        n = int(lost_T.sum())
        rows = f"{counted(n, 'test row')} of {len(y_T):,} ({n / len(y_T):.0%})"
        return f"{rows} of classes that only test rows have, such as {names}: every head predicts them wrongly"

    def askable(self, test_fraction: float) -> int:
        """Return the number of items that can be asked for once the test items are set aside."""
        of_class = self.n_items(self._of_class)
        held_out = min(max(1, round(test_fraction * of_class)), of_class - 1)
        return self.n_items(self.used) - (self.n_items(self.test) or held_out)

    def n_items(self, rows: Int64) -> int:
        """Return the number of items that the rows make."""
        return len(rows if self.grouping is None else self.grouping.of_rows(rows))

    def digest(self, pool: Pool) -> str:
        """Return the SHA-256 of ids, labels, classes, split and groups, whatever the order of the rows; hexadecimal."""
        sha = hashlib.sha256(repr(self.classes).encode())
        groups = [] if self.grouping is None else [self.grouping.keys_G[self.grouping.group_N[self.used]]]
        for part in (pool.row_keys(self.used), self.y_N[self.used], np.isin(self.used, self.test), *groups):
            sha.update(np.ascontiguousarray(part).tobytes())
        return sha.hexdigest()


@dataclass(frozen=True)
class LabelFiles:
    """Files of labels in the place of the column of the pool; none by default.

    ignore_unknown: leave out labels of ids that the pool does not have. corrections: the last label of an id counts.
    """

    files: Sequence[RowSource] = ()
    ignore_unknown: bool = False
    corrections: bool = False

    def checked(self, others: Sequence[RowSource] = ()) -> None:
        """Raise UsageError for options about files without a file. others: files of labels beside these."""
        if not self.files and not others and (self.ignore_unknown or self.corrections):
            given = "--ignore-unknown" if self.ignore_unknown else "--corrections"
            raise UsageError(f"{given} is about files of labels", hint="name them with -l")


def truth_of(
    pool: Pool,
    head: str | None,
    given: LabelFiles = LabelFiles(),
    none_label: str | None = None,
    note: Note = silence,
    *,
    normalize: bool = False,
) -> Truth:
    """Read the labels of a pool, or of files in their place.

    head: the kind of head that the user named; `ridge` makes numbers of labels in files. none_label: says that a row
    belongs to no class. Test rows of no class are left out, as in `fit_head`. normalize:
    classes that look alike become one. note: told what is odd in the labels, and of classes that look alike.
    Raises DataError when there are no labels, or when all labels are of one class, and what `read_labels` does;
    UsageError for a label of no class where labels are numbers or rows make groups.
    """
    regression = is_regression(pool, "auto", head, from_files=bool(given.files))
    regression = regression or (bool(given.files) and head == "ridge")
    _check_none_label(pool, none_label, regression)
    spelling = Spelling(normalize, () if none_label is None else (none_label,))
    if given.files:
        labels = _from_files(pool, given, regression, none_label, spelling, note)
    else:
        rows = np.flatnonzero(~pool.is_bad)
        labels = own_labels(pool, rows, regression=regression, spelling=spelling, note=note)
        labels = set_apart(labels, none_label, note)
    where = _where(pool, given)
    if not len(labels):
        need = "a simulation needs them to play the annotator"
        if given.files:
            raise DataError(f"{where}: no labels of rows with a usable vector, {need}")
        hint = "give labels with -l FILE, add a column of labels, or name it with --label-col"
        raise DataError(f"{pool.name}: no labels in column '{pool.label_column}', {need}", hint=hint)
    classes = None if regression else labels.classes()
    remark_on_look_alikes(classes or (), note)
    if classes is not None and len(classes) < 2:
        raise DataError(f"{where}: every label is '{classes[0]}', expected 2 classes or more")
    y_L, _ = labels.arrays(classes)
    rows = pool.ids.rows_of(list(labels.by_id))
    y_N = np.zeros(pool.n, y_L.dtype)
    y_N[rows] = y_L
    none = pool.ids.rows_of(list(labels.of_no_class))
    none = none[~pool.is_test[none]]
    y_N[none] = NO_CLASS
    used = pool.sorted_by_id(np.concatenate([rows, none]))
    return Truth(y_N, used, used[pool.is_test[used]], classes, _grouping(pool, used))


def _where(pool: Pool, given: LabelFiles) -> str:
    """The place of the labels, for messages."""
    return ", ".join(printable(str(file)) for file in given.files) or pool.name


def _from_files(
    pool: Pool, given: LabelFiles, regression: bool, none_label: str | None, spelling: Spelling, note: Note
) -> Labels:
    """Read files of labels, and of those of test rows; rows without a usable vector are left out."""
    labels = read_labels(
        given.files,
        pool.ids,
        regression=regression,
        ignore_unknown=given.ignore_unknown,
        groups=pool.groups,
        corrections=given.corrections,
        none_label=none_label,
        spelling=spelling,
        note=note,
    )
    labels = and_test_labels(pool, np.arange(pool.n), labels, regression, spelling)
    labels = set_apart(labels if regression else respelled(labels, spelling, note), none_label, note)
    labels.by_id = _usable(pool, labels.by_id)
    labels.of_no_class = _usable(pool, labels.of_no_class)
    classes = () if regression else labels.classes()
    numbers = [number_of(name) for name in classes]
    if numbers and not any(map(math.isnan, numbers)) and not all(number.is_integer() for number in numbers):
        note(f"the labels look like numbers and are taken for {len(classes)} classes: --head ridge predicts numbers")
    return labels


def _usable(pool: Pool, labels: dict[Id, Said]) -> dict[Id, Said]:
    """The labels of rows with a usable vector."""
    bad = pool.is_bad[pool.ids.rows_of(list(labels))]
    return {id: said for (id, said), is_bad in zip(labels.items(), bad) if not is_bad}


def _check_none_label(pool: Pool, none_label: str | None, regression: bool) -> None:
    """Raise UsageError for a label of no class where a simulation cannot have any."""
    if none_label is not None and (regression or pool.groups is not None):
        why = f"the labels of {pool.name} are numbers" if regression else f"the rows of {pool.name} make groups"
        raise UsageError(f"--none-label sets rows of no class apart, {why}", hint="leave --none-label out")


def _grouping(pool: Pool, used: Int64) -> Grouping | None:
    """Return the groups of the used rows. Raises DataError for a group with both test rows and other rows."""
    if pool.groups is None:
        return None
    groups = pool.groups
    left_out_N = np.ones(pool.n, bool)
    left_out_N[used] = False
    is_test = pool.is_test[used]
    both = np.intersect1d(groups.of_N[used[is_test]], groups.of_N[used[~is_test]])
    if len(both):
        group = printable(groups.ids[int(both[0])])
        what = f"{pool.name}: group '{group}' has rows whose split is test and others, expected one or the other"
        raise DataError(what, hint="a group is measured on or learned from as a whole")
    return groups.grouping(left_out_N)
