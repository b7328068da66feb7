"""Heads in Python: `fit_head` learns one, `update` lets it absorb labels, `FittedHead` predicts."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from alcli.api.inputs import IdsLike, LabelsLike, Options, PathLike, id_rows, label_rows, path, real, texts, whole
from alcli.api.pool import PoolLike, opened
from alcli.api.session import session
from alcli.arrays import Array, Float64
from alcli.data.head_file import HeadFile, load_head, save_head
from alcli.data.pool import Pool
from alcli.data.text.rows import paths_of
from alcli.data.writing.creatable import check_creatable
from alcli.errors import DataError, UsageError, printable
from alcli.remarks import Note, silence
from alcli.workflows.fit_head import fit_head as fit_workflow
from alcli.workflows.labelled import Task
from alcli.workflows.query.columns import typed_class
from alcli.workflows.recipe import Recipe, prior_of
from alcli.workflows.update.request import UpdateRequest
from alcli.workflows.update.run import update as update_workflow
from alcli.workflows.update.run import updated


@dataclass(frozen=True, eq=False)
class FittedHead:
    """A head with its uncertainty, which predicts rows of features. No method changes the head.

    file: the content of the head's file.
    report: the figures of the fit or of the update; empty for a head that was loaded.
    """

    file: HeadFile
    report: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def load(cls, path: PathLike, *, expect_sha256: str | None = None) -> FittedHead:
        """Read the file of a head. expect_sha256: of the file, from a trusted source.

        Raises InputError, DataError, NewerFormatError.
        """
        return cls(load_head(Path(os.fspath(path)), expect_sha256=expect_sha256))

    def save(self, path: PathLike, *, force: bool = False) -> None:
        """Write the file of the head; the same head gives the same bytes. force: replace a file that exists.

        Raises CannotCreateError, OutputError.
        """
        save_head(Path(os.fspath(path)), self.file, overwrite=force)

    @property
    def classes(self) -> list[str | int | bool] | None:
        """The classes in the order of the columns of `predict_proba`; None for a head that predicts numbers."""
        return (
            None
            if self.file.classes is None
            else [typed_class(name, self.file.class_type) for name in self.file.classes]
        )

    def predict(self, features: PoolLike) -> Array:
        """Predict the class or the number of each row, shape [N]. Cost: one pass.

        features: an array [N, D], or any pool.
        Raises DataError for features of another D, and for rows without a usable vector.
        """
        if self.classes is None:
            return self._over_blocks(features, self.file.predicts.mean)
        return np.array(self.classes)[self._over_blocks(features, self.file.predicts.predictive).argmax(axis=1)]

    def predict_proba(self, features: PoolLike) -> Float64:
        """Predict class probabilities, averaged over the posterior, shape [N, C]. Cost: one pass.

        features: an array [N, D], or any pool.
        Raises UsageError for a head that predicts numbers, DataError as `predict` does.
        """
        if self.classes is None:
            raise UsageError(
                "the head predicts numbers and has no class probabilities", hint="predict returns the numbers"
            )
        return np.exp(self._over_blocks(features, self.file.predicts.predictive))

    def _over_blocks(self, features: PoolLike, function: Any) -> Float64:
        """function(X_BD) of every row of a pool, in the order of the rows."""
        with session(silence) as remark:
            rows = opened(features, remark)
            self._check(rows)
            empty = function(np.empty((0, rows.dim)))
            return np.concatenate([empty, *(function(X_BD) for _, X_BD in rows.blocks())])

    def _check(self, rows: Pool) -> None:
        if rows.dim != self.file.model.dim:
            what = f"{rows.name} has D={rows.dim}, the head expects {self.file.model.dim}"
            raise DataError(what, hint="use features of the model that the head was fitted on")
        if rows.is_bad.any():
            first = rows.describe(int(np.flatnonzero(rows.is_bad)[0]))
            raise DataError(f"{first}: a prediction needs a usable vector", hint="leave such rows out of the pool")

    def __repr__(self) -> str:
        what = "numbers" if self.classes is None else f"{len(self.classes)} classes"
        return f"<alcli.FittedHead {self.file.model.head.kind}, {what}, {len(self.file.absorbed.id_L)} labels>"


HeadLike: TypeAlias = FittedHead | PathLike


def given_head(head: HeadLike) -> Path | HeadFile:
    """The head that a call gets: the content of its file, or the path of the file. Raises UsageError."""
    if isinstance(head, FittedHead):
        return head.file
    if not isinstance(head, str | os.PathLike):
        raise UsageError(f"expected a head or a path, got {printable(repr(head))}")
    return Path(os.fspath(head))


def _opened(head: HeadLike) -> tuple[HeadFile, str]:
    """(head, its name in messages)."""
    if isinstance(head, FittedHead):
        return head.file, "in memory"
    return load_head(Path(os.fspath(head))), printable(head)


def fit_head(
    pool: PoolLike,
    labels: LabelsLike | None = None,
    *,
    head: str | None = None,
    posterior: str = "laplace",
    covariance: str = "shared",
    prior: str = "auto",
    class_names: PathLike | None = None,
    prior_precision: float | None = None,
    calibrate: str = "none",
    preset: str = "none",
    task: Task = "auto",
    options: Options | None = None,
    seed: int = 0,
    ignore_unknown: bool = False,
    corrections: bool = False,
    none_label: str | None = None,
    out: PathLike | None = None,
    force: bool = False,
    note: Note | None = None,
) -> FittedHead:
    """Fit a last-layer model with uncertainty to the labelled rows of a pool, as `alcli fit-head` does.

    Rows whose split is test are kept out, and the report measures the head on them.

    pool: a path, an array, a table or the result of `alcli.pool`.
    labels: a file, a list of files, a mapping from id to label, or a table with columns `id`, `label` and
        `weight`; None learns the pool's own labels.
    head, posterior, covariance, calibrate, preset, task: the options of the command line.
    prior: of a softmax head; pool learns it from the unlabelled rows too, auto does so with class_names.
    class_names: a pool whose ids are the classes and whose features embed their names; labels may be missing then.
    prior_precision: a number; None chooses it from the data.
    options: of the head by name, and of the posterior as `posterior.NAME`.
    seed: of every random draw.
    ignore_unknown: leave out labels of ids that the pool does not have.
    corrections: the last label of an id in a file counts; without it, two different labels are an error.
    none_label: the label of items that belong to no class, which are counted and not learned from.
    out: also write the head to this file. force: replace a file that exists.
    note: is told each remark; None makes warnings.

    Raises any of `alcli.errors`.

    >>> import alcli
    >>> pool = "sample_data/digits-features.parquet"
    >>> labels = "sample_data/digits-labels.csv"
    >>> head = alcli.fit_head(pool, labels, posterior="ensemble", options={"posterior.members": 5})
    >>> head
    <alcli.FittedHead softmax, 10 classes, 40 labels>
    >>> head.report["test_accuracy"] > 0.9
    True
    >>> head.predict_proba(pool).shape
    (1797, 10)
    """
    names = None if class_names is None else os.fspath(class_names)
    recipe = Recipe(
        head,
        posterior,
        covariance,
        real(prior_precision, "prior_precision"),
        calibrate,
        whole(seed, "seed"),
        texts(options),
        preset,
        prior_of(prior, names),
    )
    with session(note) as remark:
        fitted = fit_workflow(
            opened(pool, remark),
            label_rows(labels),
            path(out),
            recipe,
            task=task,
            class_names=names,
            force=force,
            ignore_unknown=ignore_unknown,
            corrections=corrections,
            none_label=none_label,
            note=remark,
        )
    return FittedHead(fitted.head, fitted.report)


def update(
    head: HeadLike,
    pool: PoolLike,
    labels: LabelsLike | None = None,
    *,
    remove: IdsLike | None = None,
    method: str = "second-order",
    gamma: float | None = None,
    mode: str = "sequential",
    preset: str = "none",
    polish: str = "auto",
    allow_new_classes: bool = False,
    ignore_unknown: bool = False,
    corrections: bool = False,
    none_label: str | None = None,
    out: PathLike | None = None,
    force: bool = False,
    lock_timeout: float = 0.0,
    note: Note | None = None,
) -> FittedHead:
    """Return the head after it has absorbed labels, each label once, as `alcli update` does; `head` stays as it is.

    head: a head, or its file.
    pool: holds the features of the labelled items.
    labels: as for `fit_head`; labels that the head has absorbed already are skipped.
    remove: a file of ids, or ids, whose labels the head gives back first.
    method, mode, preset, polish: the options of the command line. gamma: step size; None chooses it.
    allow_new_classes: a label that the head has no class for adds one.
    ignore_unknown: leave out labels of ids that the pool does not have.
    corrections: a label that differs replaces the one that the head has absorbed, and in a file the last label
        of an id counts; without it, such a label is an error.
    none_label: the label of items that belong to no class; None takes that of the head.
    out: also write the new head to this file. The file of `head` may be named, and is replaced under its lock.
        force: replace another file that exists. lock_timeout: seconds to wait for another process.
    note: is told each remark; None makes warnings.

    Raises any of `alcli.errors`.

    >>> import alcli
    >>> pool = "sample_data/digits-features.parquet"
    >>> head = alcli.fit_head(pool, "sample_data/digits-labels.csv")
    >>> head = alcli.update(head, pool, {"digit-0003": 3, "digit-0004": 4})
    >>> head.report["new_labels"], head.report["absorbed"]
    (2, 42)
    """
    ask = UpdateRequest(
        method,
        real(gamma, "gamma"),
        mode,
        ignore_unknown,
        lock_timeout,
        allow_new_classes,
        id_rows(remove, "remove"),
        preset=preset,
        polish=polish,
        corrections=corrections,
        none_label=none_label,
    )
    rows, target = label_rows(labels), path(out)
    with session(note) as remark:
        features = opened(pool, remark)
        if not isinstance(head, FittedHead) and target is not None:
            done = update_workflow(Path(os.fspath(head)), features, rows, ask, out=target, force=force, note=remark)
        else:
            if target is not None:
                check_creatable(target, overwrite=force, inputs=[*features.paths, *paths_of([*rows, *ask.remove])])
            before, shown = _opened(head)
            done = updated(before, shown, features, rows, ask, remark)
            if target is not None:
                save_head(target, done.head, overwrite=force)
    return FittedHead(done.head, done.report)
