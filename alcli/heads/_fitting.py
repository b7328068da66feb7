"""Fit everything a head file holds: the head, its posterior, the temperature and the step size of updates.

Source: temperature scaling, Guo et al. 2017, on out-of-fold logits; step size as in numerics/update_tuning.py.
Cost: the head's own; calibration refits it once a fold, tuning once a split, each from the fitted weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from alcli.errors import DataError, UsageError
from alcli.heads._contract import HeadFamily, Training
from alcli.heads._model import Model, evidence_of
from alcli.posteriors._contract import Posterior

Calibration = Literal["none", "temperature"]


@dataclass(frozen=True)
class FitSpec:
    """What to fit; can be pickled. head, posterior: as loaded by name. options: of the head's fitting function."""

    head: HeadFamily
    posterior: type[Posterior] | None = None
    prior_precision: float | None = None
    calibrate: Calibration = "none"
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    curvature: float | None = None
    gamma: float | None = None


def fit(data: Training, spec: FitSpec, *, start: Model | None = None, tune_update: bool = True) -> Model:
    """Fit a model to labelled rows. start: a model of the same classes to begin at (warm start).

    Raises DataError when the rows cannot be learnt from, UsageError when the head cannot do the task.
    """
    task = "regression" if data.n_classes is None else "classification"
    if task not in spec.head.tasks:
        raise UsageError(f"this head does {' and '.join(sorted(spec.head.tasks))}, the labels ask for {task}",
                         hint="choose another --head")
    if data.n == 0:
        raise DataError("there are no labelled rows to fit a head to", hint="give labels with -l or a label column")
    head = spec.head.fit(
        data, prior_precision=spec.prior_precision, start=None if start is None else start.head, **spec.options
    )
    posterior = None
    if spec.posterior is not None:
        posterior = spec.posterior.fit(head.W_CD1, evidence_of(head, data), prior_precision=head.prior_precision)
    return Model(head, posterior, head.temperature)
