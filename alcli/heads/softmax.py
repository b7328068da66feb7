"""Softmax regression: the exact maximum a posteriori under a Gaussian prior, which is weak for the bias.

Source: objective sum_n weight_n cross-entropy_n + prior_precision/2 |W without the bias|^2 + 0.05 |bias|^2
(numerics/last_layer/prior.py); solver in numerics/last_layer/softmax_map.py.
Where the data bring an anchor (`Training.anchor`), the prior is centred there instead of at zero, and its precision is
that of the anchor.
Cost: for a given prior precision as in numerics/last_layer/softmax_map.py; `auto` adds the search of heads/_prior.py.
"""

from __future__ import annotations

from dataclasses import replace
from typing import cast

import numpy as np

from alcli.arrays import Float64, with_bias
from alcli.errors import DataError
from alcli.heads._contract import LinearHead, Training, head
from alcli.heads._prior import choose_prior
from alcli.numerics.last_layer.prior import Anchor, bias_column
from alcli.numerics.last_layer.rotated import Rotated, rotate
from alcli.numerics.last_layer.softmax_map import GRADIENT_TOLERANCE, MapFit, fit_map, log_evidence


@head(tasks={"classification"})
def softmax(data: Training, prior_precision: float | None = None, start: LinearHead | None = None) -> LinearHead:
    """Fit the head.

    prior_precision: None takes that of the anchor of the data, or chooses it from the labels (heads/_prior.py).
    start: a head of the same classes whose weights the descent begins at. Raises DataError when there is no anchor and
    the labels show fewer than 2 classes, or when the descent does not converge.
    """
    start_CD1 = None if start is None else start.W_CD1
    if data.anchor is not None:
        return at_map(data, data.anchor.precision if prior_precision is None else prior_precision, start_CD1)
    if len(np.unique(data.y_L)) < 2:
        raise DataError(
            f"a softmax head needs 2 classes, the {data.n} labelled rows show {len(np.unique(data.y_L))}",
            hint="label rows of another class",
        )
    return at_map(data, choose_prior(data) if prior_precision is None else prior_precision, start_CD1)


def at_map(
    data: Training, prior: float, start_CD1: Float64 | None = None, *, tolerance: float = GRADIENT_TOLERANCE
) -> LinearHead:
    """Return the head at its MAP for a given prior precision, also where the labels show a single class, or none.

    The prior is centred at the anchor of the data, or at zero. In directions that no row spans, the weights stay at the
    centre. The typical rows of the anchor hold a class that waits for its first label in its place.
    start_CD1: the weights that the descent begins at. tolerance: of the gradient, see `fit_map`.
    """
    anchor = data.anchor
    mean_CD1 = anchor.mean_CD1 if anchor else np.zeros((cast(int, data.n_classes), data.X_LD.shape[1] + 1))
    if not data.n:
        return LinearHead("softmax", mean_CD1, prior, anchor=anchor)
    rows = _rotated(data if anchor is None else _with_typical_rows(data, anchor), prior)
    mean_CR = rows.inside(mean_CD1)
    start_CR = mean_CR if start_CD1 is None else rows.inside(start_CD1)
    fit = fit_map(rows, prior, start_CR=start_CR, tolerance=tolerance, anchor_CR=mean_CR)
    W_CD1 = mean_CD1 + rows.outside(fit.W_CR - mean_CR)
    return LinearHead("softmax", W_CD1, prior, _figures(rows, fit, prior, mean_CR), anchor=anchor)


def _with_typical_rows(data: Training, anchor: Anchor) -> Training:
    """The labelled rows, and the typical rows of the classes that they do not show."""
    waiting_P = ~np.isin(anchor.classes_P, data.y_L)
    return replace(
        data,
        X_LD=np.concatenate([data.X_LD, anchor.rows_PD[waiting_P]]),
        y_L=np.concatenate([data.y_L, anchor.classes_P[waiting_P]]),
        weights_L=np.concatenate([data.weights_L, np.ones(int(waiting_P.sum()))]),
    )


def _rotated(data: Training, prior: float) -> Rotated:
    n_classes = cast(int, data.n_classes)
    return rotate(with_bias(data.X_LD), data.y_L, data.weights_L, n_classes, column=bias_column(prior))


def _figures(rows: Rotated, fit: MapFit, prior: float, anchor_CR: Float64) -> dict[str, float]:
    """The diagnostics of a fit. The likelihood is that of all rows, the typical rows of an anchor among them."""
    return {
        "log_likelihood": fit.log_likelihood,
        "log_evidence": log_evidence(rows, fit, prior, anchor_CR),
        "iterations": float(fit.iterations),
        "gradient_norm": fit.gradient_norm,
    }
