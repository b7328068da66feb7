"""Greedy k-centre: each pick is the row farthest from all centres so far.

`CentreDistances` keeps the distances to the nearest centre between picks, for a set of centres that grows one at a
time.

Source: Gonzalez 1985, "Clustering to minimize the maximum intercluster distance"; the batch form of Sener & Savarese
2018, Alg. 1.
Cost: k_center at most 2 (L + k) N D flops and O(32 N) memory. Usually the picks take far fewer than k passes over
the rows, see `numerics/diversity/columns.py`. CentreDistances 2 N D flops for each centre, the centres known at the
start in products of 32; O(N) memory beside the rows.
"""

from __future__ import annotations

import math

import numpy as np

from alcli.arrays import Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.diversity.columns import WIDTH, GramColumns, largest
from alcli.numerics.rows import Rows, feature_rows, sq_distances
from alcli.remarks import steps

# In machine epsilons: an upper bound on the difference between two orders of summing D products.
_ROUNDINGS = 64


def k_center(
    rows: Rows, k: int, centres: Rows | None = None, *, start_N: Float64 | None = None
) -> tuple[Int64, Float64]:
    """Pick k <= N rows, each the farthest from all centres so far. Ties go to the lowest row.

    Without centres and `start_N` the first pick is the row of largest norm.
    start_N: squared distances, in the scale of `rows`, to centres that are not rows; `rows.sq_norms` makes the origin a
    centre. With `start_N`, once every row coincides with a centre, the remaining picks come by norm, largest first.

    Returns the picks int64 [k] and, for each, its distance to the nearest centre when it was picked, float64 [k]. The
    distance of a first pick without centres is its norm.
    """
    picks, distances = np.empty(k, np.int64), np.empty(k)
    with workers() as spread:
        if centres is not None and centres.n:
            nearest = nearest_centre(rows, centres, spread)
            seen = nearest
        elif start_N is not None:
            nearest = seen = start_N.copy()
        else:
            nearest, seen = np.full(rows.n, np.inf), rows.sq_norms
        columns = GramColumns(rows, spread)
        for t in steps(range(k), "picking", k):
            i = int(seen.argmax())
            if start_N is not None and seen[i] == 0.0:
                picks[t:], distances[t:] = free_by_norm(rows, picks[:t])[: k - t], 0.0
                break
            picks[t], distances[t] = i, seen[i]
            if t + 1 == k:
                break
            inner_N = columns.of(i, lambda seen=seen: largest(seen))  # type: ignore[misc]
            np.minimum(nearest, sq_distances(rows.sq_norms, inner_N, rows.sq_norms[i], float(inner_N[i])), out=nearest)
            nearest[i] = -np.inf
            seen = nearest
    return picks, np.sqrt(distances) * rows.scale


def free_by_norm(rows: Rows, picks: Int64) -> Int64:
    """Order the rows that were not picked by norm, largest first; ties go to the lowest row."""
    free = np.setdiff1d(np.arange(rows.n), picks)
    return free[np.argsort(-rows.sq_norms[free], kind="stable")]


def nearest_centre(rows: Rows, centres: Rows, spread: Spread, labels_N: Int64 | None = None) -> Float64:
    """Compute the squared distance of every row to the nearest centre, float64 [N], 0 for a row that equals a centre.

    labels_N: if given, the lowest nearest centre of every row is written into it. A row that equals a centre keeps its
    label.
    """
    nearest = np.where(np.isin(rows.marks, centres.marks), 0.0, np.inf)
    for start in range(0, centres.n, WIDTH):
        index = np.arange(start, min(start + WIDTH, centres.n))
        inner_NM = rows.inner_with(centres, index, spread)
        for m, c in enumerate(index):
            sq_N = sq_distances(rows.sq_norms, inner_NM[:, m], centres.sq_norms[c])
            if labels_N is not None:
                labels_N[sq_N < nearest] = c
            np.minimum(nearest, sq_N, out=nearest)
    return nearest


class CentreDistances:
    """The distance of each row of X_ND to the nearest centre: a row of C_LD or a centre that was added since.

    While there are no centres, the distance of a row is its norm.
    """

    def __init__(self, X_ND: Floats, C_LD: Floats) -> None:
        self._rows, centres = feature_rows(X_ND, C_LD)
        self._largest = max(float(norms.max(initial=0.0)) for norms in (self._rows.sq_norms, centres.sq_norms))
        self._sq_N: Float64 | None = None
        if centres.n:
            with workers() as spread:
                self._sq_N = nearest_centre(self._rows, centres, spread)

    def of(self, rows: Int64 | slice) -> Float64:
        """Return the distances of the given rows, float64."""
        sq_N = self._rows.sq_norms if self._sq_N is None else self._sq_N
        return np.sqrt(sq_N[rows]) * self._rows.scale

    def error(self, distance: float) -> float:
        """Bound the rounding of `distance`: a distance smaller by less than this may be as large by another kernel."""
        epsilon = float(np.finfo(self._rows.factors[0].F_ND.dtype).eps)
        noise = _ROUNDINGS * epsilon * self._largest
        scaled = distance / self._rows.scale
        return (scaled - math.sqrt(max(scaled * scaled - noise, 0.0))) * self._rows.scale

    def add_row(self, i: int) -> None:
        """Make row i a centre: one GEMV pass. The distance of row i and of its copies is then exactly 0."""
        rows = self._rows
        with workers() as spread:
            inner_N = rows.inner(i, spread)
        self._lower(sq_distances(rows.sq_norms, inner_N, rows.sq_norms[i], float(inner_N[i])))

    def add(self, x_D: Floats) -> None:
        """Add a centre x_D that is not a row.

        Differences are taken in float64: about ten times the cost of `add_row`.
        """
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
    """Compute the distance of each row of X_ND to the nearest row of C_LD, float64 [N]; its norm when C_LD is empty."""
    return CentreDistances(X_ND, C_LD).of(slice(None))
