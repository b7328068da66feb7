"""Heads in Python: `fit_head` learns one, and `update` lets it absorb labels."""

from __future__ import annotations

import os
from pathlib import Path

from alcli.api.fitted import FittedHead, HeadLike, given_head, opened_head
from alcli.api.inputs import IdsLike, LabelsLike, Options, PathLike, id_rows, label_rows, path, real, texts, whole
from alcli.api.pool import PoolLike, opened
from alcli.api.session import session
from alcli.data.head_file import save_head
from alcli.data.text.rows import paths_of
from alcli.data.writing.creatable import check_creatable
from alcli.remarks import Note
from alcli.workflows.audit.request import AuditRequest
from alcli.workflows.fit_head import fit_head as fit_workflow
from alcli.workflows.labelled import Task
from alcli.workflows.recipe import Recipe, prior_of
from alcli.workflows.update.request import UpdateRequest
from alcli.workflows.update.run import update as update_workflow
from alcli.workflows.update.run import updated


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
    normalize_labels: bool = False,
    audit: LabelsLike | None = None,
    stop_at: float | None = None,
    after: HeadLike | None = None,
    test_labels: LabelsLike | None = None,
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
    normalize_labels: classes whose names look alike are one, and the most frequent name stays; the head remembers it.
    audit: labels of the rows that `select(strategy="audit")` drew, with their weights: files, or a table with the
        columns `id`, `label` and `weight`. They measure the head and are not learned from.
    stop_at: an accuracy; the report says whether the audit shows it. after: the head before this one, whose audits
        count as earlier looks.
    test_labels: labels of rows that become test rows.
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
            audit=AuditRequest(
                label_rows(audit), real(stop_at, "stop_at"), None if after is None else given_head(after)
            ),
            test_labels=label_rows(test_labels),
            normalize=normalize_labels,
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
    normalize_labels: bool = False,
    audit: LabelsLike | None = None,
    stop_at: float | None = None,
    test_labels: LabelsLike | None = None,
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
    normalize_labels: a label that looks like a class of the head is it, now and later.
    audit, stop_at, test_labels: as for `fit_head`; with an audit alone the head is measured.
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
        audit=AuditRequest(label_rows(audit), real(stop_at, "stop_at")),
        test_labels=label_rows(test_labels),
        normalize=normalize_labels,
    )
    rows, target = label_rows(labels), path(out)
    with session(note) as remark:
        features = opened(pool, remark)
        if not isinstance(head, FittedHead) and target is not None:
            done = update_workflow(Path(os.fspath(head)), features, rows, ask, out=target, force=force, note=remark)
        else:
            if target is not None:
                check_creatable(target, overwrite=force, inputs=[*features.paths, *paths_of(rows), *ask.paths])
            before, shown = opened_head(head)
            done = updated(before, shown, features, rows, ask, remark)
            if target is not None:
                save_head(target, done.head, overwrite=force)
    return FittedHead(done.head, done.report)
