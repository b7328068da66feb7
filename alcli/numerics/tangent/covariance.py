"""What stays uncertain after a regression under a kernel: the covariance c of its predictions, and how a further label lowers it.

Once row j has a label, c(x, x') falls by c(x, x_j) c(x_j, x') / (c(x_j, x_j) + prior), exactly. Three forms:
`Factored`, c = g.g'. The rounding of such a product is relative to |g| |g'|, the standard deviations of the two rows, however small these
are beside the kernel: g is kept as float32. `Difference`, c = k - v.v' for any kernel: a difference of large numbers, float64 throughout.
`Held`, c itself.
Source: Rasmussen & Williams 2006, Gaussian processes for machine learning, section 2.2.
Cost: a block of pairs 2 D1 flops each factored, 2 (D + n) as a difference; a label N D1, N (D + n) or a pass over N^2.
Memory: N D1, N n or N^2 numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from alcli.arrays import Float64, Floats
from alcli.numerics.tangent.kernels import KernelRows


class Covariance(Protocol):
    """c between N rows, in units of scale^2 (that of `variance_N` and of the prior of the same units)."""

    @property
    def scale(self) -> float: ...
    @property
    def variance_N(self) -> Float64: ...
    def block(self, rows: Any, others: Any) -> Floats:
        """c of some rows with others, by slices or numbers; a new array."""

    def absorbed(self, j: int, prior: float) -> Covariance:
        """The covariance once row j has a label."""


@dataclass(frozen=True)
class Factored:
    """c = G G^T."""

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
        # (I - a g g^T)^2 = I - g g^T / (|g|^2 + prior); the form of a that does not cancel.
        ratio = square / (square + prior)
        shrink = ratio / (1.0 + np.sqrt(1.0 - ratio)) / square
        column_N = self.G_NR @ self.G_NR[j]
        G_NR = self.G_NR - np.outer(column_N, (shrink * g_R).astype(self.G_NR.dtype))
        return Factored(G_NR, row_squares(G_NR), self.scale)


@dataclass(frozen=True)
class Difference:
    """c = k - V V^T, scalar kernels."""

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
    """c itself, N x N, float64; absorbing a label changes it in place."""

    C_NN: Float64
    variance_N: Float64
    scale: float = 1.0

    def block(self, rows: Any, others: Any) -> Float64:
        return self.C_NN[rows][:, others].copy()

    def absorbed(self, j: int, prior: float) -> Held:
        v_N, variance_N = _fall(self, j, prior)
        for a in range(0, len(v_N), 64):  # pieces of the outer product that stay in a cache
            self.C_NN[a : a + 64] -= np.outer(v_N[a : a + 64], v_N)
        return Held(self.C_NN, variance_N, self.scale)


def _fall(c: Difference | Held, j: int, prior: float) -> tuple[Float64, Float64]:
    """(v, variances): c becomes c - v v^T once row j has a label, and what the variances are then."""
    v_N = c.block(slice(None), slice(j, j + 1))[:, 0] / np.sqrt(c.variance_N[j] + prior)
    return v_N, np.maximum(c.variance_N - v_N**2, 0.0)


def row_squares(V_NL: Floats) -> Float64:
    """Squared norms of rows, in float64."""
    return np.einsum("nl,nl->n", V_NL, V_NL, dtype=np.float64)
