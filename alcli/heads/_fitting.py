"""The fit of all parts of a head file: the head, its posterior, the curvature of updates and the temperature.

Source: temperature scaling, Guo et al. 2017, on out-of-fold predictions; curvature in heads/_tuning.py.
Cost: the fit of the head. Calibration refits the head and its posterior once a fold, tuning refits the head once. Each
refit begins at the fitted weights where the objective has a single optimum.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal, cast

import numpy as np

from alcli.arrays import Float64
from alcli.errors import DataError, UsageError
from alcli.heads._contract import Head, HeadFamily, Training
from alcli.heads._model import Model, evidence_of
from alcli.heads._tuning import EXACT, default_curvature, tune
from alcli.numerics.folds import stratified_folds
from alcli.numerics.last_layer.mean_field import mean_field
from alcli.numerics.last_layer.temperature import best_temperature
from alcli.numerics.logistic import softmax
from alcli.posteriors._contract import Posterior
from alcli.remarks import steps, working

Calibration = Literal["none", "temperature"]
N_FOLDS = 5


@dataclass(frozen=True)
class FitSpec:
    """The choices of a fit; can be pickled.

    head, posterior: the declarations that the names load; posterior None fits no posterior.
    prior_precision, curvature: None chooses the value from the data. calibrate: "temperature" fits the temperature.
    options: of the head's fitting function. posterior_options: keyword arguments of the posterior's `fit` that the
    contract of posteriors does not name.
    gamma: the step size of linearised updates, None for exact updates. posterior_prior: the prior precision of the
    posterior alone, None for that of the head. The published rule is gamma 10, curvature 1 and posterior_prior 1.
    """

    head: HeadFamily
    posterior: type[Posterior] | None = None
    prior_precision: float | None = None
    calibrate: Calibration = "none"
    seed: int = 0
    options: Mapping[str, Any] = field(default_factory=dict)
    curvature: float | None = None
    gamma: float | None = None
    posterior_prior: float | None = None
    posterior_options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def predicts_losses(self) -> bool:
        """True where the head will have a loss-prediction branch."""
        return bool(self.options.get("aux_loss"))

    def fit_head(self, data: Training, *, prior_precision: float | None, start: Head | None) -> Head:
        """Fit the head alone, without a posterior or a temperature."""
        seed = {"seed": self.seed} if self.head.random else {}
        return self.head.fit(data, prior_precision=prior_precision, start=start, **seed, **self.options)


@working("fitting")
def fit(data: Training, spec: FitSpec, *, start: Model | None = None, tune_update: bool = True) -> Model:
    """Fit a model to labelled rows.

    start: a model of the same classes to begin at (warm start). tune_update: False takes the posterior's default
    curvature instead of measuring it.
    Raises DataError when the rows cannot be learnt from, and UsageError when the head cannot do the task.
    """
    _check_task(data, spec)
    fitted = spec.fit_head(data, prior_precision=spec.prior_precision, start=None if start is None else start.head)

    def refit(rows: Training) -> Head:
        # A random head that began at the fitted weights would remember the held-out rows.
        return spec.fit_head(rows, prior_precision=fitted.prior_precision, start=None if spec.head.random else fitted)

    curvature = _curvature(data, spec, fitted, refit, tune_update)

    def model_of(head: Head, rows: Training) -> Model:
        if spec.posterior is None:
            return Model(head, None, head.temperature, spec.gamma)
        return Model(*with_posterior(head, rows, spec, curvature), head.temperature, spec.gamma)

    model = model_of(fitted, data)
    if spec.calibrate == "none":
        return model
    return calibrated(model, data, lambda rows: model_of(refit(rows), rows), seed=spec.seed)


def with_posterior(head: Head, data: Training, spec: FitSpec, curvature: float) -> tuple[Head, Posterior]:
    """The posterior of `spec` around a head that is at its MAP, and the head at the mean of the posterior."""
    posterior_class = cast(type[Posterior], spec.posterior)
    mean_CD1, posterior = posterior_class.fit(
        head.W_CD1,
        evidence_of(head, data),
        prior_precision=head.prior_precision if spec.posterior_prior is None else spec.posterior_prior,
        curvature=curvature,
        noise_variance=head.noise_variance if head.link == "identity" else None,
        prior_mean_CD1=head.prior_mean_CD1,
        seed=spec.seed,
        **spec.posterior_options,
    )
    return head.with_last_layer(mean_CD1).with_diagnostics(**posterior.figures), posterior


def _curvature(
    data: Training, spec: FitSpec, fitted: Head, refit: Callable[[Training], Head], tune_update: bool
) -> float:
    """The curvature of updates.

    The user's value comes first; then 1, the exact value, under squared loss and without a posterior. It is measured
    where updates are exact and `tune_update` asks for it. Otherwise it is the posterior's default.
    """
    if spec.posterior is None or fitted.link == "identity" or spec.curvature is not None:
        return EXACT if spec.curvature is None else spec.curvature
    if tune_update and spec.gamma is None:
        return tune(data, fitted, refit, spec.posterior, seed=spec.seed)
    return default_curvature(spec.posterior, len(fitted.W_CD1))


def calibrated(model: Model, data: Training, refit: Callable[[Training], Model], *, seed: int) -> Model:
    """The model with the temperatures that fit labels out of fold best: of `log_probs`, and of `predictive`.

    The variance of the posterior lowers the confidence of `predictive`, so its temperature is another one. It may be
    so low that next to all doubt is that of the posterior. The posterior is refitted with the head of each fold.
    The temperature stays as it is where more than half of the rows are the only row of their class: a held-out row
    would then have a class that the refitted head has not seen. The diagnostic `calibration_rows` counts the rows that
    took part, 0 where the temperature is unchanged.
    """
    counts_C = np.bincount(data.y_L)
    folds_L = stratified_folds(data.y_L, N_FOLDS, seed=seed)
    trainable = [k for k in range(N_FOLDS) if (folds_L == k).any() and len(np.unique(data.y_L[folds_L != k])) >= 2]
    used_L = np.isin(folds_L, trainable)
    if 2 * int((counts_C[data.y_L] >= 2).sum()) < data.n or not used_L.any():
        return replace(model, head=model.head.with_diagnostics(calibration_rows=0.0))
    folds = [
        (refit(data.rows(folds_L != k)), data.rows(folds_L == k))
        for k in steps(trainable, "calibrating", len(trainable))
    ]
    plain = [_loss(replace(one, posterior=None), rows) for one, rows in folds]
    model = replace(
        model,
        temperature=best_temperature(lambda t: sum(loss(t) for loss in plain)),
        head=model.head.with_diagnostics(calibration_rows=float(used_L.sum())),
    )
    if model.posterior is None:
        return model
    shown = [_loss(*fold) for fold in folds]
    return replace(model, predictive_temperature=best_temperature(lambda t: sum(loss(t) for loss in shown)))


def _loss(model: Model, data: Training) -> Callable[[float], float]:
    """The weighted loss of `model.predictive` on rows, as a function of its temperature.

    All products are taken at once. Memory: L C numbers, times the members of an ensemble.
    """
    posterior, W_CD1, phi_LD1 = model.posterior, model.head.W_CD1, model.head.last_layer(data.X_LD)
    row_numbers = np.arange(data.n)
    if posterior is not None and posterior.distinct is not None:
        W_SCD1 = posterior.sample(W_CD1, posterior.distinct, seed=0)
        drawn_SLC = phi_LD1 @ W_SCD1.transpose(0, 2, 1)

        def log_probs(t: float) -> Float64:
            return np.log(np.maximum(softmax(drawn_SLC / t).mean(axis=0), np.finfo(np.float64).tiny))

    else:
        logits_LC = model.head.logits(data.X_LD)
        variance = np.zeros((data.n, 1)) if posterior is None else posterior.contrast_variance(W_CD1, phi_LD1)

        def log_probs(t: float) -> Float64:
            return mean_field(logits_LC / t, variance / t**2)

    return lambda t: -float(data.weights_L @ log_probs(t)[row_numbers, data.y_L])


def _check_task(data: Training, spec: FitSpec) -> None:
    task = "regression" if data.n_classes is None else "classification"
    if task not in spec.head.tasks:
        raise UsageError(
            f"this head does {' and '.join(sorted(spec.head.tasks))}, the labels ask for {task}",
            hint="choose another --head",
        )
    if task == "regression" and spec.calibrate == "temperature":
        raise UsageError(
            "--calibrate temperature is for class labels, and the labels are numbers", hint="use --calibrate none"
        )
    if data.n == 0 and data.anchor is None:
        raise DataError(
            "there are no labelled rows to fit a head to", hint="give labels with -l, or a label column in the pool"
        )
