"""One precision matrix for every class, in which uncertain rows have more weight: r_n = p_max (1 - p_max).

P = prior_precision I + curvature sum_n weight_n r_n phi_n phi_n^T. Rows with certain predictions add almost
nothing, so the precision comes from rows near the boundaries of the classes. The posterior is exact for a binary
head with a single weight vector, and a heuristic otherwise.

Source: Huseljic et al. 2025, section 4 and eq. 6 (`categorical` in the published code, there with a wrong
denominator in the mean step), after Liu et al., Simple and Principled Uncertainty Estimation (SNGP), NeurIPS 2020.
Cost: as laplace-shared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from alcli.arrays import Float64
from alcli.numerics.logistic import softmax
from alcli.posteriors._contract import Evidence
from alcli.posteriors._laplace import SMALLEST_CURVATURE
from alcli.posteriors._single import Single


@dataclass(frozen=True)
class LaplaceSharedCat(Single):
    """A Laplace posterior with one precision matrix for all classes and the curvature p_max (1 - p_max) of a row."""

    kind: ClassVar[str] = "laplace-shared-cat"
    measured: ClassVar[bool] = True

    @classmethod
    def curvature_at(cls, probs_HC: Float64) -> float:
        """Compute the factor at which the mean curvature of the rows is the mean of p (1 - p) over rows and classes.

        The factor is 1 and exact for two classes, and smaller for more.
        """
        largest_H = probs_HC.max(axis=1)
        of_rows = max(float((largest_H * (1.0 - largest_H)).mean()), SMALLEST_CURVATURE)
        return max(float((probs_HC * (1.0 - probs_HC)).mean()), SMALLEST_CURVATURE) / of_rows

    @staticmethod
    def row_curvatures(data: Evidence, W_CD1: Float64) -> Float64:
        """Compute p_max (1 - p_max) at the mean W_CD1 for every row, [L]; 1 under squared loss."""
        if data.link == "identity":
            return np.ones(data.n)
        largest_L = softmax(data.phi_LD1 @ W_CD1.T).max(axis=1, initial=0.0)
        return np.asarray(largest_L * (1.0 - largest_L))
