"""The figures of an audit: how good a head is over the rows of a pool that it has not learned from.

Every figure has a 95% interval, or a remark says why the figure is missing. The rows that the head has learned from are
left out of the pool and of the audit, since a head is nearly always right there.
Cost: one pass over the features of the pool, with the predictions of the head and the neighbours of each row
(numerics/audit/agreement.py). Memory: three numbers a row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.data.absorbed import AuditRound
from alcli.data.head_file import HeadFile
from alcli.data.head_match import rows_of_hashes
from alcli.data.labels import respelled
from alcli.data.pool import Pool
from alcli.data.spellings.classes import Spelling, remark_on_strangers
from alcli.errors import DataError, counted
from alcli.heads._model import Model
from alcli.numerics.audit.agreement import References, references
from alcli.numerics.audit.looks import labels_to_halve
from alcli.numerics.audit.mean_square import MeanSquare
from alcli.numerics.audit.recalls import FEWEST, balanced_accuracy, too_rare
from alcli.numerics.audit.sample import AuditSample, sampled
from alcli.numerics.audit.share import OF_ANYTHING, OF_CORRECTNESS, Share, log_odds
from alcli.remarks import Note
from alcli.workflows.audit.reading import AuditLabels
from alcli.workflows.audit.stopping import told_of_target

_BLOCK = 2048
_UNKNOWN, _NONE = -1, -2
_NO_WEIGHT = 1e-12


@dataclass(frozen=True)
class Measured:
    """A head that remembers the audit, and the figures of the audit by name."""

    head: HeadFile
    report: dict[str, Any]


def measured(pool: Pool, head: HeadFile, audit: AuditLabels, stop_at: float | None, note: Note) -> Measured:
    """Measure a head by an audit. stop_at: the accuracy at which to stop; None asks for none.

    Raises DataError where the head has learned from nearly all rows of the audit.
    """
    known = (*(() if head.no_class.label is None else (head.no_class.label,)), *(head.classes or ()))
    audit = replace(audit, labels=respelled(audit.labels, Spelling(head.normalizes, known), note))
    is_open_N = ~(pool.is_test | pool.is_bad)
    learned = rows_of_hashes(head.absorbed.id_L, pool.ids.hashes())
    is_open_N[learned[learned >= 0]] = False
    kept_M = is_open_N[audit.rows_M]
    if not kept_M.all():
        one, several = "row of the audit is", "rows of the audit are"
        note(f"the head has learned from {counted(int((~kept_M).sum()), one, several)}, which the figures leave out")
    if kept_M.sum() < 2:
        hint = "fit a head with --audit, which keeps the audit out of the fit"
        raise DataError("the head has learned from the rows of the audit, which can then not measure it", hint=hint)
    sample = sampled(audit.weights_M, audit.n).only(kept_M)
    head = replace(head, audited=head.audited.joined(pool.ids.hashes(audit.drawn)))
    report: dict[str, Any] = {"audit_labels": int(kept_M.sum())}
    if head.classes is None:
        return Measured(head, report | _of_numbers(pool, head, audit, kept_M, sample, is_open_N))
    strangers = [str(said.label) for said in audit.labels.by_id.values()]
    remark_on_strangers(strangers, known, "the rows of the audit", note)
    right_M, y_M, of_classes, share, more = _of_classes(pool, head, audit, kept_M, sample, is_open_N)
    report |= more | _balanced(right_M, y_M, of_classes, len(head.classes), note)
    report["audit_labels_to_halve_interval"] = labels_to_halve(len(sample))
    low, high = share.interval()
    found = AuditRound(len(head.absorbed), len(of_classes), share.value, share.error, low, high)
    head = replace(head, audited=head.audited.looked(found))
    if stop_at is not None:
        report |= told_of_target(share, head.audited.rounds, stop_at, int(is_open_N.sum()) - len(sample))
    return Measured(head, report)


def _of_classes(
    pool: Pool, head: HeadFile, audit: AuditLabels, kept_M: Array, sample: AuditSample, is_open_N: Array
) -> tuple[Array, Array, AuditSample, Share, dict[str, Any]]:
    """(right or wrong, class numbers, sample, accuracy, figures) of the audited rows that have a class.

    The number of an unknown class is -1. Where audited rows belong to no class, another row of the pool counts by its
    chance to have one. Raises DataError where fewer than two audited rows have a class.
    """
    assert head.classes is not None
    best_N, x_N2 = predicted(pool, head.predicts, is_open_N)
    rows_M, x_2 = audit.rows_M[kept_M], x_N2[is_open_N]
    number = {name: i for i, name in enumerate(head.classes)}
    if head.no_class.label is not None:
        number[head.no_class.label] = _NONE
    y_M = np.array([number.get(str(said.label), _UNKNOWN) for said in audit.labels.by_id.values()])[kept_M]
    has_class_M = y_M != _NONE
    if has_class_M.sum() < 2:
        raise DataError("the audit measures nothing: its rows belong to no class", hint="draw and label more rows")
    none = Share(~has_class_M, x_N2[rows_M], sample, x_2, OF_ANYTHING)
    weights_2 = None
    if not has_class_M.all():
        weights_N = 1.0 - none.chances(x_N2)
        weights_N[rows_M] = np.where(has_class_M, 1.0, _NO_WEIGHT)
        weights_2 = weights_N[is_open_N]
    rows_M, y_M, sample = rows_M[has_class_M], y_M[has_class_M], sample.only(has_class_M)
    right_M = best_N[rows_M] == y_M
    accuracy = Share(right_M, x_N2[rows_M], sample, x_2, OF_CORRECTNESS, weights_2)
    unknown = Share(y_M == _UNKNOWN, x_N2[rows_M], sample, x_2, OF_ANYTHING, weights_2)
    figures = _with_interval("accuracy", accuracy) | _with_interval("unknown_share", unknown)
    if head.no_class.label is not None:
        figures |= _with_interval("none_share", none)
    return right_M, y_M, sample, accuracy, figures


def _with_interval(name: str, share: Share) -> dict[str, Any]:
    return {f"audit_{name}": share.value, f"audit_{name}_interval": list(share.interval())}


def predicted(pool: Pool, model: Model, is_open_N: Array) -> tuple[Int64, Float64]:
    """Return the predicted classes, and the predictors [N, 2]: the log odds of the confidence, and the agreement.

    Entries of rows outside the mask have no meaning.
    """
    best_N, x_N2 = np.zeros(pool.n, np.int64), np.zeros((pool.n, 2))
    open_rows = np.flatnonzero(is_open_N)
    rows_R = references(open_rows, pool.row_keys(open_rows))
    X_RD = pool.take(rows_R)
    log_probs_RC = model.predictive(X_RD)
    around = References(rows_R, X_RD, log_probs_RC.argmax(axis=1), np.exp(log_probs_RC.max(axis=1)))
    for rows_B, X_BD in _blocks(pool, is_open_N):
        log_probs_BC = model.predictive(X_BD)
        best_N[rows_B] = log_probs_BC.argmax(axis=1)
        x_N2[rows_B, 0] = log_odds(np.exp(log_probs_BC.max(axis=1)))
        x_N2[rows_B, 1] = around.agreement(rows_B, X_BD, best_N[rows_B])
    return best_N, x_N2


def _balanced(right_M: Array, y_M: Array, sample: AuditSample, n_classes: int, note: Note) -> dict[str, Any]:
    """The balanced accuracy over the classes of the head; a remark where a class has too few audited rows."""
    is_known_M = y_M != _UNKNOWN
    rare = too_rare(y_M[is_known_M], n_classes)
    if rare:
        has = counted(rare, "class has", "classes have")
        note(f"the audit gives no balanced accuracy: {has} fewer than {FEWEST} audit labels")
        return {}
    known = sample.only(is_known_M)
    value, interval = balanced_accuracy(right_M[is_known_M], y_M[is_known_M], known, n_classes)
    return {"audit_balanced_accuracy": value, "audit_balanced_accuracy_interval": list(interval)}


def _of_numbers(
    pool: Pool, head: HeadFile, audit: AuditLabels, kept_M: Array, sample: AuditSample, is_open_N: Array
) -> dict[str, Any]:
    """The figures of a head that predicts numbers."""
    mean_N, variance_N = np.zeros(pool.n), np.zeros(pool.n)
    for rows_B, X_BD in _blocks(pool, is_open_N):
        mean_N[rows_B], variance_N[rows_B] = head.predicts.mean(X_BD), head.predicts.label_variance(X_BD)
    rows_M = audit.rows_M[kept_M]
    errors_M = (audit.labels.arrays(None)[0][kept_M] - mean_N[rows_M]) ** 2
    found = MeanSquare(errors_M, variance_N[rows_M], sample, variance_N[is_open_N])
    return {
        "audit_rmse": found.root,
        "audit_rmse_interval": list(found.interval()),
        "audit_labels_to_halve_interval": labels_to_halve(len(sample)),
    }


def _blocks(pool: Pool, is_open_N: Array) -> Iterator[tuple[Int64, Floats]]:
    """Yield (row numbers, features) of the rows of a mask, a few at a time."""
    for first, X_BD in pool.blocks():
        rows_B = np.flatnonzero(is_open_N[first : first + len(X_BD)])
        for start in range(0, len(rows_B), _BLOCK):
            part = rows_B[start : start + _BLOCK]
            yield first + part, X_BD[part]
