"""Rows made of other rows: a weighted direct sum, and the same rows at other lengths. They serve wherever `Rows` serve.

Cost: the cost of the rows they are made of, and one pass over [N, M] for each of them, with M rows on the right side.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.numerics.blocks import Spread
from alcli.numerics.factors import safe_exponent
from alcli.numerics.rows import Rows


class SumRows(Rows):
    """The direct sum (sqrt(w_1) E_1, sqrt(w_2) E_2, ...) of several embeddings of the same N rows.

    Its inner products are the weighted sums of the inner products of the terms. weights: w >= 0, one for each term.
    shares: the weights in the scale of the rows.
    """

    def __init__(self, terms: Sequence[Rows], weights: Sequence[float]) -> None:
        self.factors = ()
        self.terms = terms
        scales = [term.scale * math.sqrt(weight) for term, weight in zip(terms, weights)]
        scale = 2.0 ** math.frexp(max(scales))[1]
        self.shares = [(s / scale) ** 2 for s in scales]
        sq_norms = sum(share * term.sq_norms for share, term in zip(self.shares, terms))
        self._know(np.asarray(sq_norms), np.sum([term.marks.imag for term in terms], axis=0), scale)

    def inner_with(self, others: Rows, index_M: Sequence[int] | Int64, spread: Spread) -> Array:
        assert isinstance(others, SumRows)
        total_NM: Array = np.zeros(())
        for share, term, other in zip(self.shares, self.terms, others.terms):
            total_NM = total_NM + share * term.inner_with(other, index_M, spread)
        return self.same_for_copies(total_NM)

    @property
    def width(self) -> float:
        return sum(term.width for term in self.terms)

    def written_out(self, first: int, last: int) -> Float64:
        return np.hstack(
            [math.sqrt(share) * term.written_out(first, last) for share, term in zip(self.shares, self.terms)]
        )


class ScaledRows(Rows):
    """Each row multiplied by a number of its own, factors_N >= 0, float64 [N]."""

    def __init__(self, rows: Rows, factors_N: Float64) -> None:
        self.factors = ()
        self._rows = rows
        exponent = safe_exponent(np.sqrt(rows.sq_norms) * factors_N)
        self._factors_N = np.ldexp(factors_N, -exponent)
        self._know(
            rows.sq_norms * np.square(self._factors_N), rows.marks.imag * self._factors_N, rows.scale * 2.0**exponent
        )

    def inner_with(self, others: Rows, index_M: Sequence[int] | Int64, spread: Spread) -> Array:
        assert isinstance(others, ScaledRows)
        inner_NM = self._rows.inner_with(others._rows, index_M, spread) * self._factors_N[:, None]
        inner_NM *= others._factors_N[index_M]
        return self.same_for_copies(inner_NM)

    @property
    def width(self) -> float:
        return self._rows.width

    def written_out(self, first: int, last: int) -> Float64:
        return self._rows.written_out(first, last) * self._factors_N[first:last, None]


def unit_rows(rows: Rows) -> Rows:
    """Divide rows by their norms. Rows of norm 0 stay as they are."""
    out = ScaledRows(rows, inverse(np.sqrt(rows.sq_norms)) / rows.scale)
    # Squared norms are set without rounding, so that no row looks longer than another.
    out.sq_norms = np.where(rows.sq_norms > 0.0, out.scale**-2.0, 0.0)
    return out


def inverse(values_N: Float64) -> Float64:
    """Return 1 / values, and 0 where a value is 0, float64 [N]."""
    return np.divide(1.0, values_N, out=np.zeros_like(values_N), where=values_N > 0.0)
