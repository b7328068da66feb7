"""What is measured on the test rows, and which measure leads."""

from __future__ import annotations

from alcli.arrays import Array, Floats
from alcli.heads._model import Model
from alcli.numerics import metrics

SMALLER_IS_BETTER = frozenset({"nll", "brier", "ece", "mae", "rmse", "nlpd"})


def main_metric(n_classes: int | None) -> str:
    """The metric that strategies are compared by: accuracy, or rmse in a regression."""
    return "rmse" if n_classes is None else "accuracy"


def evaluate(model: Model, X_TD: Floats, y_T: Array) -> dict[str, float]:
    """All metrics of the task on test rows. Classification uses `predictive`: averaged over the posterior where there is one."""
    if model.n_classes is None:
        return metrics.regression(y_T, model.mean(X_TD), model.label_variance(X_TD))
    return metrics.classification(y_T, model.predictive(X_TD))
