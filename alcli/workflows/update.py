"""`alcli update`: let a head absorb new labels, in place, in milliseconds, each label once."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from alcli import plugins
from alcli.arrays import Array
from alcli.data.atomic import check_creatable, lock
from alcli.data.files import check_readable
from alcli.data.head_file import Absorbed, HeadFile, load_head, save_head
from alcli.data.head_match import check_pool, choose_anchors, rows_of_hashes
from alcli.data.labels import read_labels
from alcli.data.pool import Pool
from alcli.errors import DataError, UsageError, printable
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads._model import Model
from alcli.workflows.labelled import LabelledRows, absorbed, id_order, training, usable
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
    check_readable(str(path))
    check_creatable(target, overwrite=in_place or force, inputs=[*pool.paths, *labels])
    pool.require_rows()
    with lock(target, how.lock_timeout):
        head = load_head(path)
        notes = [*pool.notes, *check_pool(head, printable(path), pool)]
        regression = head.classes is None
        given = usable(pool, read_labels(labels, pool.ids, regression=regression, ignore_unknown=how.ignore_unknown), regression)
        new, n_known = _only_new(pool, head, given, how)
        notes.extend(new.notes)
        seconds = 0.0
        if len(new.labels):
            head, seconds = _absorb(pool, head, new, how, printable(path))
        if len(new.labels) or not in_place:
            save_head(target, head, overwrite=in_place or force)
        return _told(head, len(new.labels), n_known, how, seconds, notes)


def _only_new(pool: Pool, head: HeadFile, given: LabelledRows, how: How) -> tuple[LabelledRows, int]:
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
        elif how.method != "refit":
            was = before if head.classes is None else f"'{printable(head.classes[int(before)])}'"
            what = f"{said.where}: the id '{printable(id)}' is labelled '{printable(said.label)}', the head has absorbed it as {was}"
            raise DataError(what, hint="use --method refit to change a label")
    labels = replace(given.labels, by_id={id: said for (id, said), new in zip(given.labels.by_id.items(), is_new) if new})
    return replace(given, rows_L=given.rows_L[is_new], labels=labels), int((~is_new).sum())


def _absorb(pool: Pool, head: HeadFile, new: LabelledRows, how: How, shown: str) -> tuple[HeadFile, float]:
    """The head with the new labels absorbed, and the seconds that the arithmetic took."""
    data = training(pool, new, head.classes)
    everything = head.absorbed.extended(absorbed(pool, new, data))
    started = time.perf_counter()
    if how.method == "refit":
        model = _refitted(pool, head, everything, shown)
    else:
        mode: Any = how.mode
        model = head.model.update(data, gamma=how.gamma, mode=mode)
    seconds = time.perf_counter() - started
    ids = np.concatenate([head.anchor_id, pool.ids.hashes(pool.sorted_by_id(new.rows_L))])
    anchor_id, anchors = choose_anchors(ids, np.concatenate([head.anchors, data.X_LD]))
    return replace(head, model=model, absorbed=everything, anchor_id=anchor_id, anchors=anchors), seconds


def _refitted(pool: Pool, head: HeadFile, everything: Absorbed, shown: str) -> Model:
    """The exact fit to all labels, old and new, begun at the present weights. The head knows its old labels by the hash of their ids."""
    rows_L = rows_of_hashes(everything.id_L, pool.ids.hashes())
    if (rows_L < 0).any():
        raise DataError(f"a refit needs all {len(rows_L)} labelled items, {(rows_L < 0).sum()} of them are not in {pool.name}", hint="give the pool that the head was fitted on")
    order = id_order(pool, rows_L)
    y_L: Array = everything.label_L[order]
    n_classes = None if head.classes is None else len(head.classes)
    data = Training(pool.take(rows_L[order]), y_L, everything.weight_L[order], n_classes)
    return fit(data, Recipe.from_json(head.recipe, shown).spec(regression=n_classes is None), start=head.model)


def _told(head: HeadFile, n_new: int, n_known: int, how: How, seconds: float, notes: list[str]) -> Updated:
    report: dict[str, Any] = {"new_labels": n_new, "already_absorbed": n_known, "absorbed": len(head.absorbed.id_L), "method": how.method, "seconds": seconds}
    if how.method == "second-order":
        report["gamma"] = head.model.gamma if how.gamma is None else how.gamma
    return Updated(report, notes)
