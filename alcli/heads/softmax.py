"""Softmax regression: the exact maximum a posteriori under a Gaussian prior, which is weak for the bias.

Source: objective sum_n weight_n cross-entropy_n + prior_precision/2 |W without the bias|^2 + 0.05 |bias|^2
(numerics/last_layer/prior.py); solver in numerics/last_layer/softmax_map.py.
Where the data bring an anchor (`Training.anchor`), the prior is centred there instead of at zero, and its precision is
that of the anchor.
Cost: for a given prior precision as in numerics/last_layer/softmax_map.py; `auto` adds the search of heads/_prior.py.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from alcli.arrays import Float64, with_bias
from alcli.errors import DataError
from alcli.heads._contract import Anchor, LinearHead, Training, head
from alcli.heads._prior import choose_prior
from alcli.numerics.last_layer.prior import bias_column
from alcli.numerics.last_layer.rotated import Rotated, rotate
from alcli.numerics.last_layer.softmax_map import MapFit, fit_map, log_evidence


@head(tasks={"classification"})
def softmax(data: Training, prior_precision: float | None = None, start: LinearHead | None = None) -> LinearHead:
    """Fit the head.

    prior_precision: None takes that of the anchor of the data, or chooses it from the labels (heads/_prior.py).
    start: a head of the same classes whose weights the descent begins at. Raises DataError when there is no anchor and
    the labels show fewer than 2 classes, or when the descent does not converge.
    """
    if data.anchor is not None:
        return _around(data, data.anchor, data.anchor.precision if prior_precision is None else prior_precision, start)
    if len(np.unique(data.y_L)) < 2:
        raise DataError(
            f"a softmax head needs 2 classes, the {data.n} labelled rows show {len(np.unique(data.y_L))}",
            hint="label rows of another class",
        )
    prior = choose_prior(data) if prior_precision is None else prior_precision
    rows = _rotated(data, prior)
    fit = fit_map(rows, prior, start_CR=None if start is None else rows.inside(start.W_CD1))
    return LinearHead("softmax", rows.outside(fit.W_CR), prior, _figures(rows, fit, prior))


def _around(data: Training, anchor: Anchor, prior: float, start: LinearHead | None) -> LinearHead:
    """Fit the head with its prior centred at the anchor. In directions that no row spans, the weights stay there.

    The typical rows of the anchor hold a class that waits for its first label in its place.
    """
    mean_CD1 = anchor.mean_CD1
    if not data.n:
        return LinearHead("softmax", mean_CD1, prior, {}, prior_mean_CD1=mean_CD1)
    rows = _rotated(
        Training(
            np.concatenate([data.X_LD, anchor.rows_PD]),
            np.concatenate([data.y_L, anchor.classes_P]),
            np.concatenate([data.weights_L, np.ones(len(anchor.classes_P))]),
            data.n_classes,
        ),
        prior,
    )
    mean_CR = rows.inside(mean_CD1)
    fit = fit_map(rows, prior, start_CR=mean_CR if start is None else rows.inside(start.W_CD1), anchor_CR=mean_CR)
    W_CD1 = mean_CD1 + rows.outside(fit.W_CR - mean_CR)
    return LinearHead("softmax", W_CD1, prior, _figures(rows, fit, prior, mean_CR), prior_mean_CD1=mean_CD1)


def _rotated(data: Training, prior: float) -> Rotated:
    n_classes = cast(int, data.n_classes)
    return rotate(with_bias(data.X_LD), data.y_L, data.weights_L, n_classes, column=bias_column(prior))


def _figures(rows: Rotated, fit: MapFit, prior: float, anchor_CR: Float64 | None = None) -> dict[str, float]:
    """The diagnostics of a fit. The likelihood is that of all rows, the typical rows of an anchor among them."""
    return {
        "log_likelihood": fit.log_likelihood,
        "log_evidence": log_evidence(rows, fit, prior, anchor_CR),
        "iterations": float(fit.iterations),
        "gradient_norm": fit.gradient_norm,
    }
