"""Posteriors that are drawn from: what their fits cost, and how good the predictive is, on banking77 (skipped without
the data).

One BLAS thread, CPU seconds. Floor of an ensemble: one fit of the head that it is made of, by the same solver in the
same run; beside it the members fitted each on its own, from zero, which share nothing. Quality: accuracy, negative
log likelihood and expected calibration error on 3,080 test rows, one draw of the labels; prior precision as `auto`
chooses it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from alcli import plugins
from alcli.arrays import Array
from alcli.errors import DataError
from alcli.heads._contract import LinearHead, Training
from alcli.heads._fitting import FitSpec, fit
from alcli.heads._model import Model, evidence_of
from alcli.heads.ridge import ridge
from alcli.heads.softmax import softmax
from alcli.numerics import metrics
from alcli.posteriors._contract import posterior_of, stream
from alcli.posteriors.ensemble import Ensemble, bootstrap_weights
from alcli.posteriors.variational import Variational
from benchmarks.timing import table

SIZES, MEMBERS, C = (150, 800), 10, 77
KINDS: dict[str, tuple[str, dict[str, Any]]] = {
    "laplace": ("laplace-shared", {}),
    "ensemble, bootstrap": ("ensemble", {}),
    "ensemble, seeds": ("ensemble", {"resample": "seeds"}),
    "dropout 0.1": ("dropout", {"rate": 0.1}),
    "dropout 0.25": ("dropout", {"rate": 0.25}),
    "dropout 0.5": ("dropout", {"rate": 0.5}),
    "variational": ("variational", {}),
    "variational, temperature 1": ("variational", {"temperature": 1.0}),
}


def main(data: Path) -> None:
    path = data / "banking77" / "features.parquet"
    if not path.exists():
        print(f"skipped: {path} is not here")
        return
    import pyarrow.parquet as pq

    columns = pq.read_table(path)
    X = np.stack(columns["features"].to_numpy(zero_copy_only=False))
    y = np.unique(columns["label"].to_pylist(), return_inverse=True)[1]
    is_test = np.array(columns["split"].to_pylist()) == "test"
    order = np.random.default_rng(0).permutation(np.flatnonzero(~is_test))
    labelled = {n: Training(X[order[:n]], y[order[:n]], np.ones(n), C) for n in SIZES}
    with threadpool_limits(1):
        table(
            ("labels", "head", "one fit, s", "10 bootstrap", "10 on their own", "10 seeds", "variational"),
            [row for rows in labelled.values() for row in (costs(rows, softmax, 0.004), costs(rows, ridge, 0.1))],
        )
        table(
            ("labels", "posterior", "accuracy", "nll", "ece", "sd of logits"),
            [row for rows in labelled.values() for row in quality(rows, X[is_test], y[is_test])],
        )


def costs(rows: Training, head: Callable[..., LinearHead], prior_precision: float) -> tuple[Any, ...]:
    """CPU seconds of one size and head."""
    base = head(rows, prior_precision)
    evidence = evidence_of(base, rows)
    shared: dict[str, Any] = {
        "prior_precision": prior_precision,
        "noise_variance": base.noise_variance if head is ridge else None,
    }
    weights = [bootstrap_weights(evidence, stream(0, i)) for i in range(MEMBERS)]
    return (
        rows.n,
        head.__name__,
        seconds(lambda: head(rows, prior_precision)),
        seconds(lambda: Ensemble.fit(base.W_CD1, evidence, **shared)),
        seconds(
            lambda: [head(Training(rows.X_LD[w > 0], rows.y_L[w > 0], w[w > 0], C), prior_precision) for w in weights]
        ),
        seconds(lambda: Ensemble.fit(base.W_CD1, evidence, resample="seeds", **shared)),
        seconds(lambda: Variational.fit(base.W_CD1, evidence, **shared)),
    )


def quality(rows: Training, X: Array, y: Array) -> list[tuple[Any, ...]]:
    """Figures of each posterior at one size, the weights alone first."""
    base = fit(rows, FitSpec(softmax.head))
    spec = FitSpec(softmax.head, prior_precision=base.head.prior_precision)
    models: dict[str, Model] = {"none": base}
    for name, (kind, options) in KINDS.items():
        form = posterior_of(plugins.load("posteriors", kind))
        try:
            models[name] = fit(rows, replace(spec, posterior=form, posterior_options=options), start=base)
        except DataError as error:
            print(f"{rows.n} labels, {name}: left out, {error.message}")
    out = []
    for name, model in models.items():
        found = metrics.classification(y, model.predictive(X))
        spread = 0.0 if model.posterior is None else float(np.sqrt(model.logit_variance(X).mean()))
        out.append((rows.n, name, found["accuracy"], found["nll"], found["ece"], spread))
    return out


def seconds(work: Callable[[], Any]) -> float:
    """The least CPU seconds of three calls."""
    return min(_once(work) for _ in range(3))


def _once(work: Callable[[], Any]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start
