"""`alcli update`: let a head absorb new labels, in place, in milliseconds, each label once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alcli import plugins
from alcli.arrays import Array, Int64
from alcli.data.groups import name_of, rows_named
from alcli.data.head_file import Absorbed, HeadFile, load_head, save_head
from alcli.data.head_match import check_pool, choose_anchors, rows_of_hashes
from alcli.data.labels import read_labels
from alcli.data.pool import Pool
from alcli.data.reading.data_file import check_readable
from alcli.data.tables import RowSource, paths_of, read_ids
from alcli.data.writing.creatable import check_creatable
from alcli.data.writing.locks import lock
from alcli.errors import DataError, UsageError, printable
from alcli.heads._comparators import first_order, reweight, stable_step
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads._model import Model
from alcli.remarks import Note, silence
from alcli.workflows.labelled import LabelledRows, absorbed, id_order, training, usable
from alcli.workflows.recipe import Recipe

METHODS = ("second-order", "first-order", "mc", "refit")
PAPER_GAMMA = 10.0
MC_SAMPLES = 1000
MODES = ("sequential", "batch")


@dataclass(frozen=True)
class UpdateRequest:
    """What a user asks of an update.

    gamma: step size of the method; None is the head's own for second-order (the implicit update, which needs none), 1 / mean |phi|^2
    for first-order, 1 for mc. allow_new_classes: a label that the head has no class for adds one. remove: files of ids whose labels
    are to be given back. expect_sha256: of the head's file as it is now.
    """

    method: str = "second-order"
    gamma: float | None = None
    mode: str = "sequential"
    ignore_unknown: bool = False
    lock_timeout: float = 0.0
    allow_new_classes: bool = False
    remove: Sequence[RowSource] = ()
    expect_sha256: str | None = None

    def checked(self) -> UpdateRequest:
        """This, once its names and numbers are known to be good. Raises UsageError."""
        if self.method not in METHODS:
            raise UsageError(f"no update method '{self.method}'", hint=plugins.suggestion(self.method, METHODS))
        if self.mode not in MODES:
            raise UsageError(f"no mode '{self.mode}'", hint=plugins.suggestion(self.mode, MODES))
        if self.gamma is not None and not 0 < self.gamma < float("inf"):
            raise UsageError(f"--gamma must be a positive number or auto, got {self.gamma}")
        return self


@dataclass(frozen=True)
class Updated:
    """A head after an update, and the figures of the update."""

    head: HeadFile
    report: dict[str, Any]


def update(
    path: Path, pool: Pool, labels: Sequence[RowSource], ask: UpdateRequest, *, out: Path | None = None, force: bool = False, note: Note = silence
) -> Updated:
    """Absorb the labels that the head at `path` has not yet absorbed, and replace the head, or write `out`.

    With nothing new and nothing to give back the head stays byte for byte as it is. Raises every AlcliError.
    """
    _check(labels, ask)
    target = path if out is None else out
    in_place = out is None or out.resolve() == path.resolve()
    check_readable(str(path))
    check_creatable(target, overwrite=in_place or force, inputs=[*pool.paths, *paths_of([*labels, *ask.remove])])
    pool.require_rows()
    with lock(target, ask.lock_timeout):
        head = load_head(path, expect_sha256=ask.expect_sha256)
        done = updated(head, printable(path), pool, labels, ask, note)
        if done.report["new_labels"] or done.report["removed"] or not in_place:
            save_head(target, done.head, overwrite=in_place or force)
        return done


def updated(head: HeadFile, shown: str, pool: Pool, labels: Sequence[RowSource], ask: UpdateRequest, note: Note = silence) -> Updated:
    """The head after it has given back the labels of `ask.remove` and absorbed the labels that it does not know; no file is written.

    shown: the head's name in messages. Raises DataError, UsageError, InputError.
    """
    _check(labels, ask)
    pool.require_rows()
    check_pool(head, shown, pool, note)
    before = len(head.absorbed.id_L)
    head = _without(pool, head, ask, shown) if ask.remove else head
    n_removed = before - len(head.absorbed.id_L)
    regression = head.classes is None
    read = read_labels(labels, pool.ids, regression=regression, ignore_unknown=ask.ignore_unknown, groups=pool.groups, note=note)
    given = usable(pool, read, regression, note)
    if ask.allow_new_classes:
        head = _with_classes_of(head, given)
    new, n_known = _only_new(pool, head, given, ask)
    told: dict[str, Any] = {}
    if len(new.labels):
        head, told = _absorb(pool, head, new, ask, shown)
    n_absorbed = len(head.absorbed.id_L)
    counts = {"new_labels": len(new.labels), "already_absorbed": n_known, "removed": n_removed, "absorbed": n_absorbed, "method": ask.method}
    return Updated(head, counts | told)


def _check(labels: Sequence[RowSource], ask: UpdateRequest) -> None:
    if not labels and not ask.remove:
        raise UsageError("update needs labels to absorb or to give back", hint="-l FILE, or --remove FILE")
    ask.checked()


def _without(pool: Pool, head: HeadFile, ask: UpdateRequest, shown: str) -> HeadFile:
    """The head without the labels of the ids in `ask.remove`: by a downdate of the posterior where it allows that, else by a refit."""
    place = {int(key): i for i, key in enumerate(head.absorbed.id_L)}
    found: dict[int, int] = {}
    for id, where, rows in _to_remove(pool, ask.remove):
        here = {int(row): place[int(key)] for row, key in zip(rows, pool.ids.hashes(rows)) if int(key) in place}
        if not here:
            raise DataError(f"{where}: the head has absorbed no label of the id '{printable(id)}', so it cannot give one back")
        found |= here
    rows_R, places = np.array(list(found), np.int64), np.array(list(found.values()), np.int64)
    left = head.absorbed.only(np.setdiff1d(np.arange(len(head.absorbed.id_L)), places))
    if ask.method == "refit":
        return replace(head, model=_refitted(pool, head, left, shown), absorbed=left)
    gone = head.absorbed.only(places)
    n_classes = None if head.classes is None else len(head.classes)
    model = head.model.remove(Training(pool.take(rows_R), gone.label_L, gone.weight_L, n_classes))
    return replace(head, model=model, absorbed=left)


def _to_remove(pool: Pool, paths: Sequence[RowSource]) -> Iterator[tuple[str, str, Int64]]:
    """(id, where it stands, its rows) of every id in the files: one row, all rows of a group, or none."""
    given = [row for path in paths for row in read_ids(path)]
    if pool.groups is not None:
        names = {name_of(row, pool.ids, pool.groups): row.where for row in given}
        yield from ((str(name), where, rows) for (name, where), (rows, _) in zip(names.items(), rows_named(names, pool.ids, pool.groups)))
        return
    ids = {pool.ids.parse(row.values["id"], row.where, from_text=row.from_text): row.where for row in given}
    rows = pool.ids.rows_of(list(ids))
    yield from ((str(id), where, row_1[row_1 >= 0]) for (id, where), row_1 in zip(ids.items(), rows.reshape(-1, 1)))


def _with_classes_of(head: HeadFile, given: LabelledRows) -> HeadFile:
    """The head with a class more, of zero weights, for every label that has none."""
    if head.classes is None:
        return head
    added = tuple(c for c in given.labels.classes() if c not in head.classes)
    return replace(head, model=head.model.with_new_classes(len(added)), classes=head.classes + added) if added else head


def _only_new(pool: Pool, head: HeadFile, given: LabelledRows, ask: UpdateRequest) -> tuple[LabelledRows, int]:
    """The given labels without those already absorbed, and how many these are. A changed label is refused unless it is refitted."""
    y_L, _ = given.labels.arrays(head.classes)
    known = dict(zip(head.absorbed.id_L.tolist(), head.absorbed.label_L.tolist()))
    keys_L = pool.ids.hashes(given.rows_L).tolist()
    is_new = np.ones(len(y_L), bool)
    for i, (id, said) in enumerate(given.labels.by_id.items()):
        before = known.get(keys_L[i])
        if before is None:
            continue
        if before == y_L[i]:
            is_new[i] = False
        elif ask.method != "refit":
            was = before if head.classes is None else f"'{printable(head.classes[int(before)])}'"
            what = f"{said.where}: the id '{printable(id)}' is labelled '{printable(said.label)}', the head has absorbed it as {was}"
            raise DataError(what, hint="use --method refit to change a label")
    labels = replace(given.labels, by_id={id: said for (id, said), new in zip(given.labels.by_id.items(), is_new) if new})
    return replace(given, rows_L=given.rows_L[is_new], labels=labels), int((~is_new).sum())


def _absorb(pool: Pool, head: HeadFile, new: LabelledRows, ask: UpdateRequest, shown: str) -> tuple[HeadFile, dict[str, Any]]:
    """The head with the new labels absorbed, and what the method reports: the seconds of the arithmetic, its step size."""
    data = training(pool, new, head.classes)
    everything = head.absorbed.extended(absorbed(pool, new, data))
    told: dict[str, Any] = {}
    started = time.perf_counter()
    if ask.method == "refit":
        model = _refitted(pool, head, everything, shown)
    else:
        model, told = _moved(head.model, data, ask)
    told["seconds"] = time.perf_counter() - started
    ids = np.concatenate([head.anchor_id, pool.ids.hashes(pool.sorted_by_id(new.rows_L))])
    anchor_id, anchors = choose_anchors(ids, np.concatenate([head.anchors, data.X_LD]))
    return replace(head, model=model, absorbed=everything, anchor_id=anchor_id, anchors=anchors), told


def _moved(model: Model, data: Training, ask: UpdateRequest) -> tuple[Model, dict[str, Any]]:
    """The model after an update that looks at the new rows alone, and what is to be told of it."""
    if ask.method == "first-order":
        gamma = stable_step(model, data) if ask.gamma is None else ask.gamma
        return first_order(model, data, gamma=gamma), {"gamma": gamma}
    if ask.method == "mc":
        gamma = 1.0 if ask.gamma is None else ask.gamma
        hypotheses = reweight(model, data, gamma=gamma, n_samples=MC_SAMPLES)
        return hypotheses.collapsed(), {"gamma": gamma, "hypotheses": len(hypotheses.weights_S), "effective_samples": hypotheses.effective_samples}
    mode: Any = ask.mode
    step = ask.gamma if ask.gamma is not None else model.gamma
    return model.update(data, gamma=ask.gamma, mode=mode), {"gamma": "auto" if step is None else step}


def _refitted(pool: Pool, head: HeadFile, everything: Absorbed, shown: str) -> Model:
    """The exact fit to all labels, old and new, begun at the present weights. The head knows its old labels by the hash of their ids."""
    rows_L = rows_of_hashes(everything.id_L, pool.ids.hashes())
    if (rows_L < 0).any():
        raise DataError(
            f"a refit needs all {len(rows_L)} labelled items, {(rows_L < 0).sum()} of them are not in {pool.name}",
            hint="give the pool that the head was fitted on",
        )
    order = id_order(pool, rows_L)
    y_L: Array = everything.label_L[order]
    n_classes = None if head.classes is None else len(head.classes)
    data = Training(pool.take(rows_L[order]), y_L, everything.weight_L[order], n_classes)
    return fit(data, Recipe.from_json(head.recipe, shown).spec(regression=n_classes is None), start=head.model)

