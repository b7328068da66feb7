"""Ridge regression under a kernel, with the covariance c of its predictions (covariance.py).

With labelled rows X, targets Y and the kernel matrix K = k(X, X),
    f(x) = k(x, X) (K + prior I)^-1 Y,    c(x, x') = k(x, x') - k(x, X) (K + prior I)^-1 k(X, x').
The noise has variance prior in these units. A further label y at x' changes f(x) by exactly
c(x, x') (y - f(x')) / (c(x', x') + prior).
Primal form, for a linear kernel k = phi.phi': c = g.g' with g = sqrt(prior) L^-1 phi and L L^T = Phi^T Phi + prior I.
Dual form, for any kernel: c = k - v.v' with v = L^-1 k(X, x) and L L^T = K + prior I.
As a suffix, K is the number of outputs; P is the number of rows of the kernel matrix for one row of features
(kernels.py).
Source: Rasmussen & Williams 2006, Gaussian processes for machine learning, section 2.2 and algorithm 2.1; Golub, Heath
& Wahba 1979.
Cost: primal n D1^2 + D1^3 / 3 + N D1^2 flops, then 2 D1 flops for each pair of rows; dual n^2 (D + n / 3 + N) flops,
then 2 (D + n) for each pair. Memory: N D1 or N n numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.linalg

from alcli.arrays import Float64, Floats, with_bias
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.last_layer import ridge
from alcli.numerics.last_layer.rotated import Rotated, rotate
from alcli.numerics.tangent.covariance import Difference, Factored, row_squares
from alcli.numerics.tangent.kernels import KernelRows, TangentRows

# Columns up to which a linear kernel is fitted in the primal form, however few rows there are.
MOST_PRIMAL = 4096
# The least prior, in units of the mean kernel of a row with itself.
FLOOR = 1e-6


@dataclass(frozen=True)
class Primal:
    """A fit by weights on phi = [h; 1]. factor_DD: lower Cholesky factor of Phi^T Phi + prior I, [D1, D1]."""

    W_KD1: Float64
    factor_DD: Float64
    prior: float

    def predict(self, rows: KernelRows) -> Float64:
        """Predict the outputs of rows under the linear kernel, [N, K]."""
        X_ND = _features(rows)
        parts = [with_bias(X_ND[a : a + BLOCK_ROWS]) @ self.W_KD1.T for a in range(0, max(1, len(X_ND)), BLOCK_ROWS)]
        return np.concatenate(parts)

    def covariance(self, rows: KernelRows, dtype: type[np.floating] = np.float32) -> Factored:
        """Compute c of the rows; G is in `dtype`, in units in which no number of c exceeds 1."""
        X_ND = _features(rows)
        G_NR, variance_N = np.empty((rows.n, len(self.factor_DD)), dtype), np.empty(rows.n)
        scale = 2.0 ** np.ceil(0.5 * np.log2(float(rows.diagonal().max(initial=1.0))))
        root = np.sqrt(self.prior) / scale

        def work(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                part = slice(a, min(a + BLOCK_ROWS, last))
                root_DB = scipy.linalg.solve_triangular(
                    self.factor_DD, with_bias(X_ND[part]).T, lower=True, check_finite=False
                )
                root_DB *= root
                variance_N[part] = np.einsum("db,db->b", root_DB, root_DB)
                G_NR[part] = _flushed(root_DB, dtype).T

        with workers() as spread:
            spread(rows.n, work)
        return Factored(G_NR, variance_N, float(scale))


@dataclass(frozen=True)
class Dual:
    """A fit by coefficients of the labelled rows, [n P, K / P]. factor_LL: lower Cholesky factor of K + prior I."""

    rows_L: KernelRows
    coefficients: Float64
    factor_LL: Float64
    prior: float

    def predict(self, rows: KernelRows) -> Float64:
        """Predict the outputs of rows under the same kernel, [N, K]."""
        shape = (-1, self.coefficients.shape[1] * self.rows_L.outputs)
        parts = [
            rows.at(slice(a, a + BLOCK_ROWS)).gram(self.rows_L) @ self.coefficients
            for a in range(0, max(1, rows.n), BLOCK_ROWS)
        ]
        return np.concatenate([part.reshape(shape) for part in parts])

    def whitened(self, rows: KernelRows) -> Float64:
        """Compute v = L^-1 k(X, x) of every row, [N P, n P]."""
        cross = self.rows_L.gram(rows)
        return np.ascontiguousarray(
            scipy.linalg.solve_triangular(self.factor_LL, cross, lower=True, check_finite=False).T
        )

    def covariance(self, rows: KernelRows) -> Difference:
        """Compute c of the rows, for a scalar kernel."""
        V_NL = np.empty((rows.n, self.rows_L.n))

        def work(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                part = slice(a, min(a + BLOCK_ROWS, last))
                V_NL[part] = self.whitened(rows.at(part))

        with workers() as spread:
            spread(rows.n, work)
        return Difference(rows, V_NL, np.maximum(rows.diagonal() - row_squares(V_NL), 0.0))


def fit(rows_L: KernelRows, targets_LK: Float64, prior: float) -> Primal | Dual:
    """Fit the regression. targets_LK: [n, K]. prior: > 0, or 0 where the kernel matrix is invertible.

    The form is primal for a linear kernel and a prior > 0, where features are fewer than n or than `MOST_PRIMAL`.
    """
    if (
        isinstance(rows_L, TangentRows)
        and rows_L.is_linear
        and prior > 0.0
        and rows_L.inputs[0].shape[1] < max(rows_L.n, MOST_PRIMAL)
    ):
        return primal(rows_L, targets_LK, prior)
    return dual(rows_L, targets_LK, prior)


def primal(rows_L: TangentRows, targets_LK: Float64, prior: float) -> Primal:
    """Fit the weights of the primal form: n D1^2 + D1^3 / 3 flops."""
    phi_LD1 = with_bias(rows_L.inputs[0])
    gram_DD = phi_LD1.T @ phi_LD1
    gram_DD[np.diag_indices_from(gram_DD)] += prior
    factor_DD = scipy.linalg.cholesky(gram_DD, lower=True, check_finite=False)
    W_KD1 = scipy.linalg.cho_solve((factor_DD, True), phi_LD1.T @ targets_LK, check_finite=False).T
    return Primal(W_KD1, factor_DD, prior)


def dual(rows_L: KernelRows, targets_LK: Float64, prior: float) -> Dual:
    """Fit one coefficient for each labelled row and output: (n P)^3 / 3 flops."""
    K_LL = rows_L.gram(rows_L)
    K_LL[np.diag_indices_from(K_LL)] += prior
    factor_LL = scipy.linalg.cholesky(K_LL, lower=True, check_finite=False)
    right = targets_LK if rows_L.outputs == 1 else targets_LK.reshape(-1, 1)
    return Dual(rows_L, scipy.linalg.cho_solve((factor_LL, True), right, check_finite=False), factor_LL, prior)


def left_out(rows_L: KernelRows, targets_LK: Float64, prior: float | None = None) -> tuple[float, float]:
    """Return (prior, its mean squared leave-one-out error), for a scalar kernel.

    prior: None takes the prior of least error on a grid. A prior is raised to at least `FLOOR` times the mean kernel of
    a row with itself: with a smaller one the matrix would be singular to rounding. Without rows the error is 1, and the
    prior is the given one or 1.
    Cost: one eigendecomposition of min(n, D1) dimensions.
    """
    if rows_L.n == 0:
        return 1.0 if prior is None else prior, 1.0
    rotated = _rotated(rows_L)
    prior = ridge.best(rotated, targets_LK).prior if prior is None else prior
    prior = max(prior, FLOOR * float(rows_L.diagonal().mean()))
    return prior, ridge.left_out_error(rotated, targets_LK, ridge.solve(rotated, targets_LK, prior))


def _features(rows: KernelRows) -> Floats:
    """The features of rows under the linear kernel."""
    assert isinstance(rows, TangentRows)
    return rows.inputs[0]


def _rotated(rows_L: KernelRows) -> Rotated:
    """Rotate the labelled rows into coordinates where their Gram matrix is diagonal.

    Where rows are fewer than features, or the kernel is not linear, only the rotated rows are computed, without axes.
    """
    ones_L, none = np.ones(rows_L.n), np.empty(0)
    if isinstance(rows_L, TangentRows) and rows_L.is_linear and rows_L.inputs[0].shape[1] < rows_L.n:
        return rotate(with_bias(rows_L.inputs[0]), none, ones_L, 1)
    gram_R, U = scipy.linalg.eigh(rows_L.gram(rows_L), check_finite=False, driver="evd")
    gram_R = np.maximum(gram_R, 0.0)
    no_axes = np.empty((0, rows_L.n))
    return Rotated(U * np.sqrt(gram_R), no_axes, no_axes, gram_R, none, ones_L, 1)


def _flushed(values: Float64, dtype: type[np.floating]) -> Floats:
    """Convert to `dtype`. Numbers below its smallest normal one become 0, since arithmetic on denormals is slow."""
    return np.where(np.abs(values) < np.finfo(dtype).tiny, 0.0, values).astype(dtype)
