"""The look-ahead that really refits the last layer of a softmax head, for every row and label.

The head is the MAP of the labelled rows (numerics/last_layer/softmax_map.py), with hidden layers and prior precision as
they are. One more labelled row moves the MAP, and the changes are those of the class probabilities. The labelled rows
are rotated once. A further row adds at most one dimension, the part of the row that the labelled rows do not span.

Source: Roy & McCallum 2001, "Toward optimal active learning through sampling estimation of error reduction" (retraining
for every candidate and label).
Cost: for each row and label a few Newton steps from the present MAP, of about 10 products with n x R x C numbers each,
and N R C flops for the probabilities. 1,000 candidates, 100 labels and 10 classes: seconds.
Memory: N R numbers, and pieces of the changes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.last_layer.prior import bias_column
from alcli.numerics.last_layer.rotated import Rotated, rotate
from alcli.numerics.last_layer.softmax_map import fit_map
from alcli.numerics.logistic import softmax
from alcli.numerics.tangent.look_ahead import ByChanges

# Gradient norm of a refit, in units of the summed norms of the rows.
_TOLERANCE = 1e-8
# The least squared share of a row that counts as outside the span of the labelled rows.
_OUTSIDE = 1e-10


class SoftmaxRefit(ByChanges):
    """The look of a softmax head at N candidates.

    phi_LD1, phi_ND1: inputs of the last layer with the bias column, float64, of the labelled rows and the candidates.
    y_L: class numbers. W_CD1: a last layer to begin at. prior: the prior precision. f_NK: the class probabilities of
    the candidates before any label, [N, C], without a temperature.
    Raises DataError where a fit does not converge. At least one row must be labelled.
    """

    def __init__(self, phi_LD1: Float64, y_L: Int64, phi_ND1: Float64, W_CD1: Float64, prior: float) -> None:
        column, C = bias_column(prior), len(W_CD1)
        self._rows, self._prior = rotate(phi_LD1, y_L, np.ones(len(y_L)), C, column=column), prior
        self._targets_LC = np.eye(C)[y_L]
        self._W_CR = fit_map(self._rows, prior, start_CR=self._rows.inside(W_CD1)).W_CR
        self._Z_NR = phi_ND1 @ self._rows.V_D1R
        self._scaled_ND1 = phi_ND1 * np.append(np.ones(phi_ND1.shape[1] - 1), column)
        self.f_NK = softmax(self._Z_NR @ self._W_CR.T)

    def changes(self, rows_B: Array, R_BK: Float64, rows_E: Any) -> Floats:
        return np.stack(
            [(self._after(j, self.f_NK[j] + R_K, rows_E) - self.f_NK[rows_E]).T for j, R_K in zip(rows_B, R_BK)]
        )

    def _after(self, j: int, target_K: Float64, rows_E: Any) -> Float64:
        """The class probabilities at rows_E of the head that was refitted with row j, [E, C]."""
        beyond_N = self._beyond(j)
        Z_PR = np.column_stack([np.vstack([self._rows.Z_LR, self._Z_NR[j]]), np.zeros(len(self._targets_LC) + 1)])
        Z_PR[-1, -1] = beyond_N[j]
        gram_R = np.append(self._rows.gram_R, 0.0) + Z_PR[-1] ** 2
        none = np.empty((0, len(gram_R)))
        # The Gram matrix of these rows is not diagonal. Its diagonal serves the fit as a preconditioner.
        rows = Rotated(Z_PR, none, none, gram_R, np.empty(0, np.int64), np.ones(len(Z_PR)), len(target_K))
        start_CR = np.column_stack([self._W_CR, np.zeros(len(target_K))])
        targets_PC = np.vstack([self._targets_LC, target_K])
        W_CR = fit_map(rows, self._prior, start_CR=start_CR, targets_LC=targets_PC, tolerance=_TOLERANCE).W_CR
        return softmax(self._Z_NR[rows_E] @ W_CR[:, :-1].T + np.outer(beyond_N[rows_E], W_CR[:, -1]))

    def _beyond(self, j: int) -> Float64:
        """The coordinate of every candidate along the part of row j that the labelled rows do not span, [N]."""
        inner_N = self._scaled_ND1 @ self._scaled_ND1[j] - self._Z_NR @ self._Z_NR[j]
        whole = float(self._scaled_ND1[j] @ self._scaled_ND1[j])
        return inner_N / np.sqrt(inner_N[j]) if inner_N[j] > _OUTSIDE * whole else np.zeros_like(inner_N)
