"""`alcli fit-head`: fit a head with its uncertainty to labelled rows of a pool, report its quality, and write it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from alcli.arrays import Array, Floats
from alcli.data.head_file import HeadFile, save_head
from alcli.data.head_match import choose_anchors
from alcli.data.pool import Pool
from alcli.data.tables import RowSource, paths_of
from alcli.data.writing.creatable import check_creatable
from alcli.errors import counted
from alcli.heads._contract import Training
from alcli.heads._fitting import fit
from alcli.heads._model import Model
from alcli.numerics.metrics import of_task, task_of
from alcli.remarks import Note, silence
from alcli.workflows.labelled import LabelledRows, Task, absorbed, gather, require_labels, test_rows, training
from alcli.workflows.recipe import Recipe

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
    force: bool = False,
    ignore_unknown: bool = False,
    note: Note = silence,
) -> Fitted:
    """Fit a head to the labelled rows of a pool and write it to `out`, which is whole or untouched.

    labels: label files or tables; without any, the label column of the pool is used. out: None writes no file. Raises
    every AlcliError.
    """
    recipe.checked()
    if out is not None:
        check_creatable(out, overwrite=force, inputs=[*pool.paths, *paths_of(labels)])
    pool.require_rows()
    labelled = gather(pool, labels, task=task, head=recipe.head, ignore_unknown=ignore_unknown, note=note)
    require_labels(labelled, pool, labels)
    pool.watch_scales()
    fitted = fit_labelled(pool, labelled, recipe, note)
    if out is not None:
        save_head(out, fitted.head, overwrite=force)
    return fitted


def fit_labelled(pool: Pool, labelled: LabelledRows, recipe: Recipe, note: Note = silence) -> Fitted:
    """Fit a head to `labelled` rows, without writing it."""
    classes = labelled.classes
    data = training(pool, labelled, classes)
    model = fit(data, recipe.spec(regression=classes is None))
    known = absorbed(pool, labelled, data)
    anchor_id, anchors = choose_anchors(known.id_L, data.X_LD)
    class_type = labelled.labels.class_type
    head = HeadFile(model, classes, class_type, provenance(pool), known, anchor_id, anchors, recipe.as_json())
    return Fitted(head, describe(pool, model, data, classes, note))


def provenance(pool: Pool) -> dict[str, Any]:
    """Return the origin of the features of a head, as far as the pool records it."""
    return {"pool": Path(pool.name).name, "rows": pool.n} | {
        k: pool.metadata[k] for k in _PROVENANCE if k in pool.metadata
    }


def describe(pool: Pool, model: Model, data: Training, classes: Sequence[str] | None, note: Note) -> dict[str, Any]:
    """Return the figures of a fit: sizes, prior precision, evidence, and the metrics on training and test rows."""
    report: dict[str, Any] = {
        "n": data.n,
        "kind": model.head.kind,
        "dim": model.dim,
        "prior_precision": model.head.prior_precision,
    }
    if classes is not None:
        report |= {"classes": len(classes), "temperature": model.temperature}
    report |= dict(model.head.diagnostics)
    report |= {f"train_{k}": v for k, v in scores(model, data.X_LD, data.y_L).items()}
    rows, y, unknown = test_rows(pool, classes)
    if unknown:
        one, several = "test row of a class that no label names was", "test rows of classes that no label names were"
        note(f"{counted(unknown, one, several)} left out of the test figures")
    if len(rows):
        report["n_test"] = len(rows)
        report |= {f"test_{k}": v for k, v in scores(model, pool.take(rows), y).items()}
    return report


def scores(model: Model, X_ND: Floats, y_N: Array) -> dict[str, float]:
    """Compute the metrics that a fit reports, by name, from predictions in blocks of constant memory.

    The metrics are the rows of the table `METRICS` that are for the task and `in_fit_report`.
    """
    blocks = [X_ND[i : i + _BLOCK] for i in range(0, len(X_ND), _BLOCK)]
    functions = [model.mean, model.label_variance] if model.n_classes is None else [model.predictive]
    predictions = [np.concatenate([predict(X_BD) for X_BD in blocks]) for predict in functions]
    return {one.name: one(y_N, *predictions) for one in of_task(task_of(model.n_classes)) if one.in_fit_report}
