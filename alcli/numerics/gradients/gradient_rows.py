"""Gradients of a linear layer as rows of a matrix that is never written out: products come from two factors.

Row j is a_j (x) [h_j; 1], a K x D1 matrix that stands for one row of length K D1. K is the number of outputs.
Without features row j is a_j alone, so rows that are given as plain vectors need no code of their own.
A *point* is a vector of the rows' space, float64 [K, D1].
The longer factor is summed over by a matrix product, then the shorter one, of min(K, D1) numbers, row by row.
Source: own.
Cost: a product with all rows takes 2 N K D1 flops in the dtype of the factors, with sums in float64.
Memory: the factors (not copied) and O(N).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows
from alcli.numerics.segments import segment_sums, sizes_of

# Partial sums, added in one order, so that the sum does not depend on the number of threads.
_LANES = 16


@dataclass(frozen=True)
class Terms:
    """Some rows in float64: row m is the sum of a_R (x) phi_R over its terms, which begin at starts_M[m]."""

    a_RK: Float64
    phi_RD1: Float64
    starts_M: Int64

    def correlate(self, point_KD1: Float64) -> Float64:
        """The inner product of each row with a point, [M]."""
        return segment_sums(correlate(self.a_RK, self.phi_RD1, point_KD1), self.starts_M)

    def combine(self, weights_M: Float64) -> Float64:
        """The weighted sum of the rows, a point [K, D1]. Rows of weight 0 cost nothing where they are many."""
        weights_R = np.repeat(weights_M, sizes_of(self.starts_M, len(self.a_RK)))
        used = np.flatnonzero(weights_R)
        if 2 * len(used) < len(weights_R):
            return combine(self.a_RK[used], self.phi_RD1[used], weights_R[used])
        return combine(self.a_RK, self.phi_RD1, weights_R)

    def gram(self, others: Terms) -> Float64:
        """The inner products of the rows with other rows, [M, S]."""
        inner_RR = (self.a_RK @ others.a_RK.T) * (self.phi_RD1 @ others.phi_RD1.T)
        if len(others.starts_M) < len(others.a_RK):
            inner_RR = np.add.reduceat(inner_RR, others.starts_M, axis=1)
        return segment_sums(inner_RR, self.starts_M)


class GradientRows(Rows):
    """N rows a_j (x) [h_j; 1] of residuals_NK and features_ND (None: rows a_j), float32 or float64.

    bias: False makes the rows a_j (x) [h_j; 0].

    Everything is in units of `scale`, a power of 2 that keeps squares from overflowing. D1: columns of a point.
    rounding: `correlate` differs from the exact product by less than rounding lengths[j] |point|. This bound is a large
    multiple of the error of a sum whose terms round independently.
    """

    _at_once = BLOCK_ROWS  # rows that are widened to float64 together

    def __init__(self, residuals_NK: Floats, features_ND: Floats | None = None, *, bias: bool = True) -> None:
        features_ND = np.empty((len(residuals_NK), 0), residuals_NK.dtype) if features_ND is None else features_ND
        self._a, self._h = Factor(residuals_NK), Factor(features_ND, offset=float(bias))
        super().__init__(self._a, self._h)
        self._plain_h = Factor(self._h.F_ND, exponent=0)
        self._one = math.ldexp(float(bias), -self._h.exponent)
        self.K, self.D1 = residuals_NK.shape[1], features_ND.shape[1] + 1
        self.dtype = np.result_type(residuals_NK, features_ND)
        self.rounding = 4.0 * math.sqrt(self.K + self.D1) * float(np.finfo(np.result_type(np.float32, self.dtype)).eps)

    def factors_at(self, rows_M: Int64) -> tuple[Float64, Float64]:
        """The factors (a_MK, phi_MD1) of some rows, float64, both scaled."""
        phi_MD1 = np.empty((len(rows_M), self.D1))
        phi_MD1[:, :-1] = self._h.F_ND[rows_M]
        phi_MD1[:, -1] = self._one
        return self._a.F_ND[rows_M].astype(np.float64), phi_MD1

    def terms_at(self, rows_M: Int64) -> Terms:
        """Some rows in float64, scaled."""
        return Terms(*self.factors_at(rows_M), np.arange(len(rows_M)))

    @property
    def lengths(self) -> Float64:
        """The length of each row that rounding errors are in proportion to, float64 [N]: its norm."""
        return np.sqrt(self.sq_norms)

    def point(self, rows_M: Int64, weights_M: Float64) -> Float64:
        """The weighted sum of some rows, a point [K, D1], float64."""
        return self.terms_at(rows_M).combine(weights_M)

    def correlate(self, point_KD1: Float64, spread: Spread) -> Float64:
        """The inner product of every row with a point, float64 [N]. Equal rows get equal bits."""
        out_N = np.empty(self.n)
        by_class = self.K <= self.D1
        dtype = (self._h if by_class else self._a).F_ND.dtype
        # Numbers below the smallest normal one are set to 0: they change no sum, and arithmetic on denormals is slow.
        point = np.where(np.abs(point_KD1) < np.finfo(dtype).tiny, 0.0, point_KD1).astype(dtype)
        h_side, bias_K = np.ascontiguousarray(point[:, :-1].T), point[:, -1] * dtype.type(self._one)

        def work(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                b = min(a + BLOCK_ROWS, last)
                part = np.empty((BLOCK_ROWS, self.K if by_class else self.D1), dtype)
                if by_class:
                    self._plain_h.product(h_side, a, b, part)
                    part += bias_K
                    out_N[a:b] = np.einsum("bk,bk->b", self._a.F_ND[a:b], part[: b - a], dtype=np.float64)
                else:
                    self._a.product(point, a, b, part)
                    out_N[a:b] = np.einsum("bd,bd->b", self._h.F_ND[a:b], part[: b - a, :-1], dtype=np.float64)
                    out_N[a:b] += self._one * part[: b - a, -1]

        spread(self.n, work)
        out_N[self._copies] = out_N[self.first_equal[self._copies]]
        return out_N

    def correlate_at(self, point_KD1: Float64, rows_M: Int64) -> Float64:
        """The inner product of some rows with a point, computed in float64, [M]. Equal rows get equal bits."""
        return self.once_each(rows_M, lambda rows: self.terms_at(rows).correlate(point_KD1))

    def once_each(self, rows_M: Int64, function: Callable[[Int64], Float64]) -> Float64:
        """Call function(rows), which returns a number for each row, block by block; return the numbers, [M].

        Of equal rows only one is passed, and all get its bits.
        """
        unique, place_M = np.unique(self.first_equal[rows_M], return_inverse=True)
        step = self._at_once
        parts = [function(unique[a : a + step]) for a in range(0, len(unique), step)]
        return np.concatenate(parts)[place_M]

    def combine(self, weights_N: Float64, spread: Spread) -> Float64:
        """The weighted sum of all rows, a point. Products have the dtype of the factors, sums over blocks float64."""
        blocks = -(-self.n // BLOCK_ROWS)
        lanes = np.zeros((min(_LANES, blocks), self.K, self.D1))
        peak = float(np.abs(weights_N).max()) or 1.0
        weights_N = (weights_N / peak).astype(self.dtype)

        def work(first: int, last: int) -> None:
            for lane in range(first // BLOCK_ROWS, -(-last // BLOCK_ROWS)):
                for block in range(lane, blocks, len(lanes)):
                    rows = slice(block * BLOCK_ROWS, (block + 1) * BLOCK_ROWS)
                    a_BK = self._a.F_ND[rows] * weights_N[rows, None]
                    lanes[lane, :, :-1] += a_BK.T @ self._h.F_ND[rows]
                    lanes[lane, :, -1] += self._one * a_BK.sum(axis=0, dtype=np.float64)

        spread(len(lanes) * BLOCK_ROWS, work)
        return lanes.sum(axis=0) * peak


def correlate(a_MK: Float64, phi_MD1: Float64, point_KD1: Float64) -> Float64:
    """The inner products of rows a (x) phi with a point, [M]."""
    if a_MK.shape[1] <= phi_MD1.shape[1]:
        return np.einsum("mk,mk->m", a_MK, phi_MD1 @ point_KD1.T)
    return np.einsum("md,md->m", phi_MD1, a_MK @ point_KD1)


def combine(a_MK: Float64, phi_MD1: Float64, weights_M: Float64) -> Float64:
    """The weighted sum of rows a (x) phi, a point [K, D1]."""
    return (a_MK * weights_M[:, None]).T @ phi_MD1


def expected_distance(log_probs_BC: Array) -> Float64:
    """Compute sum_y P_y |P - e_y|, float64 [B]: the expected distance of a one-hot label from the probabilities P.

    It is precise for probabilities near 1 too: 1 - P comes from the logarithm, and nothing large is subtracted.
    """
    log_probs_BC = np.asarray(log_probs_BC, np.float64)
    P_BC, top_B1 = np.exp(log_probs_BC), log_probs_BC.argmax(axis=1)[:, None]
    top_sq_B1 = np.take_along_axis(P_BC, top_B1, axis=1) ** 2
    others_BC = P_BC**2
    np.put_along_axis(others_BC, top_B1, 0.0, axis=1)
    rest_B1 = others_BC.sum(axis=1, keepdims=True)
    # For each y, the sum of the squares of all classes but y.
    others_BC = rest_B1 + top_sq_B1 - others_BC
    np.put_along_axis(others_BC, top_B1, rest_B1, axis=1)
    return (P_BC * np.sqrt(np.expm1(log_probs_BC) ** 2 + others_BC)).sum(axis=1)
