"""`alcli update`: let a head absorb new labels, in place, in milliseconds, each label once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from alcli import plugins
from alcli.arrays import Array
from alcli.data.atomic import check_creatable, lock
from alcli.data.head_file import Absorbed, HeadFile, check_features, choose_anchors, load_head, rows_of_hashes, save_head
from alcli.data.labels import read_labels
from alcli.data.pool import Pool
from alcli.errors import DataError, UsageError, printable
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads._model import Model
from alcli.workflows.labelled import LabelledRows, absorbed, id_order, training
from alcli.workflows.query import compare_anchors
from alcli.workflows.recipe import Recipe

METHODS = ("second-order", "refit")
MODES = ("sequential", "batch")


@dataclass(frozen=True)
class How:
    """How labels are absorbed. gamma: step size of the second-order rule, None for the one tuned when the head was fitted."""

    method: str = "second-order"
    gamma: float | None = None
    mode: str = "sequential"
    ignore_unknown: bool = False
    lock_timeout: float = 0.0

    def checked(self) -> How:
        """This, once its names and numbers are known to be good. Raises UsageError."""
        if self.method not in METHODS:
            raise UsageError(f"no update method '{self.method}'", hint=plugins.suggestion(self.method, METHODS))
        if self.mode not in MODES:
            raise UsageError(f"no mode '{self.mode}'", hint=plugins.suggestion(self.mode, MODES))
        if self.gamma is not None and not 0 < self.gamma < float("inf"):
            raise UsageError(f"--gamma must be a positive number or auto, got {self.gamma}")
        return self


@dataclass
class Updated:
    """What became of the labels, and the figures of the new head."""

    report: dict[str, Any]
    notes: list[str] = field(default_factory=list)


def update(path: Path, pool: Pool, labels: Sequence[str], how: How, *, out: Path | None = None, force: bool = False) -> Updated:
    """Absorb the labels that the head at `path` has not yet absorbed, and replace it (or write `out`). Raises every AlcliError.

    With nothing new the head stays byte for byte as it is.
    """
    how.checked()
    target = path if out is None else out
    in_place = out is None or out.resolve() == path.resolve()
    check_creatable(target, overwrite=in_place or force)
    with lock(target, how.lock_timeout):
        head = load_head(path)
        shown = printable(path)
        check_features(head, shown, pool.name, pool.dim, pool.metadata)
        compare_anchors(pool, head, shown)
        said = read_labels(labels, pool.ids, regression=head.classes is None, ignore_unknown=how.ignore_unknown)
        given = LabelledRows(pool.ids.rows_of(list(said.by_id)), said, head.classes is None, tuple(said.notes))
        new, n_known = _only_new(pool, head, given, how)
        notes = [*pool.notes, *new.notes]
        if len(new.labels):
            data = training(pool, new, head.classes)
            grown = _absorb(pool, head, new, data, how)
        else:
            grown = head
        if len(new.labels) or not in_place:
            save_head(target, grown, overwrite=in_place or force)
        return _told(grown, len(new.labels), n_known, how, notes)


def _only_new(pool: Pool, head: HeadFile, given: LabelledRows, how: How) -> tuple[LabelledRows, int]:
    """The given labels without those already absorbed, and how many these are. A changed label is refused unless it is refitted."""
    y_L, _ = given.labels.arrays(head.classes)
    known = {int(h): label for h, label in zip(head.absorbed.id_L, head.absorbed.label_L)}
    n_known = 0
    for id, key, y in zip(list(given.labels.by_id), pool.ids.hashes(given.rows_L), y_L):
        before = known.get(int(key))
        if before is None:
            continue
        if before == y:
            n_known += 1
            del given.labels.by_id[id]
        elif how.method != "refit":
            said = given.labels.by_id[id]
            was = before if head.classes is None else f"'{printable(head.classes[int(before)])}'"
            raise DataError(f"{said.where}: the id '{printable(id)}' is labelled '{printable(said.label)}', the head has absorbed it as {was}", hint="use --method refit to change a label")
    rows_L = pool.ids.rows_of(list(given.labels.by_id))
    return replace(given, rows_L=rows_L), n_known


def _absorb(pool: Pool, head: HeadFile, new: LabelledRows, data: Training, how: How) -> HeadFile:
    everything = head.absorbed.extended(absorbed(pool, new, data))
    if how.method == "refit":
        model = _refitted(pool, head, everything)
    else:
        mode: Any = how.mode
        model = head.model.update(data, gamma=how.gamma, mode=mode)
    features = data.X_LD
    ids = np.concatenate([head.anchor_id, pool.ids.hashes(pool.sorted_by_id(new.rows_L))])
    anchor_id, anchors = choose_anchors(ids, np.concatenate([head.anchors, np.asarray(features, np.float32)]))
    return replace(head, model=model, absorbed=everything, anchor_id=anchor_id, anchors=anchors)


def _refitted(pool: Pool, head: HeadFile, everything: Absorbed) -> Model:
    """The exact fit to all labels, old and new, begun at the present weights. The head knows its old labels by the hash of their ids."""
    rows_L = rows_of_hashes(everything.id_L, pool.ids.hashes())
    if (rows_L < 0).any():
        raise DataError(f"a refit needs all {len(rows_L)} labelled items, {(rows_L < 0).sum()} of them are not in {pool.name}", hint="give the pool that the head was fitted on")
    order = id_order(pool, rows_L)
    y_L: Array = everything.label_L[order]
    n_classes = None if head.classes is None else len(head.classes)
    data = Training(pool.take(rows_L[order]), y_L, everything.weight_L[order], n_classes)
    return fit(data, Recipe(**head.recipe).spec(regression=n_classes is None), start=head.model)


def _told(head: HeadFile, n_new: int, n_known: int, how: How, notes: list[str]) -> Updated:
    report: dict[str, Any] = {"new_labels": n_new, "already_absorbed": n_known, "absorbed": len(head.absorbed.id_L), "method": how.method}
    if how.method == "second-order":
        report["gamma"] = head.model.gamma if how.gamma is None else how.gamma
    return Updated(report, notes)
