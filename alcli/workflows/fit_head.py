"""`alcli fit-head`: fit a head with its uncertainty to labelled rows of a pool, report its quality, and write it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Array, Floats, Int64
from alcli.data.absorbed import NoClass
from alcli.data.annotations.conflicts import check_conflicts_file, write_conflicts
from alcli.data.class_names import ClassNames, read_class_names
from alcli.data.head_file import HeadFile, save_head
from alcli.data.head_match import choose_anchors, rows_of_hashes
from alcli.data.labels import is_of_type, sorted_classes
from alcli.data.pool import Pool
from alcli.data.spellings.classes import Spelling
from alcli.data.text.rows import RowSource, paths_of
from alcli.data.writing.creatable import check_creatable
from alcli.errors import DataError, counted, printable
from alcli.heads._contract import Training
from alcli.heads._model import Model
from alcli.heads._pair import Pair, fit_pair
from alcli.heads._pool_prior import PoolPrior
from alcli.numerics.metrics import accuracy_interval, accuracy_of_all, of_task, task_of
from alcli.remarks import Note, silence
from alcli.workflows.audit.figures import measured
from alcli.workflows.audit.reading import read_audit, without_audit
from alcli.workflows.audit.request import NO_AUDIT, AuditRequest
from alcli.workflows.labelled import (
    LabelledRows,
    Task,
    absorbed,
    gather,
    require_labels,
    test_rows,
    training,
    with_test_labels,
)
from alcli.workflows.recipe import PLAIN, POOL, Recipe, check_names
from alcli.workflows.unlabelled import NO_CLASSES, remark_on_names, remark_on_pool, unlabelled

_BLOCK = 8192
_PROVENANCE = ("model", "layer", "dim", "dtype", "normalized", "standardized", "source", "fingerprint")


@dataclass
class Fitted:
    """A fitted head, and the figures about it."""

    head: HeadFile
    report: dict[str, Any]


def fit_head(
    pool: Pool,
    labels: Sequence[RowSource],
    out: Path | None,
    recipe: Recipe,
    *,
    task: Task = "auto",
    class_names: str | None = None,
    force: bool = False,
    ignore_unknown: bool = False,
    corrections: bool = False,
    none_label: str | None = None,
    audit: AuditRequest = NO_AUDIT,
    test_labels: Sequence[RowSource] = (),
    normalize: bool = False,
    conflicts: Path | None = None,
    note: Note = silence,
) -> Fitted:
    """Fit a head to the labelled rows of a pool and write it to `out`, which is whole or untouched.

    labels: label files or tables; without any, the label column of the pool is used. corrections: the last label of an
    id in a file counts. none_label: says that an item belongs to no class. class_names: the pool of the names
    of classes, for `recipe.prior` pool; no label is needed with it. audit: measures the head, and is kept out of the
    fit. test_labels: of rows that become test rows. normalize: classes that look alike become one, for this head
    and its updates. conflicts: the file for a table of items with several labels. out: None writes no file. Raises
    every AlcliError.
    """
    recipe.checked()
    check_names(recipe, class_names)
    audit.checked()
    named = [*audit.paths, *([] if class_names is None else [class_names])]
    read = [*pool.paths, *paths_of([*labels, *test_labels]), *named]
    if out is not None:
        check_creatable(out, overwrite=force, inputs=read)
    check_conflicts_file(conflicts, overwrite=force, inputs=[*read, *([] if out is None else [out])])
    pool.require_rows()
    pool = with_test_labels(pool, test_labels, ignore_unknown=ignore_unknown, normalize=normalize)
    names = None if class_names is None else read_class_names(class_names, pool, note)
    labelled = gather(
        pool,
        labels,
        task=task,
        head=recipe.head,
        ignore_unknown=ignore_unknown,
        corrections=corrections,
        none_label=none_label,
        spelling=Spelling(normalize, () if names is None else names.names),
        note=note,
    )
    known = audit.before()
    audit.check_predicts(regression=labelled.regression)
    answers = read_audit(pool, audit.files, regression=labelled.regression, note=note) if audit.files else None
    drawn = rows_of_hashes(known.id_M, pool.ids.hashes())
    labelled = without_audit(pool, labelled, drawn if answers is None else np.union1d(drawn, answers.drawn), note)
    if names is None or labelled.regression:
        require_labels(labelled, pool, labels)
    pool.watch_scales()
    fitted = fit_labelled(pool, labelled, recipe, note, names=names)
    fitted.head = replace(fitted.head, audited=known)
    if answers is not None:
        found = measured(pool, fitted.head, answers, audit.stop_at, note)
        fitted = Fitted(found.head, fitted.report | found.report)
    write_conflicts(conflicts, labelled.labels.conflicts, text_ids=pool.ids.is_text, overwrite=force)
    if out is not None:
        save_head(out, fitted.head, overwrite=force)
    return fitted


def fit_labelled(
    pool: Pool, labelled: LabelledRows, recipe: Recipe, note: Note = silence, *, names: ClassNames | None = None
) -> Fitted:
    """Fit a head to `labelled` rows, without writing it. names: of classes, which need no label then."""
    if labelled.regression and recipe.prior == POOL:
        note(NO_CLASSES)
    names = None if labelled.regression else names
    classes, class_type = _classes(labelled, names)
    data = training(pool, labelled, classes)
    # Items of no class tell nothing of where classes gather.
    told = np.concatenate([labelled.rows_L, labelled.none_rows])
    pair = fitted_pair(pool, told, data, classes, recipe, names)
    if names is not None and classes is not None:
        remark_on_names(names, labelled.labels.classes(), pair, classes, note)
    remark_on_pool(pair, note)
    known = absorbed(pool, labelled, data)
    anchor_id, anchors = choose_anchors(known.id_L, data.X_LD)
    head = HeadFile(
        pair.selects,
        classes,
        class_type,
        provenance(pool),
        known,
        anchor_id,
        anchors,
        recipe.as_json(),
        predictor=None if pair.is_one else pair.predicts,
        class_names=names,
        fitted_on=data.n,
        no_class=NoClass().with_ids(labelled.none_label, pool.ids.hashes(labelled.none_rows).tolist()),
        normalizes=labelled.normalizes,
    )
    return Fitted(head, describe(pool, pair, data, head, note))


def _classes(labelled: LabelledRows, names: ClassNames | None) -> tuple[tuple[str, ...] | None, str]:
    """Return the classes of the labels and the names, None in a regression, and their type.

    Raises DataError for names of another type than the labels, and where both show a single class.
    """
    seen, class_type = labelled.classes, labelled.labels.class_type
    if seen is None or names is None:
        return seen, class_type
    if not seen:
        class_type = names.class_type
    odd = [name for name in names.names if not is_of_type(name, class_type)]
    if odd:
        what = f"--class-names: the class '{printable(odd[0])}' is not of type {class_type}, as the labels are"
        raise DataError(what, hint="the ids of the names are the classes that the labels have")
    classes = sorted_classes({*seen, *names.names}, class_type)
    if len(classes) < 2:
        what = f"a head needs 2 classes, the labels and names of classes show one: '{printable(classes[0])}'"
        raise DataError(what, hint="name the other classes, or label items of them")
    return classes, class_type


def fitted_pair(
    pool: Pool,
    labelled: Int64,
    data: Training,
    classes: Sequence[str] | None,
    recipe: Recipe,
    names: ClassNames | None,
    start: Pair | None = None,
) -> Pair:
    """Fit the models of a recipe. labelled: the rows of the pool that the data are, in any order."""
    spec = recipe.spec(regression=classes is None)
    if classes is None or not recipe.learns_from_pool(regression=False):
        return fit_pair(data, spec, start=start)
    return fit_pair(data, spec, unlabelled(pool, labelled, names, classes), start=start)


def provenance(pool: Pool) -> dict[str, Any]:
    """Return the origin of the features of a head, as far as the pool records it, and unusual names of columns."""
    named = pool.columns.named()
    about = {"pool": Path(pool.name).name, "rows": pool.n} | ({"columns": named} if named else {})
    return about | {k: pool.metadata[k] for k in _PROVENANCE if k in pool.metadata}


def describe(pool: Pool, pair: Pair, data: Training, head: HeadFile, note: Note) -> dict[str, Any]:
    """Return the figures of a fit: sizes, prior, evidence, and the metrics on training and test rows.

    The accuracy on test rows is over all of them: a row of a class that the head does not know is predicted wrongly.
    The other figures need the class of a row, and leave such rows out.
    """
    model, classes = pair.predicts, head.classes
    report: dict[str, Any] = {
        "n": data.n,
        "kind": model.head.kind,
        "dim": model.dim,
        "prior_precision": model.head.prior_precision,
    }
    if classes is not None:
        report |= {"classes": len(classes), "temperature": model.temperature}
        if model.predictive_temperature is not None:
            report["predictive_temperature"] = model.predictive_temperature
    report |= {} if head.no_class.label is None else {"no_class": len(head.no_class.ids)}
    report |= dict(model.head.diagnostics)
    if pair.prior is not None and classes is not None:
        report |= _of_prior(pair, pair.prior, classes)
    if data.n:
        report |= {f"train_{k}": v for k, v in scores(model, data.X_LD, data.y_L).items()}
    return report | _on_test_rows(pool, model, head, note)


def _on_test_rows(pool: Pool, model: Model, head: HeadFile, note: Note) -> dict[str, Any]:
    """Return the number of labelled test rows and the metrics on them; nothing without such rows."""
    rows, y, unknown = test_rows(pool, head.classes, head.no_class.label, normalize=head.normalizes, note=note)
    n = len(rows) + unknown
    if not n:
        return {}
    found = scores(model, pool.take(rows), y) if len(rows) else {"accuracy": 0.0}
    if unknown:
        one, several = "test row is of a class", "test rows are of classes"
        there = f"{counted(unknown, one, several)} that the head does not know"
        it, is_left = ("it", "it is left") if unknown == 1 else ("them", "they are left")
        note(f"{there}; the test accuracy counts {it} as wrong, and {is_left} out of the other test figures")
    if head.classes is not None:
        found["accuracy"] = accuracy_of_all(found["accuracy"], len(rows), unknown)
    return {"n_test": n} | _with_interval({f"test_{k}": v for k, v in found.items()}, n, unknown)


def _with_interval(figures: Mapping[str, float], n: int, unknown: int) -> dict[str, Any]:
    """Put the interval of the test accuracy, and the share of rows of unknown classes, beside the accuracy."""
    found: dict[str, Any] = {}
    for name, value in figures.items():
        found[name] = value
        if name == "test_accuracy":
            found["test_accuracy_interval"] = list(accuracy_interval(value, n))
            found |= {"test_unknown_share": unknown / n} if unknown else {}
    return found


def _of_prior(pair: Pair, prior: PoolPrior, classes: Sequence[str]) -> dict[str, Any]:
    """The figures of a prior that was learnt from the pool."""
    return {
        "prior": POOL,
        "selects": POOL if pair.is_one else PLAIN,
        "concentration": prior.concentration,
        "pool_rows": {name: round(float(mass), 1) for name, mass in zip(classes, prior.mass_C)},
        "wrong_names": [classes[c] for c in prior.wrong_names],
    }


def scores(model: Model, X_ND: Floats, y_N: Array) -> dict[str, float]:
    """Compute the metrics that a fit reports, by name, from predictions in blocks of constant memory.

    The metrics are the rows of the table `METRICS` that are for the task and `in_fit_report`.
    """
    blocks = [X_ND[i : i + _BLOCK] for i in range(0, len(X_ND), _BLOCK)]
    functions = [model.mean, model.label_variance] if model.n_classes is None else [model.predictive]
    predictions = [np.concatenate([predict(X_BD) for X_BD in blocks]) for predict in functions]
    return {one.name: one(y_N, *predictions) for one in of_task(task_of(model.n_classes)) if one.in_fit_report}
