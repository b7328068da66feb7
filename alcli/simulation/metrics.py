"""The metrics of a simulation: those of the table, and a metric of the user's own from a file or an installed package.

A metric of one's own is a function declared by `@metric`:

    from alcli.simulation.metrics import metric

    @metric(larger_is_better=True, task="classification", is_share=True)
    def top2(y_N, log_probs_NC):
        return (log_probs_NC.argsort(axis=1)[:, -2:] == y_N[:, None]).any(axis=1).mean()

`alcli simulate --metric FILE.py` measures it on the test rows beside the metrics of the table.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar, get_args

from alcli.arrays import Array, Float64, Floats
from alcli.errors import DataError, UsageError, suggestion
from alcli.extensions import guarded, installed, is_file, load, provenance
from alcli.heads._model import Model
from alcli.numerics import metrics
from alcli.numerics.metrics import METRICS, Metric, MetricTask, of_task, task_of
from alcli.simulation.results import COLUMNS

F = TypeVar("F", bound=Callable[..., Any])
_ARGUMENTS: dict[MetricTask, str] = {
    "classification": "(y_N, log_probs_NC)",
    "regression": "(y_N, mean_N, variance_N)",
}


def metric(*, larger_is_better: bool, task: MetricTask, words: str = "", is_share: bool = False) -> Callable[[F], F]:
    """Declare a function as a metric whose name is that of the function; `Metric` explains the arguments.

    The function is (y_N, log_probs_NC) -> float in a classification and (y_N, mean_N, variance_N) -> float in a
    regression. Its arrays are read-only. Raises ValueError for another task, and TypeError for a function that does not
    take these arguments.
    """
    if task not in get_args(MetricTask):
        raise ValueError(f"task must be one of {', '.join(get_args(MetricTask))}, got '{task}'")

    def declare(function: F) -> F:
        arguments = _ARGUMENTS[task]
        try:
            inspect.signature(function).bind(*arguments.split(","))
        except TypeError:
            raise TypeError(f"'{function.__name__}' must take the arguments {arguments}") from None
        found = Metric(function.__name__, task, larger_is_better, function, words, is_share)
        function.metric = found  # type: ignore[attr-defined]
        return function

    return declare


def default_metric(n_classes: int | None) -> Metric:
    """The metric that compares strategies unless the user names another: accuracy, or rmse in a regression."""
    return METRICS["rmse" if n_classes is None else "accuracy"]


def origin_of(name: str) -> dict[str, str] | None:
    """The provenance of the code of a metric; None for a metric of alcli."""
    return None if name in METRICS else provenance("metrics", name)


def metric_named(name: str) -> Metric:
    """Return the metric of a name: of the table, FILE.py or FILE.py:name, or of an installed package.

    Raises UsageError with the nearest names where there is none, and what `extensions.load` raises. A metric from
    outside raises DataError when it fails or returns no finite number.
    """
    if name in METRICS:
        return METRICS[name]
    if not is_file(name) and name not in installed("metrics"):
        raise UsageError(f"no metric is named '{name}'", hint=suggestion(name, [*METRICS, *installed("metrics")]))
    function = load("metrics", name)
    found: Metric = function.metric
    if found.name in METRICS or found.name in COLUMNS:
        raise UsageError(
            f"the metric '{name}' cannot be called '{found.name}': the results have a column of that name",
            hint="give the function another name",
        )
    return replace(found, function=_finite(guarded(function, f"the metric '{name}'"), name))


def _finite(function: Callable[..., Any], name: str) -> Callable[..., float]:
    """Wrap a metric from outside so that its arrays are read-only and every value is a finite number."""

    def checked(*arrays: Array) -> float:
        value = function(*map(_read_only, arrays))
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise DataError(f"the metric '{name}' returned {value!r}, expected a finite number")
        return number

    return checked


def _read_only(array: Array) -> Array:
    """A view of an array that cannot be written to, since all metrics share the arrays."""
    view = array.view()
    view.flags.writeable = False
    return view


def check_task(metric: Metric, n_classes: int | None, pool: str) -> None:
    """Raise UsageError for a metric that is not for the labels of the pool. pool: its name, for the message."""
    task = task_of(n_classes)
    if metric.task != task:
        labels, theirs = ("numbers", "classes") if n_classes is None else ("classes", "numbers")
        known = ", ".join(one.name for one in of_task(task))
        what = f"the metric '{metric.name}' is for labels that are {theirs}, the labels of {pool} are {labels}"
        raise UsageError(what, hint=f"metrics for {labels}: {known}")


def evaluate(model: Model, X_TD: Floats, y_T: Array, also: Metric | None = None) -> dict[str, float]:
    """Compute all metrics of the task on T test rows, by name. also: a metric from outside the table.

    Class probabilities are averaged over the posterior where the head has one (`Model.predictive`).
    """
    predictions: tuple[Float64, ...]
    if model.n_classes is None:
        predictions = model.mean(X_TD), model.label_variance(X_TD)
        found = metrics.regression(y_T, *predictions)
    else:
        predictions = (model.predictive(X_TD),)
        found = metrics.classification(y_T, *predictions)
    return found if also is None else found | {also.name: also(y_T, *predictions)}
