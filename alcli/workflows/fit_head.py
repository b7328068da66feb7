"""`alcli fit-head`: learn a head with its uncertainty from labelled rows of a pool, report how good it is, write it."""

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
from alcli.numerics import metrics
from alcli.remarks import Note, silence
from alcli.workflows.labelled import LabelledRows, Task, absorbed, gather, require_labels, test_rows, training
from alcli.workflows.recipe import Recipe

_BLOCK = 8192
_PROVENANCE = ("model", "layer", "dim", "dtype", "normalized", "source", "fingerprint")


@dataclass
class Fitted:
    """A fitted head, and its figures."""

    head: HeadFile
    report: dict[str, Any]


def fit_head(
    pool: Pool, labels: Sequence[RowSource], out: Path | None, recipe: Recipe, *, task: Task = "auto", force: bool = False, ignore_unknown: bool = False,
    note: Note = silence,
) -> Fitted:
    """Fit a head to the labelled rows of a pool and write it to `out`, or to no file for None.

    Raises every AlcliError; `out` is whole or untouched.
    """
    recipe.checked()
    if out is not None:
        check_creatable(out, overwrite=force, inputs=[*pool.paths, *paths_of(labels)])
    pool.require_rows()
    labelled = gather(pool, labels, task=task, head=recipe.head, ignore_unknown=ignore_unknown, note=note)
    require_labels(labelled, pool, labels)
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
    head = HeadFile(model, classes, labelled.labels.class_type, provenance(pool), known, anchor_id, anchors, recipe.as_json())
    return Fitted(head, describe(pool, model, data, classes, note))


def provenance(pool: Pool) -> dict[str, Any]:
    """Where the features of a head came from, as far as the pool says."""
    return {"pool": Path(pool.name).name, "rows": pool.n} | {k: pool.metadata[k] for k in _PROVENANCE if k in pool.metadata}


def describe(pool: Pool, model: Model, data: Training, classes: Sequence[str] | None, note: Note) -> dict[str, Any]:
    """The figures of a fit: sizes, prior, evidence, and how well it predicts training and test rows."""
    report: dict[str, Any] = {"n": data.n, "kind": model.head.kind, "dim": model.dim, "prior_precision": model.head.prior_precision}
    if classes is not None:
        report |= {"classes": len(classes), "temperature": model.temperature}
    report |= dict(model.head.diagnostics)
    report |= {f"train_{k}": v for k, v in scores(model, data.X_LD, data.y_L).items()}
    rows, y, unknown = test_rows(pool, classes)
    if unknown:
        note(f"{counted(unknown, 'test row of a class that no label names was', 'test rows of classes that no label names were')} left out of the test figures")
    if len(rows):
        report["n_test"] = len(rows)
        report |= {f"test_{k}": v for k, v in scores(model, pool.take(rows), y).items()}
    return report


def scores(model: Model, X_ND: Floats, y_N: Array) -> dict[str, float]:
    """Accuracy, NLL and ECE of the predictive distribution; MAE, RMSE, R2 and NLPD in a regression. In blocks of constant memory."""
    starts = range(0, len(X_ND), _BLOCK)
    if model.n_classes is None:
        mean_N, variance_N = np.concatenate([[model.mean(X_ND[i : i + _BLOCK]), model.label_variance(X_ND[i : i + _BLOCK])] for i in starts], axis=1)
        return metrics.regression(y_N, mean_N, variance_N)
    log_probs = np.concatenate([model.predictive(X_ND[i : i + _BLOCK]) for i in starts])
    found = metrics.classification(y_N, log_probs)
    return {name: found[name] for name in ("accuracy", "nll", "ece")}
