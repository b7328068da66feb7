"""Metrics of predictions: of classes from labels and log-probabilities, of numbers from targets and predicted means.

Source: Brier 1950; Guo et al. 2017, section 2 (expected calibration error, bins of equal width on the confidence);
Everingham et al. 2010, "The Pascal visual object classes challenge", section 4 (intersection over union of a class).
Cost: one pass over [B, C]; average precision sorts B numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.logistic import one_hot


def accuracy(y_B: Array, predicted_B: Array) -> float:
    """Compute the fraction of rows whose class is predicted correctly."""
    return float((y_B == predicted_B).mean())


def accuracy_of_all(of_known: float, n_known: int, n_unknown: int) -> float:
    """Return the accuracy over all test rows: a row of a class that the head does not know is predicted wrongly.

    of_known: the accuracy over the n_known rows of known classes. It is the one definition of a test accuracy: fit-head
    and update use it; the heads of a simulation know every class, so that `accuracy` is the same there.
    """
    return of_known * n_known / (n_known + n_unknown)


def accuracy_interval(accuracy: float, n: int) -> tuple[float, float]:
    """Return Wilson's 95% interval of an accuracy over n rows that stand for more (Wilson 1927)."""
    z2 = 1.959963984540054**2
    middle, spread = accuracy + z2 / (2 * n), (z2 * (accuracy * (1 - accuracy) / n + z2 / (4 * n**2))) ** 0.5
    return (middle - spread) / (1 + z2 / n), (middle + spread) / (1 + z2 / n)


def balanced_accuracy(y_B: Array, predicted_B: Array) -> float:
    """Compute the recall of each class that occurs in y, and return the mean over the classes."""
    return float(np.mean([(predicted_B[y_B == c] == c).mean() for c in np.unique(y_B)]))


def macro_f1(y_B: Array, predicted_B: Array) -> float:
    """Compute the mean F1 over the classes that occur in y or are predicted."""
    scores = []
    for c in np.union1d(y_B, predicted_B):
        hits = ((y_B == c) & (predicted_B == c)).sum()
        scores.append(2 * hits / ((y_B == c).sum() + (predicted_B == c).sum()))
    return float(np.mean(scores))


def mean_iou(y_B: Array, predicted_B: Array) -> float:
    """Compute the mean intersection over union over the classes that occur in y or are predicted.

    The union of a class are the rows that have it, are predicted to have it, or both. The rows of all groups count
    together, as the pixels of all images do.
    """
    counts = class_counts(y_B, predicted_B, int(max(y_B.max(), predicted_B.max())) + 1)
    union_C = counts.rows_C + counts.predicted_C - counts.correct_C
    return float((counts.correct_C[union_C > 0] / union_C[union_C > 0]).mean())


def average_precision(is_B: Array, score_B: Floats) -> float:
    """Compute the average precision of a class: the precision at the score of each of its rows, mean over its rows.

    is_B: True for the rows of the class, of which there is at least one. Rows of equal scores stand at one place.
    """
    order = np.argsort(-score_B, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(score_B[order]) != 0, True))
    found_E = np.cumsum(is_B[order])[ends]
    return float((np.diff(found_E, prepend=0) * found_E / (ends + 1)).sum() / found_E[-1])


def nll(y_B: Array, log_probs_BC: Floats) -> float:
    """Compute the mean of -log p of the given class, in nats."""
    return -float(log_probs_BC[np.arange(len(y_B)), y_B].mean(dtype=np.float64))


def brier(y_B: Array, log_probs_BC: Floats) -> float:
    """Compute the Brier score, 0 to 2: the squared distance of probabilities and one-hot label, mean over rows."""
    difference_BC = np.exp(log_probs_BC) - one_hot(y_B, log_probs_BC.shape[1])
    return float((difference_BC**2).sum(axis=1).mean())


def ece(y_B: Array, log_probs_BC: Floats, n_bins: int = 15) -> float:
    """Compute the expected calibration error: the mean gap between confidence and accuracy, weighted by rows in a bin.

    The bins (lower, upper] of the confidence have equal width.
    """
    confidence_B = _confidence(log_probs_BC)
    gap_B = (log_probs_BC.argmax(axis=1) == y_B) - confidence_B
    return float(np.abs(np.bincount(_bins(confidence_B, n_bins), gap_B, n_bins)).sum() / len(y_B))


def mae(y_B: Floats, mean_B: Floats) -> float:
    """Compute the mean absolute error."""
    return float(np.abs(y_B - mean_B).mean())


def rmse(y_B: Floats, mean_B: Floats) -> float:
    """Compute the root of the mean squared error."""
    return float(np.sqrt(((y_B - mean_B) ** 2).mean()))


def r2(y_B: Floats, mean_B: Floats) -> float:
    """Compute the fraction of the variance that is explained.

    Targets that do not vary give 1 if every prediction is exact, and 0 otherwise.
    """
    unexplained, total = float(((y_B - mean_B) ** 2).sum()), float(((y_B - y_B.mean()) ** 2).sum())
    if total == 0.0:
        return 1.0 if unexplained == 0.0 else 0.0
    return 1.0 - unexplained / total


def nlpd(y_B: Floats, mean_B: Floats, variance_B: Floats) -> float:
    """Compute the mean negative log predictive density under a normal distribution, in nats."""
    safe_B = np.maximum(variance_B, np.finfo(np.float64).tiny)
    return float(0.5 * (np.log(2 * np.pi * safe_B) + (y_B - mean_B) ** 2 / safe_B).mean())


# -- counts by class and by confidence --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ClassCounts:
    """Rows by class, three int64 arrays [C]: rows of the class, rows predicted to be of it, and rows that are both."""

    rows_C: Int64
    predicted_C: Int64
    correct_C: Int64


def class_counts(y_B: Array, predicted_B: Array, C: int) -> ClassCounts:
    """Count rows by class."""
    correct_B = y_B[y_B == predicted_B]
    return ClassCounts(*(np.bincount(of_B, minlength=C) for of_B in (y_B, predicted_B, correct_B)))


def confidence_counts(y_B: Array, log_probs_BC: Floats, n_bins: int) -> tuple[Int64, Int64]:
    """Return (rows, correctly predicted rows) by confidence, int64 [n_bins] each; the bins are those of `ece`."""
    bin_B = _bins(_confidence(log_probs_BC), n_bins)
    is_hit_B = log_probs_BC.argmax(axis=1) == y_B
    return np.bincount(bin_B, minlength=n_bins), np.bincount(bin_B[is_hit_B], minlength=n_bins)


def _confidence(log_probs_BC: Floats) -> Float64:
    """The probability of the predicted class, float64 [B]."""
    return np.exp(log_probs_BC.max(axis=1).astype(np.float64))


def _bins(confidence_B: Float64, n_bins: int) -> Int64:
    return np.clip(np.ceil(confidence_B * n_bins).astype(np.int64) - 1, 0, n_bins - 1)


# -- the table --------------------------------------------------------------------------------------------------------

MetricTask = Literal["classification", "regression"]


@dataclass(frozen=True)
class Metric:
    """A metric, and everything that tables, curves and sentences need to know about it.

    name: the key in JSON and the name of the column. task: the kind of labels that the metric is for.
    function: (y_B, log_probs_BC) -> float in a classification, with y_B int64 class numbers and log_probs_BC float64
    [B, C]; (y_B, mean_B, variance_B) -> float in a regression, with three float64 arrays [B].
    words: the name in tables and sentences; without any, `name` with spaces. is_share: the value is a share of 1 and is
    shown in hundredths. in_fit_report: `alcli fit-head` reports the metric. of_class: the class that the metric is
    about, whose function is (is_B, log_prob_B) -> float; None for a metric of all classes.
    """

    name: str
    task: MetricTask
    larger_is_better: bool
    function: Callable[..., float]
    words: str = ""
    is_share: bool = False
    in_fit_report: bool = True
    of_class: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "words", self.words or self.name.replace("_", " "))

    def __call__(self, y_B: Array, *predictions: Floats) -> float:
        """Compute the metric; the arguments are those of `function`."""
        return self.function(y_B, *predictions)


def _of_class(function: Callable[[Array, Array], float]) -> Callable[[Array, Floats], float]:
    """The metric of a classification that looks at the predicted class alone; ties go to the lowest class."""
    return lambda y_B, log_probs_BC: function(y_B, log_probs_BC.argmax(axis=1))


def _of_mean(function: Callable[[Floats, Floats], float]) -> Callable[[Floats, Floats, Floats], float]:
    """The metric of a regression that looks at the predicted means alone."""
    return lambda y_B, mean_B, variance_B: function(y_B, mean_B)


_CLASSES: MetricTask = "classification"
_NUMBERS: MetricTask = "regression"
# A metric is added by its function above and by one row here. The order is that of the columns.
_ROWS = (
    Metric("accuracy", _CLASSES, True, _of_class(accuracy), is_share=True),
    Metric("balanced_accuracy", _CLASSES, True, _of_class(balanced_accuracy), is_share=True, in_fit_report=False),
    Metric("macro_f1", _CLASSES, True, _of_class(macro_f1), "macro F1", is_share=True, in_fit_report=False),
    Metric("mean_iou", _CLASSES, True, _of_class(mean_iou), "mean IoU", is_share=True, in_fit_report=False),
    Metric("nll", _CLASSES, False, nll, "negative log-likelihood"),
    Metric("brier", _CLASSES, False, brier, "Brier score", in_fit_report=False),
    Metric("ece", _CLASSES, False, ece, "calibration error"),
    Metric("mae", _NUMBERS, False, _of_mean(mae), "mean absolute error"),
    Metric("rmse", _NUMBERS, False, _of_mean(rmse)),
    Metric("r2", _NUMBERS, True, _of_mean(r2), "R2"),
    Metric("nlpd", _NUMBERS, False, nlpd, "negative log predictive density"),
)
METRICS: Mapping[str, Metric] = {row.name: row for row in _ROWS}
# Metrics of one class, which a user names as NAME:CLASS: the function and its words.
OF_A_CLASS: Mapping[str, tuple[Callable[..., float], str]] = {
    "average_precision": (average_precision, "average precision")
}


def task_of(n_classes: int | None) -> MetricTask:
    """The task of a head with so many classes; None is a regression."""
    return "regression" if n_classes is None else "classification"


def of_task(task: MetricTask) -> list[Metric]:
    """The metrics of a task, in the order of the table."""
    return [one for one in METRICS.values() if one.task == task]


def classification(y_B: Array, log_probs_BC: Float64) -> dict[str, float]:
    """Compute all metrics of a classification, by name."""
    return {one.name: one(y_B, log_probs_BC) for one in of_task("classification")}


def regression(y_B: Floats, mean_B: Floats, variance_B: Floats) -> dict[str, float]:
    """Compute all metrics of a regression, by name. variance_B: the predicted variance of each label."""
    return {one.name: one(y_B, mean_B, variance_B) for one in of_task("regression")}
