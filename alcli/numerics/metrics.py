"""Metrics of predictions: of classes from labels and log-probabilities, of numbers from targets and predicted means.

Source: Brier 1950; Guo et al. 2017, section 2 (expected calibration error, bins of equal width on the confidence).
Cost: one pass over [B, C].
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float64, Floats
from alcli.numerics.logistic import one_hot


def accuracy(y_B: Array, predicted_B: Array) -> float:
    """Compute the fraction of rows whose class is predicted correctly."""
    return float((y_B == predicted_B).mean())


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
    confidence_B = np.exp(log_probs_BC.max(axis=1).astype(np.float64))
    bin_B = np.clip(np.ceil(confidence_B * n_bins).astype(np.int64) - 1, 0, n_bins - 1)
    gap_B = (log_probs_BC.argmax(axis=1) == y_B) - confidence_B
    return float(np.abs(np.bincount(bin_B, weights=gap_B, minlength=n_bins)).sum() / len(y_B))


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


def classification(y_B: Array, log_probs_BC: Float64) -> dict[str, float]:
    """Compute all metrics of a classification, by name. Ties between classes are predicted as the lowest class."""
    predicted_B = log_probs_BC.argmax(axis=1)
    return {
        "accuracy": accuracy(y_B, predicted_B),
        "balanced_accuracy": balanced_accuracy(y_B, predicted_B),
        "macro_f1": macro_f1(y_B, predicted_B),
        "nll": nll(y_B, log_probs_BC),
        "brier": brier(y_B, log_probs_BC),
        "ece": ece(y_B, log_probs_BC),
    }


def nlpd(y_B: Floats, mean_B: Floats, variance_B: Floats) -> float:
    """Compute the mean negative log predictive density under a normal distribution, in nats."""
    safe_B = np.maximum(variance_B, np.finfo(np.float64).tiny)
    return float(0.5 * (np.log(2 * np.pi * safe_B) + (y_B - mean_B) ** 2 / safe_B).mean())


def regression(y_B: Floats, mean_B: Floats, variance_B: Floats) -> dict[str, float]:
    """Compute all metrics of a regression, by name. variance_B: the predicted variance of each label."""
    return {
        "mae": mae(y_B, mean_B),
        "rmse": rmse(y_B, mean_B),
        "r2": r2(y_B, mean_B),
        "nlpd": nlpd(y_B, mean_B, variance_B),
    }
