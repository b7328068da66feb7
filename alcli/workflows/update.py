"""`alcli update`: absorb new labels into a head, in place, in milliseconds, each label once."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Array, Int64
from alcli.data.absorbed import Absorbed
from alcli.data.groups import name_of, rows_named
from alcli.data.head_file import HeadFile, load_head, save_head
from alcli.data.head_match import check_pool, choose_anchors, rows_of_hashes
from alcli.data.labels import is_of_type, read_labels
from alcli.data.pool import Pool
from alcli.data.reading.data_file import check_readable
from alcli.data.tables import RowSource, paths_of, read_ids
from alcli.data.writing.creatable import check_creatable
from alcli.data.writing.locks import lock
from alcli.errors import DataError, UsageError, printable, suggestion
from alcli.heads._comparators import first_order, reweight, stable_step
from alcli.heads._contract import Training
from alcli.heads._model import Model
from alcli.heads._pair import Pair
from alcli.remarks import Note, silence
from alcli.workflows.fit_head import fitted_pair
from alcli.workflows.labelled import LabelledRows, absorbed, id_order, training, usable
from alcli.workflows.recipe import Recipe

METHODS = ("second-order", "first-order", "mc", "refit")
PAPER_GAMMA = 10.0
MC_SAMPLES = 1000
MODES = ("sequential", "batch")


@dataclass(frozen=True)
class UpdateRequest:
    """The update that a user asks for.

    gamma: the step size of the method. None takes the head's own for second-order, which may be the implicit update
    without a step size; 1 / the mean of |phi|^2 for first-order; 1 for mc.
    allow_new_classes: a label of an unknown class adds the class to the head. remove: files of the ids whose labels
    are to be given back. expect_sha256: the SHA-256 that the file of the head must have.
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
        """Return this request after its names and numbers are checked. Raises UsageError."""
        if self.method not in METHODS:
            raise UsageError(f"no update method '{self.method}'", hint=suggestion(self.method, METHODS))
        if self.mode not in MODES:
            raise UsageError(f"no mode '{self.mode}'", hint=suggestion(self.mode, MODES))
        if self.gamma is not None and not 0 < self.gamma < float("inf"):
            raise UsageError(f"--gamma must be a positive number or auto, got {self.gamma}")
        return self


@dataclass(frozen=True)
class Updated:
    """A head after an update, and the figures of the update."""

    head: HeadFile
    report: dict[str, Any]


def update(
    path: Path,
    pool: Pool,
    labels: Sequence[RowSource],
    ask: UpdateRequest,
    *,
    out: Path | None = None,
    force: bool = False,
    note: Note = silence,
) -> Updated:
    """Absorb the labels that the head at `path` has not absorbed yet, and write the head to `out`; None replaces it.

    Labels of `ask.remove` are given back first. With nothing new and nothing to give back, the head in place stays byte
    for byte as it is. Raises every AlcliError.
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


def updated(
    head: HeadFile, shown: str, pool: Pool, labels: Sequence[RowSource], ask: UpdateRequest, note: Note = silence
) -> Updated:
    """Return the head without the labels of `ask.remove`, and with the labels that it had not absorbed; write no file.

    shown: the name of the head in messages. Raises DataError, UsageError, InputError.
    """
    _check(labels, ask)
    pool.require_rows()
    check_pool(head, shown, pool, note)
    before = len(head.absorbed.id_L)
    head = _without(pool, head, ask, shown) if ask.remove else head
    n_removed = before - len(head.absorbed.id_L)
    given = _given(pool, labels, head, ask, note)
    if ask.allow_new_classes:
        head = _with_classes_of(head, given)
    new, n_known = _only_new(pool, head, given, ask)
    figures: dict[str, Any] = {}
    if len(new.labels):
        head, figures = _absorb(pool, head, new, ask, shown)
    counts = {
        "new_labels": len(new.labels),
        "already_absorbed": n_known,
        "removed": n_removed,
        "absorbed": len(head.absorbed.id_L),
        "method": ask.method,
    }
    return Updated(head, counts | figures)


def _check(labels: Sequence[RowSource], ask: UpdateRequest) -> None:
    if not labels and not ask.remove:
        raise UsageError("update needs labels to absorb or to give back", hint="-l FILE, or --remove FILE")
    ask.checked()


def _given(pool: Pool, labels: Sequence[RowSource], head: HeadFile, ask: UpdateRequest, note: Note) -> LabelledRows:
    """Read the labels, without those of test rows and of rows without a usable vector."""
    regression = head.classes is None
    read = read_labels(
        labels, pool.ids, regression=regression, ignore_unknown=ask.ignore_unknown, groups=pool.groups, note=note
    )
    return usable(pool, read, regression, note)


def _without(pool: Pool, head: HeadFile, ask: UpdateRequest, shown: str) -> HeadFile:
    """Return the head without the labels of the ids in `ask.remove`.

    The posterior is downdated; with the method refit the head is fitted again. Raises DataError for an id without an
    absorbed label. shown: the path of the head, for messages.
    """
    place = {int(key): i for i, key in enumerate(head.absorbed.id_L)}
    found: dict[int, int] = {}
    for id, where, rows in _to_remove(pool, ask.remove):
        here = {int(row): place[int(key)] for row, key in zip(rows, pool.ids.hashes(rows)) if int(key) in place}
        if not here:
            what = f"{where}: the head has absorbed no label of the id '{printable(id)}', so it cannot give one back"
            raise DataError(what)
        found |= here
    rows_R, places = np.array(list(found), np.int64), np.array(list(found.values()), np.int64)
    left = head.absorbed.only(np.setdiff1d(np.arange(len(head.absorbed.id_L)), places))
    if ask.method == "refit":
        return replace(_refitted(pool, head, left, shown), absorbed=left)
    gone = head.absorbed.only(places)
    n_classes = None if head.classes is None else len(head.classes)
    data = Training(pool.take(rows_R), gone.label_L, gone.weight_L, n_classes)
    return replace(head.changed(lambda model: model.remove(data)), absorbed=left)


def _to_remove(pool: Pool, paths: Sequence[RowSource]) -> Iterator[tuple[str, str, Int64]]:
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


def _with_classes_of(head: HeadFile, given: LabelledRows) -> HeadFile:
    """Return the head with the classes of the labels that it does not know yet; their weights are zero.

    Raises DataError for a class of another type than those of the head.
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
    wider = head.changed(lambda model: model.with_new_classes(len(added)))
    return replace(wider, classes=head.classes + added)


def _only_new(pool: Pool, head: HeadFile, given: LabelledRows, ask: UpdateRequest) -> tuple[LabelledRows, int]:
    """Return the given labels that the head has not absorbed, and the number of the others.

    Raises DataError for a label that differs from the absorbed one, unless the head is refitted.
    """
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
            raise DataError(
                f"{said.where}: the id '{printable(id)}' is labelled '{printable(said.label)}', "
                f"the head has absorbed it as {was}",
                hint="use --method refit to change a label",
            )
    kept = {id: said for (id, said), new in zip(given.labels.by_id.items(), is_new) if new}
    return replace(given, rows_L=given.rows_L[is_new], labels=replace(given.labels, by_id=kept)), int((~is_new).sum())


def _absorb(
    pool: Pool, head: HeadFile, new: LabelledRows, ask: UpdateRequest, shown: str
) -> tuple[HeadFile, dict[str, Any]]:
    """Return the head with the new labels absorbed, and the figures: those of the method, and its seconds."""
    data = training(pool, new, head.classes)
    everything = head.absorbed.extended(absorbed(pool, new, data))
    figures: dict[str, Any] = {}
    started = time.perf_counter()
    if ask.method == "refit":
        head = _refitted(pool, head, everything, shown)
    else:
        model, figures = _moved(head.model, data, ask)
        predictor = None if head.predictor is None else _moved(head.predictor, data, ask)[0]
        head = replace(head, model=model, predictor=predictor)
    figures["seconds"] = time.perf_counter() - started
    ids = np.concatenate([head.anchor_id, pool.ids.hashes(pool.sorted_by_id(new.rows_L))])
    anchor_id, anchors = choose_anchors(ids, np.concatenate([head.anchors, data.X_LD]))
    return replace(head, absorbed=everything, anchor_id=anchor_id, anchors=anchors), figures


def _moved(model: Model, data: Training, ask: UpdateRequest) -> tuple[Model, dict[str, Any]]:
    """Return the model after an update that looks at the new rows alone, and the figures of the method."""
    if ask.method == "first-order":
        gamma = stable_step(model, data) if ask.gamma is None else ask.gamma
        return first_order(model, data, gamma=gamma), {"gamma": gamma}
    if ask.method == "mc":
        gamma = 1.0 if ask.gamma is None else ask.gamma
        hypotheses = reweight(model, data, gamma=gamma, n_samples=MC_SAMPLES)
        effective = hypotheses.effective_samples
        figures = {"gamma": gamma, "hypotheses": len(hypotheses.weights_S), "effective_samples": effective}
        return hypotheses.collapsed(), figures
    mode: Any = ask.mode
    step = ask.gamma if ask.gamma is not None else model.gamma
    return model.update(data, gamma=ask.gamma, mode=mode), {"gamma": "auto" if step is None else step}


def _refitted(pool: Pool, head: HeadFile, everything: Absorbed, shown: str) -> HeadFile:
    """Fit the models of the head exactly to all labels, old and new, from their present weights.

    The head knows its old labels by the hash of their ids. A head that learns from the pool reads the pool again.
    Raises DataError where the pool lacks a labelled item.
    """
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
    recipe, start = Recipe.from_json(head.recipe, shown), Pair(head.model, head.predicts)
    pair = fitted_pair(pool, rows_L, data, head.classes, recipe, head.class_names, start)
    return replace(head, model=pair.selects, predictor=None if pair.is_one else pair.predicts)
