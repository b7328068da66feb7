"""The configuration of a simulation: everything that its results follow from, as `config.json` has it."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

from alcli import __version__
from alcli.arrays import Float64
from alcli.data.class_names import ClassNames
from alcli.simulation.metrics import default_metric
from alcli.simulation.plan import Plan
from alcli.workflows.items import Items
from alcli.workflows.simulate.request import Checked
from alcli.workflows.simulate.tables import FORMAT
from alcli.workflows.simulate.truth import Truth


def configuration(
    items: Items,
    checked: Checked,
    plan: Plan,
    truth: Truth,
    cost_column: str | None,
    costs_N: Float64 | None,
    names: ClassNames | None,
) -> dict[str, Any]:
    """Return the configuration. costs_N: the costs of the items. names: embeddings of the names of the classes."""
    config = _config(items, checked, plan, truth) | _priced(cost_column, costs_N, truth) | _named(names, truth)
    none = {} if plan.none_label is None else {"none_label": plan.none_label}
    return config | none | _from_outside(checked, plan)


def _config(items: Items, checked: Checked, plan: Plan, truth: Truth) -> dict[str, Any]:
    pool = items.pool
    return {
        "format": FORMAT,
        "version": __version__,
        "pool": items.about() | {"fingerprint": pool.fingerprint(), "labels": truth.digest(pool)},
        "strategies": list(plan.strategies),
        "parameters": {name: dict(texts) for name, texts in checked.texts.items()},
        "head": checked.recipe.as_json(),
        "batch": plan.batch,
        "rounds": plan.rounds,
        "initial": plan.initial,
        "stratified": plan.stratified,
        "candidates": plan.candidates,
        "seeds": plan.n_seeds,
        "test": "split" if len(truth.test) else plan.test_fraction,
        "train_weights": plan.train_weights,
        "default_metric": default_metric(truth.measured_counts()).name,
    }


def _from_outside(checked: Checked, plan: Plan) -> dict[str, Any]:
    """The part of the configuration about code that is not part of alcli; empty without such code.

    origins: the provenance of strategies. metrics: the provenance of the metric, by the name of its column.
    """
    origins = {key: dict(origin) for one in checked.contenders.values() for key, origin in one.origins.items()}
    found: dict[str, Any] = {"origins": origins} if origins else {}
    if checked.metric is not None and plan.metric is not None and plan.metric in plan.origins:
        found["metrics"] = {checked.metric.name: dict(plan.origins[plan.metric])}
    return found


def _priced(column: str | None, costs_N: Float64 | None, truth: Truth) -> dict[str, Any]:
    """The part of the configuration about costs; empty without costs.

    The digest is over the costs of the items used, in the order of their ids.
    """
    if column is None or costs_N is None:
        return {}
    items = truth.used if truth.grouping is None else truth.grouping.of_rows(truth.used)
    return {"cost": {"column": column, "digest": hashlib.sha256(costs_N[items].tobytes()).hexdigest()}}


def _named(names: ClassNames | None, truth: Truth) -> dict[str, Any]:
    """The part of the configuration about names of classes; empty without names."""
    if names is None or truth.classes is None:
        return {}
    digest = hashlib.sha256(np.ascontiguousarray(names.rows(truth.classes)).tobytes()).hexdigest()
    return {"class_names": {"named": sum(name in names.names for name in truth.classes), "digest": digest}}
