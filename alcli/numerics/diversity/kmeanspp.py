"""D^2 sampling: each pick is drawn with probability proportional to the squared distance to the nearest earlier pick.

Picks are drawn in rounds. At the start of a round, candidates are drawn from the distribution of that moment, by
the inverse of the cumulated squared distances in float64. Each candidate is accepted with probability (squared
distance now) / (squared distance at the start of the round). Distances only fall, so this is rejection sampling
from exactly the distribution above. One product with 16 columns, which costs about as much as four products with
one column, usually serves a dozen picks.

Source: Arthur & Vassilvitskii 2007, "k-means++: the advantages of careful seeding", section 2.2.
Cost: at most 16, usually 1.2, columns of 2 N D flops per pick; O(16 N) memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.diversity.shard_rows import Known, ShardRows, engine_for, known, largest, look, merged
from alcli.numerics.rows import Rows, sq_distances
from alcli.numerics.teams import Blueprint, Team
from alcli.remarks import steps

_WIDTH = 16
# A bound on the rounding of the squared distance of a row to its copy, relative to the squared norm.
_SMALL = 1e-3


def k_means_pp(
    rows: Rows, k: int, first: int | None, rng: np.random.Generator, *, from_zero: bool = False
) -> tuple[Int64, Float64]:
    """Pick k <= N distinct rows, the first of them row `first`; None takes the row of largest norm.

    from_zero: the zero vector counts as a pick before the first one, so that no row is drawn for its distance to the
    picks alone. Once all distances are 0, free rows are drawn uniformly.
    Returns picks int64 [k] and, for each, its distance to the nearest pick when it was drawn (the first: its norm).
    """

    def part(start: int, stop: int) -> Blueprint:
        return Blueprint(SeedShard, (start, rows.cut(start, stop), from_zero))

    with engine_for(rows).team(rows.n, part) as team:
        if first is None:
            first = int(merged(team.ask("longest"), 1)[0][0])
        one = known(team, np.array([first]))
        picks, sq = [first], [float(one.sq_norms_M[0])]
        masses = np.concatenate(team.tell("add", one, np.diagonal(look(team, one)), np.array([0])))

        def rounds() -> Iterator[int]:
            while len(picks) < k and masses.any():
                yield len(picks)

        for _ in steps(rounds(), "picking", k, lambda n: len(picks) - n):
            drawn, before = _drawn(team, masses, rng.random(min(_WIDTH, k - len(picks))))
            some = known(team, drawn)
            among_MM, now, accepted = look(team, some), before.copy(), []
            for m, (i, uniform) in enumerate(zip(drawn.tolist(), rng.random(len(drawn)))):
                if uniform * before[m] < now[m]:
                    picks.append(i)
                    sq.append(float(now[m]))
                    accepted.append(m)
                    _lower(now, some.sq_norms_M, some.marks_M, among_MM[:, m], some, m, float(among_MM[m, m]))
            masses = np.concatenate(team.tell("add", some, np.diagonal(among_MM), np.array(accepted, np.int64)))
    rest = _any_others(rows.n, picks, k, rng)
    return np.append(picks, rest).astype(np.int64), np.sqrt(sq + [0.0] * len(rest)) * rows.scale


class SeedShard(ShardRows):
    """Rows of a shard with their squared distances to the nearest pick."""

    def __init__(self, spread: Spread, first: int, rows: Rows, from_zero: bool) -> None:
        super().__init__(spread, first, rows)
        self._nearest = rows.sq_norms.copy() if from_zero else np.full(rows.n, np.inf)

    def longest(self) -> tuple[Int64, Float64]:
        """The row of largest norm, and its squared norm."""
        places = largest(self.rows.sq_norms, 1)
        return places + self.first, self.rows.sq_norms[places]

    def add(self, some: Known, self_inner_M: Float64, places: Int64) -> Float64:
        """Make picks of the rows at `places` of `some`, the rows of the last `look`.

        Returns the sum of the squared distances of each block of rows.
        """
        masses = np.empty(-(-self.rows.n // BLOCK_ROWS))

        def work(rows: slice) -> None:
            near_B, norms_B, marks_B = self._nearest[rows], self.rows.sq_norms[rows], self.rows.marks[rows]
            for m in places.tolist():
                _lower(near_B, norms_B, marks_B, self.inner_MN[m, rows], some, m, float(self_inner_M[m]))
            for a in range(0, len(near_B), BLOCK_ROWS):
                masses[(rows.start + a) // BLOCK_ROWS] = np.cumsum(near_B[a : a + BLOCK_ROWS])[-1]

        self.pieces(work)
        return masses

    def drawn(self, blocks: Int64, shares: Float64) -> tuple[Int64, Int64, Float64]:
        """Draw a row of each of `blocks`, which are numbered through all shards.

        shares: the sum of squared distances, from the start of the block, at which each row lies. Returns the places in
        `blocks` of the blocks of this shard, the rows, and their squared distances to the nearest pick.
        """
        starts = blocks * BLOCK_ROWS - self.first
        places = np.flatnonzero((starts >= 0) & (starts < self.rows.n))
        rows = np.empty(len(places), np.int64)
        for p, m in enumerate(places):
            weights = self._nearest[starts[m] : starts[m] + BLOCK_ROWS]
            rows[p] = starts[m] + at(np.cumsum(weights), shares[m])
        return places, rows + self.first, self._nearest[rows]


def _drawn(team: Team, masses: Float64, uniforms_M: Float64) -> tuple[Int64, Float64]:
    """Draw a row for each uniform number by the squared distances: its block first, then the row in it.

    masses: the sum of the squared distances of each block. Returns the rows, and their squared distances.
    """
    ends = np.cumsum(masses)
    shares_M = np.minimum(uniforms_M * ends[-1], np.nextafter(ends[-1], 0.0))
    blocks_M = at(ends, shares_M)
    rows_M, sq_M = np.empty(len(uniforms_M), np.int64), np.empty(len(uniforms_M))
    for places, rows, sq in team.ask("drawn", blocks_M, shares_M - np.append(0.0, ends)[blocks_M]):
        rows_M[places], sq_M[places] = rows, sq
    return rows_M, sq_M


def _lower(
    nearest_B: Float64, sq_norms_B: Float64, marks_B: Array, inner_B: Array, picks: Known, m: int, self_inner: float
) -> None:
    """Lower the squared distances of rows to the nearest pick, by pick m; the pick and its copies have distance 0."""
    sq_norm = float(picks.sq_norms_M[m])
    sq_B = sq_distances(sq_norms_B, inner_B, sq_norm, self_inner)
    np.minimum(nearest_B, sq_B, out=nearest_B)
    # Copies are among the rows whose distance is as small as rounding may leave it.
    near = np.flatnonzero(sq_B <= _SMALL * sq_norm)
    nearest_B[near[marks_B[near] == picks.marks_M[m]]] = 0.0


def greedy_k_means_pp(rows: Rows, k: int, rng: np.random.Generator) -> Int64:
    """Pick k <= N distinct rows, each the best of 2 + ln k draws: the one with the smallest sum of squared distances.

    The first pick is drawn uniformly. The sum runs over the distances of all rows to their nearest pick. k-means that
    starts at the picks ends nearer to its optimum.
    Source: the greedy variant in the last section of the paper.
    Cost: 2 N D (2 + ln k) flops a pick; O(N ln k) memory.
    """
    picks, n_draws = [int(rng.integers(rows.n))], 2 + int(np.log(k))
    with workers() as spread:
        nearest = _distances_to(rows, picks[0], rows.inner(picks[0], spread))
        nearest[picks[0]] = 0.0

        def rounds() -> Iterator[int]:
            while len(picks) < k and nearest.any():
                yield len(picks)

        for _ in steps(rounds(), "beginning clusters", k, lambda n: len(picks) - n):
            drawn = draw(nearest, rng.random(n_draws))
            inner_NM = rows.inner_with(rows, drawn, spread)
            left = [np.minimum(nearest, _distances_to(rows, int(i), inner_NM[:, m])) for m, i in enumerate(drawn)]
            best = int(np.argmin([left_N.sum() for left_N in left]))
            picks.append(int(drawn[best]))
            nearest = left[best]
            nearest[picks[-1]] = 0.0
    return np.append(picks, _any_others(rows.n, picks, k, rng)).astype(np.int64)


def _any_others(n: int, picks: list[int], k: int, rng: np.random.Generator) -> Int64:
    """Draw the rows that fill the picks up to k uniformly from the free rows. Cost: O(N), where any are missing."""
    if len(picks) == k:
        return np.empty(0, np.int64)
    return rng.permutation(np.setdiff1d(np.arange(n), picks))[: k - len(picks)]


def draw(weights_N: Float64, uniforms_M: Float64) -> Int64:
    """Draw one row for each uniform number, with probability proportional to the weights: the inverse of their sums.

    uniforms_M: M numbers in [0, 1). A row of weight 0 is never drawn.
    """
    cumulated = np.cumsum(weights_N)
    return at(cumulated, uniforms_M * cumulated[-1])


def at(cumulated_N: Float64, shares_M: Any) -> Any:
    """The place at which each share of the total lies; a place that adds nothing is never found."""
    # Rounding may move a share to the total itself. The minimum then gives the last place that adds something.
    shares_M = np.minimum(shares_M, np.nextafter(cumulated_N[-1], 0.0))
    return np.searchsorted(cumulated_N, shares_M, side="right")


def _distances_to(rows: Rows, i: int, inner_N: Float64) -> Float64:
    """Compute the squared distances of all rows to row i from the inner products with row i."""
    return sq_distances(rows.sq_norms, inner_N, rows.sq_norms[i], float(inner_N[i]))
