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

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.diversity.columns import WIDTH, batch_of
from alcli.numerics.diversity.shard_rows import (
    ShardRows,
    block_values,
    copies,
    engine_for,
    known,
    largest_by_block,
    look,
    merged,
)
from alcli.numerics.rows import Rows, feature_rows, sq_distances
from alcli.numerics.teams import Blueprint, Team
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

    def part(first: int, last: int) -> Blueprint:
        start_B = None if start_N is None else start_N[first:last]
        return Blueprint(CentreShard, (first, rows.cut(first, last), centres, start_B))

    with engine_for(rows).team(rows.n, part) as team:
        leave_out_copies(team)
        batch, place_of = None, dict[int, int]()
        tops = team.ask("best")
        for t in steps(range(k), "picking", k):
            # The rows that are farthest now will probably be picked next, so their columns are computed together.
            guesses, seen = merged(tops, WIDTH)
            i = int(guesses[0])
            if start_N is not None and seen[0] == 0.0:
                norms_N = np.concatenate(team.ask("sq_norms"))
                picks[t:], distances[t:] = free_by_norm(norms_N, picks[:t])[: k - t], 0.0
                break
            picks[t], distances[t] = i, seen[0]
            if t + 1 == k:
                break
            if batch is None or i not in place_of:
                batch = known(team, batch_of(i, guesses))
                self_inner_M = np.diagonal(look(team, batch))
                place_of = {int(row): m for m, row in enumerate(batch.rows_M)}
            m = place_of[i]
            tops = team.tell("add", m, i, float(batch.sq_norms_M[m]), float(self_inner_M[m]))
    return picks, np.sqrt(distances) * rows.scale


class CentreShard(ShardRows):
    """Rows of a shard with their squared distances to the nearest centre.

    centres: rows that are centres from the start. start_N: squared distances to other centres.
    """

    def __init__(self, spread: Spread, first: int, rows: Rows, centres: Rows | None, start_N: Float64 | None) -> None:
        super().__init__(spread, first, rows)
        if centres is not None and centres.n:
            self._nearest = nearest_centre(rows, centres, spread)
        else:
            self._nearest = np.full(rows.n, np.inf) if start_N is None else start_N.copy()
        # Until there is a centre, the row of largest norm is the best.
        self._seen = self._nearest if np.isfinite(self._nearest).all() else rows.sq_norms.copy()
        self._farthest = np.empty(-(-rows.n // BLOCK_ROWS))
        self._see_all()

    def leave_out(self, rows: Int64) -> None:
        """Take some rows for centres: they equal an earlier row, which comes before them."""
        local = rows[self.mine(rows)] - self.first
        self._nearest[local] = self._seen[local] = 0.0
        self._see_all()

    def best(self) -> tuple[Int64, Float64]:
        """The rows that are farthest from all centres, at most WIDTH, and their squared distances."""
        places = largest_by_block(self._seen, self._farthest, WIDTH)
        return places + self.first, self._seen[places]

    def add(self, m: int, row: int, sq_norm: float, self_inner: float) -> tuple[Int64, Float64]:
        """Make a row a centre: row m of the last `look`. Returns what `best` does."""
        own = row - self.first if self.first <= row < self.first + self.rows.n else -1

        def work(rows: slice) -> None:
            sq_B = sq_distances(self.rows.sq_norms[rows], self.inner_MN[m, rows], sq_norm, self_inner)
            np.minimum(self._nearest[rows], sq_B, out=self._nearest[rows])
            if rows.start <= own < rows.stop:
                self._nearest[own] = -np.inf
            block_values(self._nearest, rows, np.maximum, self._farthest)

        self.pieces(work)
        self._seen = self._nearest
        return self.best()

    def sq_norms(self) -> Float64:
        """The squared norms of the rows."""
        return self.rows.sq_norms

    def _see_all(self) -> None:
        self.pieces(lambda rows: block_values(self._seen, rows, np.maximum, self._farthest))


def leave_out_copies(team: Team) -> None:
    """Tell every shard which rows equal an earlier row of any shard, if there are such rows."""
    found = copies(np.concatenate(team.ask("keys")))
    if len(found):
        team.tell("leave_out", found)


def free_by_norm(sq_norms_N: Float64, picks: Int64) -> Int64:
    """Order the rows that were not picked by norm, largest first; ties go to the lowest row."""
    free = np.setdiff1d(np.arange(len(sq_norms_N)), picks)
    return free[np.argsort(-sq_norms_N[free], kind="stable")]


def nearest_centre(rows: Rows, centres: Rows, spread: Spread, labels_N: Int64 | None = None) -> Float64:
    """Compute the squared distance of every row to the nearest centre, float64 [N], 0 for a row that equals a centre.

    labels_N: if given, the lowest nearest centre of every row is written into it. A row that equals a centre keeps its
    label. Equal rows get equal bits. Memory: a block of products for each thread, where rows can be cut.
    """
    nearest = np.where(_are_among(rows.marks, centres.marks), 0.0, np.inf)
    for start in range(0, centres.n, WIDTH):
        index = np.arange(start, min(start + WIDTH, centres.n))

        def lower(a: int, b: int, inner_BM: Array, index: Int64 = index) -> None:
            nearest_B = nearest[a:b]
            for m, c in enumerate(index):
                sq_B = sq_distances(rows.sq_norms[a:b], inner_BM[:, m], centres.sq_norms[c])
                if labels_N is not None:
                    labels_N[a:b][sq_B < nearest_B] = c
                np.minimum(nearest_B, sq_B, out=nearest_B)

        if rows.can_be_cut and centres.can_be_cut:
            rows.each_product(centres.columns(index), spread, lower)
        else:
            lower(0, rows.n, rows.inner_with(centres, index, spread))
    if labels_N is not None:
        rows.same_for_copies(labels_N)
    return rows.same_for_copies(nearest)


def _are_among(marks_N: Array, some_M: Array) -> Array:
    """True for each mark that is one of some, [N]; memory: 24 bytes a mark."""
    ascending_M = np.sort(some_M)
    places_N = np.minimum(np.searchsorted(ascending_M, marks_N), len(ascending_M) - 1)
    return ascending_M[places_N] == marks_N


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
