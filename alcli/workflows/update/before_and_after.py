"""The figures of a head on the labelled test rows of a pool, before and after an update."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.data.head_file import HeadFile
from alcli.data.pool import Pool
from alcli.heads._model import Model
from alcli.numerics.metrics import accuracy_of_all
from alcli.remarks import Note
from alcli.workflows.labelled import test_rows

_BLOCK = 8192
# A figure is remarked on where it is worse by this many standard errors of the paired difference, and by this share.
SIGNIFICANT = 2.0
LEAST = 0.01


@dataclass(frozen=True)
class _Judged:
    """Two figures of every test row; larger is worse.

    error_T: 1 where the class is wrong, 0 where it is right; the squared error in a regression. nll_T: -log p of the
    label.
    """

    error_T: Float64
    nll_T: Float64


def on_test_rows(pool: Pool, before: HeadFile, after: HeadFile, note: Note) -> dict[str, float]:
    """Return the test figures of both heads by name, `test_KEY_before` and `test_KEY`; nothing without test rows.

    A row of a class that a head does not know counts as wrong, and is left out of the NLL. note: told of a figure that
    became worse by more than chance explains. Cost: one read of the test rows, and the predictions of both heads.
    """
    if not pool.is_test.any():
        return {}
    rows, y_T, unknown = test_rows(pool, after.classes, after.no_class.label, normalize=after.normalizes, note=note)
    if not len(rows):
        return {"n_test": unknown, "test_accuracy_before": 0.0, "test_accuracy": 0.0} if unknown else {}
    X_TD = pool.take(rows)
    then, now = (_judged(head.predicts, X_TD, y_T) for head in (before, after))
    name, nll = ("rmse", "nlpd") if after.classes is None else ("accuracy", "nll")
    figures: dict[str, float] = {"n_test": len(rows) + unknown}
    for key, judged in (("_before", then), ("", now)):
        error = float(judged.error_T.mean())
        is_number = after.classes is None
        figures[f"test_{name}{key}"] = error**0.5 if is_number else accuracy_of_all(1.0 - error, len(rows), unknown)
        figures[f"test_{nll}{key}"] = float(judged.nll_T[np.isfinite(judged.nll_T)].mean())
    if unknown:
        figures["test_unknown_share"] = unknown / figures["n_test"]
    for what, then_T, now_T in ((name, then.error_T, now.error_T), (nll, then.nll_T, now.nll_T)):
        if _is_worse(then_T, now_T):
            was, is_now = figures[f"test_{what}_before"], figures[f"test_{what}"]
            note(f"the test {what} became worse by this update: {was:.4g} before, {is_now:.4g} now")
    return figures


def _is_worse(then_T: Float64, now_T: Float64) -> bool:
    """True where the mean rose by more than chance explains, and by more than a hundredth."""
    both = np.isfinite(then_T) & np.isfinite(now_T)
    rise_T, least = now_T[both] - then_T[both], LEAST * abs(float(then_T[both].mean()))
    return bool(rise_T.mean() > max(least, SIGNIFICANT * float(rise_T.std()) / len(rise_T) ** 0.5))


def _judged(model: Model, X_TD: Floats, y_T: Array) -> _Judged:
    """Judge the predictions of a model in blocks of constant memory. The NLL of an unknown class is infinite."""
    errors, nlls = [], []
    for first in range(0, len(X_TD), _BLOCK):
        X_BD, y_B = X_TD[first : first + _BLOCK], y_T[first : first + _BLOCK]
        if model.n_classes is None:
            squares_B, variance_B = (y_B - model.mean(X_BD)) ** 2, model.label_variance(X_BD)
            errors.append(squares_B)
            nlls.append(0.5 * (np.log(2 * np.pi * variance_B) + squares_B / variance_B))
            continue
        log_probs_BC = model.predictive(X_BD)
        known_B = y_B < model.n_classes
        nll_B = np.full(len(y_B), np.inf)
        nll_B[known_B] = -log_probs_BC[known_B, y_B[known_B]]
        errors.append((log_probs_BC.argmax(axis=1) != y_B).astype(np.float64))
        nlls.append(nll_B)
    return _Judged(np.concatenate(errors), np.concatenate(nlls))
