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
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar, get_args

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.errors import DataError, UsageError, printable, suggestion
from alcli.extensions import guarded, installed, is_file, load, provenance
from alcli.heads._model import Model
from alcli.numerics import metrics
from alcli.numerics.metrics import METRICS, OF_A_CLASS, Metric, MetricTask, of_task, task_of
from alcli.simulation.results import COLUMNS

F = TypeVar("F", bound=Callable[..., Any])
_ARGUMENTS: dict[MetricTask, str] = {
    "classification": "(y_N, log_probs_NC)",
    "regression": "(y_N, mean_N, variance_N)",
}
# Classes are even where their shares are as good as those of so many times C equal classes.
_EVEN = 0.9


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


def default_metric(counts_C: Int64 | None) -> Metric:
    """The metric that compares strategies unless the user names another.

    Accuracy where classes are even, balanced accuracy where they are not, and rmse in a regression.
    counts_C: the rows of each class among those that strategies are measured on; None in a regression.
    """
    if counts_C is None:
        return METRICS["rmse"]
    return METRICS["accuracy" if effective_classes(counts_C) >= _EVEN * len(counts_C) else "balanced_accuracy"]


def effective_classes(counts_C: Int64) -> float:
    """Return the exponential of the entropy of the shares of the classes: C where all classes have as many rows."""
    shares = counts_C[counts_C > 0] / counts_C.sum()
    return float(np.exp(-(shares * np.log(shares)).sum()))


def origin_of(name: str) -> dict[str, str] | None:
    """The provenance of the code of a metric; None for a metric of alcli."""
    return None if _own(name) is not None else provenance("metrics", name)


def metric_named(name: str) -> Metric:
    """Return the metric of a name: of the table, NAME:CLASS, FILE.py or FILE.py:name, or of an installed package.

    Raises UsageError with the nearest names where there is none, and what `extensions.load` raises. A metric from
    outside raises DataError when it fails or returns no finite number.
    """
    own = _own(name)
    if own is not None:
        return own
    if not is_file(name) and name not in installed("metrics"):
        raise UsageError(f"no metric is named '{printable(name)}'", hint=suggestion(name, metric_names()))
    function = load("metrics", name)
    found: Metric = function.metric
    if found.name in METRICS or found.name in COLUMNS:
        raise UsageError(
            f"the metric '{name}' cannot be called '{found.name}': the results have a column of that name",
            hint="give the function another name",
        )
    return replace(found, function=_finite(guarded(function, f"the metric '{name}'"), name))


def stored_metric(name: str) -> Metric | None:
    """Return the metric of a name that stands in a file: of the table, NAME:CLASS, or of an installed package.

    None for any other name. A Python file that data name is not run.
    """
    if is_file(name):
        return None
    try:
        return metric_named(name)
    except UsageError:
        return None


def metric_names() -> list[str]:
    """The names of metrics as a user types them, of installed packages too; a metric of one class ends with a colon."""
    return [*METRICS, *(f"{name}:" for name in OF_A_CLASS), *installed("metrics")]


def _own(name: str) -> Metric | None:
    """The metric of the table or of one class; None for another name. A name may have hyphens for underscores.

    Raises UsageError for the name of a metric of one class without the class.
    """
    stem, _, of_class = name.partition(":")
    stem = stem.replace("-", "_")
    if stem in METRICS and stem == name.replace("-", "_"):
        return METRICS[stem]
    if stem not in OF_A_CLASS:
        return None
    function, words = OF_A_CLASS[stem]
    if not of_class:
        raise UsageError(f"the metric '{name}' is about one class", hint=f"name the class: {stem}:CLASS")
    words = f"{words} of {printable(of_class)}"
    return Metric(f"{stem}:{of_class}", "classification", True, function, words, is_share=True, of_class=of_class)


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


def class_of(metric: Metric, classes: Sequence[str] | None, pool: str) -> int | None:
    """Return the number of the class that the metric is about; None for a metric of all classes.

    classes: None in a regression. pool: its name, for the message.
    Raises UsageError for a metric that is not for the labels of the pool, or is about a class that they do not have.
    """
    task = task_of(None if classes is None else len(classes))
    if metric.task != task:
        labels, theirs = ("numbers", "classes") if classes is None else ("classes", "numbers")
        known = ", ".join(one.name for one in of_task(task))
        what = f"the metric '{metric.name}' is for labels that are {theirs}, the labels of {pool} are {labels}"
        raise UsageError(what, hint=f"metrics for {labels}: {known}")
    if metric.of_class is None or classes is None:
        return None
    if metric.of_class not in classes:
        what = f"the labels of {pool} have no class '{printable(metric.of_class)}', which {metric.name} is about"
        raise UsageError(what, hint=suggestion(metric.of_class, classes))
    return classes.index(metric.of_class)


def predictions(model: Model, X_TD: Floats) -> tuple[Float64, ...]:
    """Return what metrics look at: (log_probs_TC,), or (mean_T, variance_T) in a regression.

    Class probabilities are averaged over the posterior where the head has one (`Model.predictive`).
    """
    if model.n_classes is None:
        return model.mean(X_TD), model.label_variance(X_TD)
    return (model.predictive(X_TD),)


def evaluate(
    y_T: Array, predicted: tuple[Float64, ...], also: Metric | None = None, positive: int | None = None
) -> dict[str, float]:
    """Compute all metrics of the task on T test rows, by name.

    also: a metric outside the table. positive: the number of the class that it is about, if it is about one.
    Raises DataError where no test row is of that class.
    """
    found = (metrics.classification if len(predicted) == 1 else metrics.regression)(y_T, *predicted)
    if also is None:
        return found
    if positive is None:
        return found | {also.name: also(y_T, *predicted)}
    is_T = y_T == positive
    if not is_T.any():
        what = f"no test row is of class '{printable(also.of_class)}', so {also.name} has no value"
        raise DataError(what, hint="choose another metric, or a larger --test-fraction")
    return found | {also.name: also(is_T, predicted[0][:, positive])}
