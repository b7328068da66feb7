"""The Gaussian prior of a last layer: `prior_precision` for the weights, and a weak prior for the bias.

A bias that is shrunk like a weight ties the predictions to the zero of the labels, or to equal shares of the classes.
Under squared loss the prior of the bias is flat, as in ordinary ridge regression with an intercept. So adding a number
to all labels adds it to all predictions. Under a softmax a flat prior would send the bias of a class without labels to
minus infinity. There the bias has a standard deviation of 3.2, in units of logits, whatever the scale of the features.

Source: Hastie, Tibshirani & Friedman, The Elements of Statistical Learning, section 3.4.1 (the intercept is left out of
the penalty).
Cost: nothing that counts.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, Self

import numpy as np

from alcli import stored
from alcli.arrays import Array, Float64, Int64

SOFTMAX_BIAS_PRECISION = 0.1


def bias_precision(link: Literal["softmax", "identity"]) -> float:
    """The prior precision of the bias: 0, a flat prior, under squared loss."""
    return SOFTMAX_BIAS_PRECISION if link == "softmax" else 0.0


def prior_diagonal(prior_precision: float, D1: int, link: Literal["softmax", "identity"]) -> Float64:
    """The prior precision of each weight of one class, the bias last, float64 [D1]."""
    prior_D1 = np.full(D1, float(prior_precision))
    prior_D1[-1] = bias_precision(link)
    return prior_D1


def bias_column(prior_precision: float) -> float:
    """The value s of the bias column at which one precision for all weights is the prior of a softmax.

    The weight of a column of s is the bias divided by s, so it has s^2 times the precision of the bias.
    """
    return float(np.sqrt(prior_precision / SOFTMAX_BIAS_PRECISION))


@dataclass(frozen=True)
class Anchor:
    """The prior of a softmax head that something else than labels gives.

    mean_CD1: its centre. precision: of the weights around it. rows_PD: features that are typical of the classes_P; each
    counts as one labelled row, as long as its class has no other.
    """

    mean_CD1: Float64
    precision: float
    rows_PD: Float64
    classes_P: Int64

    def with_classes(self, n: int) -> Anchor:
        """The anchor of n more classes, centred at zero."""
        return replace(self, mean_CD1=np.pad(self.mean_CD1, ((0, n), (0, 0)))) if n else self

    def arrays(self) -> dict[str, Array]:
        """The tensors from which `from_arrays` rebuilds the anchor."""
        rows = {"prior_rows": self.rows_PD, "prior_classes": self.classes_P} if len(self.classes_P) else {}
        return {"prior_mean": self.mean_CD1} | rows

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Array], precision: float, shape: tuple[int, int]) -> Self:
        """Rebuild an anchor around weights of `shape` [C, D1]. Raises DataError that names a wrong tensor."""
        n = len(arrays["prior_classes"]) if "prior_classes" in arrays else 0
        rows_PD, classes_P = np.empty((0, shape[1] - 1)), np.empty(0, np.int64)
        if n:
            rows_PD = stored.tensor(arrays, "prior_rows", (n, shape[1] - 1))
            classes_P = stored.class_numbers(arrays, "prior_classes", n, shape[0])
        return cls(stored.tensor(arrays, "prior_mean", shape), precision, rows_PD, classes_P)
