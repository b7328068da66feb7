"""The changes that an update makes in the labels of a head: labels to absorb, to replace and to give back."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from alcli.arrays import Int64
from alcli.data.absorbed import Absorbed
from alcli.data.annotations.conflicts import Conflict
from alcli.data.groups import name_of, rows_named
from alcli.data.head_file import HeadFile
from alcli.data.labels import is_of_type, read_labels
from alcli.data.pool import Pool
from alcli.data.spellings.classes import Spelling, look_alike, remark_on_look_alikes
from alcli.data.tables import read_ids
from alcli.data.text.rows import RowSource
from alcli.errors import DataError, printable
from alcli.remarks import Note
from alcli.workflows.audit.reading import without_audit
from alcli.workflows.labelled import LabelledRows, usable
from alcli.workflows.update.request import UpdateRequest


@dataclass(frozen=True)
class Changes:
    """The labels that change. R labels go.

    new: labelled rows to absorb. gone_R: places among the absorbed labels of those that go, because they are given back
    or because a new label replaces them. rows_R: their rows in the pool. n_removed: labels given back. n_corrected:
    labels replaced. n_known: labels that the head has absorbed already. conflicts: of items that got several labels.
    """

    new: LabelledRows
    gone_R: Int64
    rows_R: Int64
    n_removed: int
    n_corrected: int
    n_known: int
    conflicts: tuple[Conflict, ...] = ()

    @property
    def any(self) -> bool:
        """True where a label changes."""
        return bool(len(self.new.labels) or len(self.gone_R))

    def left(self, absorbed: Absorbed) -> Absorbed:
        """The absorbed labels that stay as they are."""
        return absorbed.only(np.setdiff1d(np.arange(len(absorbed)), self.gone_R))


def find_changes(
    pool: Pool, head: HeadFile, labels: Sequence[RowSource], ask: UpdateRequest, audit: Int64, note: Note
) -> tuple[HeadFile, Changes]:
    """Return the head with the classes of the labels, and the changes.

    audit: rows whose labels are for an audit, and are left out. Raises DataError, UsageError, InputError.
    """
    place = {int(key): i for i, key in enumerate(head.absorbed.id_L)}
    removed = _to_remove(pool, head, ask)
    for row in removed:
        del place[int(pool.ids.hashes(np.array([row]))[0])]
    given = without_audit(pool, _given(pool, labels, head, ask, note), audit, note)
    head, no_longer = _with_no_class(pool, head, given, place, ask)
    removed |= no_longer
    if ask.allow_new_classes:
        head = _with_classes_of(head, given, note)
    new, replaced, n_known = _only_new(pool, head, given, place, ask, note)
    gone = removed | replaced
    rows_R, gone_R = np.array(list(gone), np.int64), np.array(list(gone.values()), np.int64)
    conflicts = given.labels.conflicts
    return head, Changes(new, gone_R, rows_R, len(removed), len(replaced), n_known, conflicts)


def _given(pool: Pool, labels: Sequence[RowSource], head: HeadFile, ask: UpdateRequest, note: Note) -> LabelledRows:
    """Read the labels, without those of test rows and of rows without a usable vector."""
    regression = head.classes is None
    read = read_labels(
        labels,
        pool.ids,
        regression=regression,
        ignore_unknown=ask.ignore_unknown,
        groups=pool.groups,
        corrections=ask.corrections,
        none_label=head.no_class.label if ask.none_label is None else ask.none_label,
        spelling=Spelling(head.normalizes, head.classes or ()),
        note=note,
    )
    none_rows = pool.ids.rows_of(list(read.of_no_class))
    return replace(usable(pool, read, regression, note), none_label=ask.none_label, none_rows=none_rows)


def _with_no_class(
    pool: Pool, head: HeadFile, given: LabelledRows, place: dict[int, int], ask: UpdateRequest
) -> tuple[HeadFile, dict[int, int]]:
    """Return the head that knows which items belong to no class, and {row: place} of absorbed labels of such items.

    An item that has a label again belongs to a class. Raises DataError for an absorbed label where `ask` takes no
    changes.
    """
    keys = pool.ids.hashes(given.none_rows).tolist()
    gone = {int(row): place.pop(key) for row, key in zip(given.none_rows, keys) if key in place}
    if gone and not ask.takes_changes:
        row = next(iter(gone))
        said = given.labels.of_no_class[pool.ids[row]]
        what = f"{said.where}: the id '{printable(pool.ids[row])}' is labelled '{printable(said.label)}', of no class"
        raise DataError(f"{what}, and the head has absorbed a label of it", hint="--corrections gives the label back")
    now = head.no_class.with_ids(given.none_label, keys, pool.ids.hashes(given.rows_L).tolist())
    return (head if now == head.no_class else replace(head, no_class=now)), gone


def _to_remove(pool: Pool, head: HeadFile, ask: UpdateRequest) -> dict[int, int]:
    """Return {row of the pool: its place among the absorbed labels} of the labels to give back.

    Raises DataError for an id without an absorbed label.
    """
    if not ask.remove:
        return {}
    place = {int(key): i for i, key in enumerate(head.absorbed.id_L)}
    found: dict[int, int] = {}
    for id, where, rows in _named(pool, ask.remove):
        here = {int(row): place[int(key)] for row, key in zip(rows, pool.ids.hashes(rows)) if int(key) in place}
        if not here:
            what = f"{where}: the head has absorbed no label of the id '{printable(id)}', so it cannot give one back"
            raise DataError(what)
        found |= here
    return found


def _named(pool: Pool, paths: Sequence[RowSource]) -> Iterator[tuple[str, str, Int64]]:
    """Yield (id, its place in the file, its rows) of every id in the files: one row, all rows of a group, or none."""
    given = [row for path in paths for row in read_ids(path)]
    if pool.groups is not None:
        names = {name_of(row, pool.ids, pool.groups): row.where for row in given}
        named = rows_named(names, pool.ids, pool.groups)
        yield from ((str(name), where, rows) for (name, where), (rows, _) in zip(names.items(), named))
        return
    ids = {pool.ids.parse(row.values["id"], row.where, from_text=row.from_text): row.where for row in given}
    rows = pool.ids.rows_of(list(ids))
    yield from ((str(id), where, row_1[row_1 >= 0]) for (id, where), row_1 in zip(ids.items(), rows.reshape(-1, 1)))


def _with_classes_of(head: HeadFile, given: LabelledRows, note: Note) -> HeadFile:
    """Return the head with the classes of the labels that it does not know yet; their weights are zero.

    note: told of new classes that look like old ones. Raises DataError for a class of another type than those of the
    head.
    """
    if head.classes is None:
        return head
    added = tuple(c for c in given.labels.classes() if c not in head.classes)
    if not added:
        return head
    odd = [name for name in added if not is_of_type(name, head.class_type)]
    if odd:
        where = next(said.where for said in given.labels.by_id.values() if said.label == odd[0])
        what = f"{where}: the head has no class '{printable(odd[0])}'"
        raise DataError(what, hint=f"a new one must be of type {head.class_type}, as its classes are")
    if any(look_alike(name, head.classes) is not None for name in added):
        remark_on_look_alikes([*head.classes, *added], note)
    wider = head.changed(lambda model: model.with_new_classes(len(added)))
    return replace(wider, classes=head.classes + added)


def _only_new(
    pool: Pool, head: HeadFile, given: LabelledRows, place: dict[int, int], ask: UpdateRequest, note: Note
) -> tuple[LabelledRows, dict[int, int], int]:
    """Sort the given labels. place: {hash of an id: place of its absorbed label}.

    Return the labels to absorb, {row: place} of the absorbed labels that they replace, and the number of labels that
    the head knows. Raises DataError for a label that differs from the absorbed one, where `ask` takes no changes.
    """
    y_L, weights_L = given.labels.arrays(head.classes)
    known = head.absorbed
    keys_L = pool.ids.hashes(given.rows_L).tolist()
    is_new, replaced, reweighted = np.ones(len(y_L), bool), {}, 0
    for i, (id, said) in enumerate(given.labels.by_id.items()):
        if (at := place.get(keys_L[i])) is None:
            continue
        is_other = bool(known.label_L[at] != y_L[i])
        if ask.takes_changes and (is_other or known.weight_L[at] != weights_L[i]):
            replaced[int(given.rows_L[i])] = at
        elif is_other:
            before = known.label_L[at]
            was = before if head.classes is None else f"'{printable(head.classes[int(before)])}'"
            raise DataError(
                f"{said.where}: the id '{printable(id)}' is labelled '{printable(said.label)}', "
                f"the head has absorbed it as {was}",
                hint="--corrections replaces the label, and so does --method refit",
            )
        else:
            reweighted += bool(known.weight_L[at] != weights_L[i])
            is_new[i] = False
    if reweighted:
        has = "label has another weight than it was" if reweighted == 1 else "labels have other weights than they were"
        note(f"{reweighted} known {has} absorbed with, which stays; --corrections takes the new weight")
    kept = {id: said for (id, said), new in zip(given.labels.by_id.items(), is_new) if new}
    new = replace(given, rows_L=given.rows_L[is_new], labels=replace(given.labels, by_id=kept))
    return new, replaced, int((~is_new).sum())
