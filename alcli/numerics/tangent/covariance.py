"""The covariance c of the predictions of a kernel regression, in three forms, and its update by one more label.

Once row j has a label, c(x, x') falls by exactly c(x, x_j) c(x_j, x') / (c(x_j, x_j) + prior). The three forms:
- `Factored`: c = g.g'. The rounding error of a product is relative to |g| |g'|, the standard deviations of the two
  rows, however small they are compared with the kernel. So g can be kept as float32. R: the length of g.
- `Difference`: c = k - v.v' for any kernel k. It subtracts large numbers, so it is float64 throughout.
- `Held`: the matrix c itself.
Source: Rasmussen & Williams 2006, Gaussian processes for machine learning, section 2.2.
Cost, in this order: a pair of rows takes 2 D1 flops, 2 (D + n) flops, or nothing; a label takes N D1 flops, N (D + n)
flops, or a pass over N^2 numbers. Memory: N D1, N n or N^2 numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.numerics.tangent.kernels import KernelRows


class Covariance(Protocol):
    """The covariance c between N rows. It, `variance_N` and a prior passed to `absorbed` are in units of scale^2."""

    @property
    def scale(self) -> float: ...
    @property
    def variance_N(self) -> Float64:
        """The variance c(x, x) of each row, [N]."""

    def block(self, rows: Any, others: Any) -> Floats:
        """Compute c between some rows and others, both slices or row numbers; a new array."""

    def absorbed(self, j: int, prior: float) -> Covariance:
        """The covariance after row j has a label."""


@dataclass(frozen=True)
class Factored:
    """The form c = G G^T."""

    G_NR: Floats
    variance_N: Float64
    scale: float = 1.0

    def block(self, rows: Any, others: Any) -> Floats:
        return self.G_NR[rows] @ self.G_NR[others].T

    def absorbed(self, j: int, prior: float) -> Factored:
        g_R = self.G_NR[j].astype(np.float64)
        square = float(g_R @ g_R)
        if square == 0.0:
            return self
        # G becomes G (I - a g g^T) with (I - a g g^T)^2 = I - g g^T / (|g|^2 + prior). This form of a does not cancel.
        ratio = square / (square + prior)
        shrink = ratio / (1.0 + np.sqrt(1.0 - ratio)) / square
        column_N = self.G_NR @ self.G_NR[j]
        G_NR = self.G_NR - np.outer(column_N, (shrink * g_R).astype(self.G_NR.dtype))
        return Factored(G_NR, row_squares(G_NR), self.scale)


@dataclass(frozen=True)
class Difference:
    """The form c = k - V V^T, for scalar kernels."""

    rows: KernelRows
    V_NL: Float64
    variance_N: Float64
    scale: float = 1.0

    def block(self, rows: Any, others: Any) -> Float64:
        out = self.rows.at(rows).gram(self.rows.at(others))
        out -= self.V_NL[rows] @ self.V_NL[others].T
        return out

    def absorbed(self, j: int, prior: float) -> Difference:
        v_N, variance_N = _fall(self, j, prior)
        return Difference(self.rows, np.column_stack([self.V_NL, v_N]), variance_N, self.scale)


@dataclass(frozen=True)
class Held:
    """The matrix c itself, float64 [N, N]. Absorbing a label changes it in place."""

    C_NN: Float64
    variance_N: Float64
    scale: float = 1.0

    def block(self, rows: Any, others: Any) -> Float64:
        return self.C_NN[rows][:, others].copy()

    def absorbed(self, j: int, prior: float) -> Held:
        v_N, variance_N = _fall(self, j, prior)
        # Pieces of the outer product are small enough to stay in a cache.
        for a in range(0, len(v_N), 64):
            self.C_NN[a : a + 64] -= np.outer(v_N[a : a + 64], v_N)
        return Held(self.C_NN, variance_N, self.scale)


def _fall(c: Difference | Held, j: int, prior: float) -> tuple[Float64, Float64]:
    """Return (v, variances), both [N]: once row j has a label, c becomes c - v v^T with these variances."""
    v_N = c.block(slice(None), slice(j, j + 1))[:, 0] / np.sqrt(c.variance_N[j] + prior)
    return v_N, np.maximum(c.variance_N - v_N**2, 0.0)


def row_squares(V_NL: Floats) -> Float64:
    """The squared norm of each row, float64 [N]."""
    return np.einsum("nl,nl->n", V_NL, V_NL, dtype=np.float64)
