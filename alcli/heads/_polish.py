"""The polish of a head after an update: its last layer goes to the MAP of all labels that it knows.

An update in closed form sees the new rows, and the old ones only through the posterior. So it ends near the MAP of all
labels, not at it. From there a few Newton steps on all labels reach the MAP, as good as retraining.
Prior precision, curvature and temperature stay as they are; they belong to the labels that the head was fitted to, and
a fit chooses them anew. Hidden layers stay too.

The posterior is fitted again around the MAP. So it holds each label once, with the weight of the moment, whatever
updates came before.

Source: own. Newton steps as in numerics/last_layer/softmax_map.py. Under squared loss the MAP is the closed form of
heads/ridge.py.
Cost: the rotation of n rows, min(n, D1)^2 max(n, D1) multiply-adds a few times, 4 n R C flops for each of some tens of
conjugate-gradient steps, R = min(n, D1); and the fit of the posterior.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from alcli.heads._contract import Head, LinearHead, Training
from alcli.heads._fitting import FitSpec, with_posterior
from alcli.heads._model import Model
from alcli.heads._tuning import EXACT
from alcli.heads.ridge import ridge
from alcli.heads.softmax import at_map

# A head is renewed once it has this many times the labels that its prior precision was chosen from.
RENEWAL = 2
TOLERANCE = 1e-5  # of the gradient, relative to the sum of the row norms


def is_renewal(n: int, fitted_on: int) -> bool:
    """True where a head with n labels is to be fitted anew: its labels have doubled since it was fitted."""
    return n >= RENEWAL * fitted_on


def polished(model: Model, data: Training, spec: FitSpec) -> Model:
    """The model at the MAP of all labels in `data`.

    data: every label that the model knows, without an anchor. spec: what the model was fitted by. Raises DataError
    where the descent does not converge.
    """
    head = _at_map(model.head, data)
    temperature = head.temperature if spec.calibrate == "none" else model.temperature
    if model.posterior is None:
        return replace(model, head=head, temperature=temperature)
    head, posterior = with_posterior(head, data, spec, getattr(model.posterior, "curvature", EXACT))
    return replace(model, head=head, posterior=posterior, temperature=temperature)


def _at_map(head: Head, data: Training) -> Head:
    """The head with its last layer at the MAP. A ridge head also gets the noise variance and temperature of the fit."""
    rows = replace(data, X_LD=head.hidden(data.X_LD), anchor=head.anchor)
    if head.link == "softmax":
        last = at_map(rows, head.prior_precision, head.W_CD1, tolerance=TOLERANCE)
    elif not data.n:
        return head.with_last_layer(np.zeros_like(head.W_CD1))
    else:
        last = ridge(rows, head.prior_precision)
        if isinstance(head, LinearHead):
            return last
    return head.with_last_layer(last.W_CD1).with_diagnostics(**last.diagnostics)
