"""Ridge regression in closed form: on float targets, or on one-hot classes.

In a classification the scores become probabilities through softmax(scores / T). T is always fitted to the exact
leave-one-out scores. The bias is free: another zero of the labels moves the predictions by the same number, and
another unit scales them. Updates with curvature 1 and gamma 1 equal a refit at the same prior precision.

Source: Hoerl & Kennard 1970; leave-one-out in closed form, Golub, Heath & Wahba 1979; noise variance by marginal
likelihood.
Cost: min(n, D1)^2 max(n, D1) + 2 n R C flops for each of the 21 prior precisions of `auto`, R = min(n, D1).
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import with_bias
from alcli.errors import DataError
from alcli.heads._contract import LinearHead, Training, head
from alcli.numerics.last_layer import ridge as closed_form
from alcli.numerics.last_layer.rotated import rotate_centred
from alcli.numerics.last_layer.temperature import fit_temperature
from alcli.numerics.logistic import one_hot


@head(tasks={"classification", "regression"})
def ridge(data: Training, prior_precision: float | None = None, start: LinearHead | None = None) -> LinearHead:
    """Fit the head.

    prior_precision: None takes the precision of least leave-one-out squared error. start: has no effect, because the
    fit is in closed form. Raises DataError when the labels are classes and show fewer than 2 of them.
    """
    if data.n_classes is not None and len(np.unique(data.y_L)) < 2:
        raise DataError(
            f"a ridge head needs 2 classes, the {data.n} labelled rows show {len(np.unique(data.y_L))}",
            hint="label rows of another class",
        )
    rows = rotate_centred(with_bias(data.X_LD), data.y_L, data.weights_L, data.n_classes or 1)
    # Numbers are measured from their mean: far from zero, rounding would hide what the features explain.
    zero = float(np.average(data.y_L, weights=data.weights_L)) if data.n_classes is None else 0.0
    targets_LC = data.y_L[:, None] - zero if data.n_classes is None else one_hot(data.y_L, data.n_classes)
    fit = (
        closed_form.best(rows, targets_LC)
        if prior_precision is None
        else closed_form.solve(rows, targets_LC, prior_precision)
    )
    variance = closed_form.noise_variance(rows, targets_LC, fit)
    diagnostics = {
        "log_evidence": closed_form.log_evidence(rows, targets_LC, fit, variance),
        "left_out_error": closed_form.left_out_error(rows, targets_LC, fit),
        "iterations": 0.0,
        "gradient_norm": 0.0,
    }
    temperature = 1.0 if data.n_classes is None else fit_temperature(fit.left_out_LC, data.y_L, data.weights_L)
    W_CD1 = rows.outside(fit.W_CR)
    W_CD1[:, -1] += zero
    return LinearHead(
        "ridge",
        W_CD1,
        fit.prior,
        diagnostics,
        link="identity",
        regression=data.n_classes is None,
        temperature=temperature,
        noise_variance=variance,
    )
