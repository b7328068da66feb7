"""The rows that candidates are made of, for strategies about products of arrays, such as gradients.

A gradient is a product of two arrays, and the gradient of a group is the sum of the gradients of its rows. So a
strategy makes one vector for each row, and lets `Parts` sum the vectors of each candidate. Where every row is a
candidate, the vectors are those of the candidates and nothing is summed.
Letters: R rows of the N candidates.
Cost: the arrays of all R rows in place of N.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.block_array import BlockArray
from alcli.numerics.gradients.gradient_rows import GradientRows
from alcli.numerics.gradients.segment_rows import summed
from alcli.numerics.rows import Rows
from alcli.numerics.segments import places_of, runs, segment_sums, sizes_of
from alcli.selection.group_source import PART_ROWS
from alcli.selection.view import View


@dataclass(frozen=True)
class Parts:
    """The rows of the candidates.

    view: of the rows, one candidate after another in the order of the candidates; the rows of a candidate are in
    ascending order of their ids. starts_N: the place at which the rows of each candidate begin.
    """

    view: View
    starts_N: Int64

    @classmethod
    def of(cls, view: View) -> Parts:
        """The rows of the candidates of a view."""
        return cls(*view.parts())

    @property
    def single(self) -> bool:
        """True where every candidate is one row."""
        return len(self.starts_N) == self.view.n

    @property
    def sizes_N(self) -> Int64:
        """The number of rows of each candidate."""
        return sizes_of(self.starts_N, self.view.n)

    def stored(self, need: str) -> BlockArray:
        """The array of a need for all R rows, to be read in blocks where every candidate is one row."""
        return self.view.stored(need) if self.single else self.view.matrix(need)

    def summed(self, rows: Rows) -> Rows:
        """Sum R vectors over the rows of each candidate."""
        return summed(rows, self.starts_N)

    def summed_gradients(self, rows: GradientRows) -> GradientRows:
        """Sum R gradients over the rows of each candidate."""
        found = summed(rows, self.starts_N)
        assert isinstance(found, GradientRows)
        return found

    def sums(self, values_R: Array) -> Array:
        """Sum an array [R, ...] over the rows of each candidate, [N, ...] in its dtype."""
        return values_R if self.single else segment_sums(values_R, self.starts_N).astype(values_R.dtype)

    def sums_of(self, function: Callable[[Floats], Array], X_RD: Floats) -> Array:
        """Sum function(rows of X_RD), [B, ...] for B rows, over the rows of each candidate.

        Memory: the result, and the values of at most 8192 rows or one candidate.
        """
        if self.single:
            return function(X_RD)
        found = []
        for a, b in runs(self.sizes_N, PART_ROWS):
            first, last = self.starts_N[a], self.starts_N[b] if b < len(self.starts_N) else len(X_RD)
            values = function(X_RD[first:last])
            found.append(segment_sums(values, self.starts_N[a:b] - first).astype(values.dtype))
        return np.concatenate(found)

    def means(self, function: Callable[..., Array], *needs: str) -> Array:
        """The mean of function(needs) over the rows of each candidate, [N, ...] in the dtype of the function."""
        values_R = self.view.reduced(function, *needs)
        if self.single:
            return values_R
        sizes_N = self.sizes_N.reshape(-1, *[1] * (values_R.ndim - 1))
        return (segment_sums(values_R, self.starts_N) / sizes_N).astype(values_R.dtype)

    def means_at(self, function: Callable[[Array], Float64], need: str, places_M: Int64) -> Float64:
        """The mean of function(need) over the rows of each candidate at `places_M`, float64 [M].

        The strategy must declare `features` too.
        """
        if self.single:
            return function(self.view.at(need, places_M))
        out_M, sizes_M = np.empty(len(places_M)), self.sizes_N[places_M]
        for a, b in runs(sizes_M, PART_ROWS):
            X_BD = self.view.features_at(places_of(self.starts_N, self.sizes_N, places_M[a:b]))
            starts_B = np.cumsum(sizes_M[a:b]) - sizes_M[a:b]
            out_M[a:b] = segment_sums(function(self.view.evaluate(need, X_BD)), starts_B) / sizes_M[a:b]
        return out_M
