"""Distances of many rows to the nearest of a set of centres that grows one at a time.

Source: the inner loop of Gonzalez 1985, "Clustering to minimize the maximum intercluster distance", kept between picks.
Cost: 2 N D flops for each centre, those known at the start in products of 32; O(N) memory beside the rows.
"""

from __future__ import annotations

import math

import numpy as np

from alcli.arrays import Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.kcenter import nearest_centre
from alcli.numerics.rows import feature_rows, sq_distances

_ROUNDINGS = 64  # of the kernel, in units of its precision: more than two ways to sum D products differ by


class CentreDistances:
    """Distance of each row of X_ND to the nearest of the centres C_LD and those added since; its norm while there are none."""

    def __init__(self, X_ND: Floats, C_LD: Floats) -> None:
        self._rows, centres = feature_rows(X_ND, C_LD)
        self._largest = max(float(norms.max(initial=0.0)) for norms in (self._rows.sq_norms, centres.sq_norms))
        self._sq_N: Float64 | None = None
        if centres.n:
            with workers() as spread:
                self._sq_N = nearest_centre(self._rows, centres, spread)

    def of(self, rows: Int64 | slice) -> Float64:
        """The distances of some of the rows, float64."""
        sq_N = self._rows.sq_norms if self._sq_N is None else self._sq_N
        return np.sqrt(sq_N[rows]) * self._rows.scale  # type: ignore[no-any-return]

    def error(self, distance: float) -> float:
        """How much smaller than `distance` a distance may be that another kernel would call as large."""
        epsilon = float(np.finfo(self._rows.factors[0].F_ND.dtype).eps)
        noise = _ROUNDINGS * epsilon * self._largest
        scaled = distance / self._rows.scale
        return (scaled - math.sqrt(max(scaled * scaled - noise, 0.0))) * self._rows.scale

    def add_row(self, i: int) -> None:
        """Row i becomes a centre: one GEMV pass. Its copies are then at exactly 0."""
        rows = self._rows
        with workers() as spread:
            inner_N = rows.inner(i, spread)
        self._lower(sq_distances(rows.sq_norms, inner_N, rows.sq_norms[i], float(inner_N[i])))

    def add(self, x_D: Floats) -> None:
        """A centre that is none of the rows: differences in float64, about ten times the cost of a row."""
        factor = self._rows.factors[0]
        centre_D = np.ldexp(x_D.astype(np.float64), -factor.exponent)
        self._largest = max(self._largest, float(centre_D @ centre_D))
        sq_N = np.empty(self._rows.n)
        for a in range(0, self._rows.n, BLOCK_ROWS):
            sq_N[a : a + BLOCK_ROWS] = np.square(factor.F_ND[a : a + BLOCK_ROWS] - centre_D).sum(axis=1)
        self._lower(sq_N)

    def _lower(self, sq_N: Float64) -> None:
        self._sq_N = sq_N if self._sq_N is None else np.minimum(self._sq_N, sq_N, out=self._sq_N)


def centre_distances(X_ND: Floats, C_LD: Floats) -> Float64:
    """Distance of each row of X_ND to the nearest row of C_LD, float64 [N]; its norm when C_LD is empty."""
    return CentreDistances(X_ND, C_LD).of(slice(None))
