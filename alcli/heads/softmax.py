"""Softmax regression: the exact maximum a posteriori under a Gaussian prior, which is weak for the bias.

Source: objective sum_n weight_n cross-entropy_n + prior_precision/2 |W without the bias|^2 + 0.05 |bias|^2
(numerics/last_layer/prior.py); solver in numerics/last_layer/softmax_map.py.
Cost: for a given prior precision as in numerics/last_layer/softmax_map.py; `auto` adds the search of heads/_prior.py.
"""

from __future__ import annotations

from typing import cast

import numpy as np

from alcli.arrays import with_bias
from alcli.errors import DataError
from alcli.heads._contract import LinearHead, Training, head
from alcli.heads._prior import choose_prior
from alcli.numerics.last_layer.prior import bias_column
from alcli.numerics.last_layer.rotated import rotate
from alcli.numerics.last_layer.softmax_map import fit_map, log_evidence


@head(tasks={"classification"})
def softmax(data: Training, prior_precision: float | None = None, start: LinearHead | None = None) -> LinearHead:
    """Fit the head.

    prior_precision: None chooses it from the data (heads/_prior.py). start: a head of the same classes whose weights
    the descent begins at. Raises DataError when the labels show fewer than 2 classes, or when the descent does not
    converge.
    """
    n_classes = cast(int, data.n_classes)
    if len(np.unique(data.y_L)) < 2:
        raise DataError(
            f"a softmax head needs 2 classes, the {data.n} labelled rows show {len(np.unique(data.y_L))}",
            hint="label rows of another class",
        )
    prior = choose_prior(data) if prior_precision is None else prior_precision
    rows = rotate(with_bias(data.X_LD), data.y_L, data.weights_L, n_classes, column=bias_column(prior))
    fit = fit_map(rows, prior, start_CR=None if start is None else rows.inside(start.W_CD1))
    diagnostics = {
        "log_likelihood": fit.log_likelihood,
        "log_evidence": log_evidence(rows, fit, prior),
        "iterations": float(fit.iterations),
        "gradient_norm": fit.gradient_norm,
    }
    return LinearHead("softmax", rows.outside(fit.W_CR), prior, diagnostics)
