"""Metrics on the test rows of a simulation, and the metric that strategies are compared by."""

from __future__ import annotations

from alcli import plugins
from alcli.arrays import Array, Floats
from alcli.errors import UsageError
from alcli.heads._model import Model
from alcli.numerics import metrics
from alcli.numerics.metrics import METRICS, Metric, MetricTask


def default_metric(n_classes: int | None) -> Metric:
    """The metric that compares strategies unless the user names another: accuracy, or rmse in a regression."""
    return METRICS["rmse" if n_classes is None else "accuracy"]


def metric_named(name: str) -> Metric:
    """Return the metric of a name. Raises UsageError with the nearest names where there is none."""
    if name not in METRICS:
        raise UsageError(f"no metric is named '{name}'", hint=plugins.suggestion(name, METRICS))
    return METRICS[name]


def check_task(metric: Metric, n_classes: int | None, pool: str) -> None:
    """Raise UsageError for a metric that is not for the labels of the pool. pool: its name, for the message."""
    task: MetricTask = "regression" if n_classes is None else "classification"
    if metric.task != task:
        labels, theirs = ("numbers", "classes") if n_classes is None else ("classes", "numbers")
        known = ", ".join(one.name for one in metrics.of_task(task))
        what = f"the metric '{metric.name}' is for labels that are {theirs}, the labels of {pool} are {labels}"
        raise UsageError(what, hint=f"metrics for {labels}: {known}")


def evaluate(model: Model, X_TD: Floats, y_T: Array) -> dict[str, float]:
    """Compute all metrics of the task on T test rows, by name.

    Class probabilities are averaged over the posterior where the head has one (`Model.predictive`).
    """
    if model.n_classes is None:
        return metrics.regression(y_T, model.mean(X_TD), model.label_variance(X_TD))
    return metrics.classification(y_T, model.predictive(X_TD))
