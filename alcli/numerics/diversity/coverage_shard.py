"""A shard of a choice by coverage: rows with bounds on their gains, and later with their pairs.

A bound is a gain of an earlier moment, lowered by what the gain has lost since at least. Once the pairs of all rows of
all shards that can still gain are few, each shard keeps those of its rows, and no kernel is computed any more.

Letters: M targets, T targets that are covered better than before, B and C rows and targets of a tile.
Source: lazy greedy search by Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions".
Cost: 2 N M D flops for all gains, half of that if the targets are the rows (products in the dtype of the rows,
float64 sums), and an exponential for each pair that gains; 2 N T D flops to lower all bounds. Memory: O(N + M D)
beside the rows, N^2 / 512 bytes if the targets are the rows, and 8 bytes for each kept pair (16 while it is found).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.diversity.coverage import Coverage, kernels_of
from alcli.numerics.diversity.near_pairs import PairLists, Tiles
from alcli.numerics.diversity.shard_rows import ShardRows, largest
from alcli.numerics.lazy_best import ROUND
from alcli.numerics.rows import Rows

# In units of the rounding error of a nearness: an upper bound on how much a kernel differs between two tiles.
_NOISE = 64
# Rows of the largest bounds, among which the best row is looked for.
_FRONT = 4096
_COUNTED = "blocks of rows"


@dataclass(frozen=True)
class Candidate:
    """A row with its gain, and its pairs with the targets that it may cover better."""

    row: int
    gain: float
    targets: Array
    kernels: Floats


class CoverageShard(ShardRows):
    """Rows of a shard with bounds on their gains.

    coverage: at the start; it is copied. are_targets: the rows are the targets, and there is no other shard.
    """

    def __init__(self, spread: Spread, first: int, rows: Rows, coverage: Coverage, are_targets: bool) -> None:
        super().__init__(spread, first, rows)
        self._coverage = coverage.copy()
        self._tiles = Tiles(rows.factors[0].F_ND, rows.sq_norms, coverage.nearness, are_targets)
        self._bounds = np.full(rows.n, np.inf)
        # True for a bound, and False for a gain that was computed since the last pick.
        self._is_bound = np.ones(rows.n, bool)
        # The largest bound of each block as float32, without the rows whose gain is known.
        self._peaks = np.full(-(-rows.n // BLOCK_ROWS), np.inf)
        # The coverage of the targets that the bounds know of.
        self._before_M = coverage.covered_M.copy()
        # Rows whose gain was computed with picks that the bounds do not know of.
        self._are_behind, self._ahead = False, list[Int64]()
        self._pairs: list[tuple[Int64, Array, Floats]] = []
        self._front, self._others = np.empty(0, np.int64), np.float32(np.inf)

    def leave_out(self, rows: Int64) -> None:
        """Take it that some rows gain nothing: once the first of equal rows is picked, the others do not."""
        self._bounds[rows[self.mine(rows)] - self.first] = 0.0
        self.pieces(self._see)

    def count(self) -> int:
        """The number of pairs that gain, of all rows with a sample of the targets."""
        some, counts = self._coverage.nearness.sample(), list[int]()
        limits_S = self._coverage.limits()[some]

        def see(a: int, c: int, near_BC: Floats, both: bool) -> None:
            counts.append(int(np.count_nonzero(near_BC > limits_S[c : c + near_BC.shape[1]])))

        self._tiles.some(some).see_all(self.spread, see)
        return sum(counts)

    def measure(self, few: bool) -> tuple[Int64, Float64]:
        """Compute all gains. few: only few pairs gain, so the others are left out. Returns what `top` does."""
        sums_N = self._sums(self._coverage.limits() if few else None)
        np.minimum(self._bounds, sums_N / len(self._coverage.covered_M), out=self._bounds)
        self.pieces(self._see)
        return self.top()

    def top(self) -> tuple[Int64, Float64]:
        """The rows of the largest bounds as float32, at most ROUND + 1, without the rows whose gain is known."""
        # They lie in as many blocks at most: those of the largest peaks.
        blocks = np.sort(largest(self._peaks, ROUND + 1))
        places = (blocks[:, None] * BLOCK_ROWS + np.arange(BLOCK_ROWS)).ravel()
        places = places[places < self.rows.n]
        places = places[largest(self._open(places).astype(np.float32), ROUND + 1)]
        places = places[self._is_bound[places]]
        return places + self.first, self._bounds[places]

    def _open(self, rows: Int64 | slice) -> Float64:
        """The bounds of rows, -inf where the gain is known."""
        return np.where(self._is_bound[rows], self._bounds[rows], -np.inf)

    def _see(self, rows: slice) -> None:
        """Find the peaks of a piece of whole blocks."""
        starts = np.arange(rows.start, rows.stop, BLOCK_ROWS)
        values = self._open(rows).astype(np.float32)
        self._peaks[starts // BLOCK_ROWS] = np.maximum.reduceat(values, starts - rows.start)

    def lower(self, rows: Int64, gains: Float64) -> tuple[Int64, Float64]:
        """Take the gains of rows of any shards for their bounds. Returns what `top` does."""
        self._know(rows, gains)
        return self.top()

    def vectors(self, rows: Int64) -> tuple[Int64, Floats]:
        """The places in `rows` of the rows of this shard, and their features."""
        places = np.flatnonzero(self.mine(rows))
        return places, self.rows.factors[0].F_ND[rows[places] - self.first]

    def cover(self, pick: Candidate, rows: Int64, gains: Float64) -> None:
        """Cover the targets with a pick. rows, gains: gains that are known, as `lower` takes them."""
        self._know(rows, gains)
        if self.first <= pick.row < self.first + self.rows.n:
            self._bounds[pick.row - self.first] = -np.inf
        self._is_bound[:] = True
        self._coverage.cover(pick.targets, pick.kernels)

    def cover_and_count(self, pick: Candidate, rows: Int64, gains: Float64) -> int:
        """Cover the targets with a pick. Returns what `count` does."""
        self.cover(pick, rows, gains)
        return self.count()

    def cover_alone(self, pick: Candidate, rows: Int64, gains: Float64) -> tuple[Int64, Float64]:
        """Cover the targets with a pick, and leave the bounds as they are. Returns what `top` does."""
        self.cover(pick, rows, gains)
        self._are_behind = True
        self.pieces(self._see)
        return self.top()

    def cover_and_fall(self, pick: Candidate, rows: Int64, gains: Float64) -> tuple[Int64, Float64]:
        """Cover the targets with a pick, and lower all bounds. Returns what `top` does."""
        self.cover(pick, rows, gains)
        return self.fall()

    def cover_and_find(self, pick: Candidate) -> Candidate:
        """Cover the targets with a pick. Returns what `best` does."""
        self.cover(pick, np.empty(0, np.int64), np.empty(0))
        return self.best()

    def fall(self) -> tuple[Int64, Float64]:
        """Lower all bounds by what the gains have lost at least since they were lowered. Returns what `top` does."""
        coverage, falls_N = self._coverage, np.zeros(self.rows.n)
        targets_T = np.flatnonzero((coverage.covered_M > self._before_M) & (coverage.weights_M > 0.0))
        before_T, after_T = self._before_M[targets_T], coverage.covered_M[targets_T]
        self._before_M = coverage.covered_M.copy()
        share_T = coverage.weights_M[targets_T] / len(coverage.covered_M)
        low_T, height_T, weights_T = (
            values_T.astype(coverage.nearness.dtype) for values_T in (before_T, after_T - before_T, share_T)
        )

        def see(a: int, c: int, near_BC: Floats, both: bool) -> None:
            part = slice(c, c + near_BC.shape[1])
            fell_BC = kernels_of(near_BC)
            fell_BC -= low_T[part]
            np.minimum(np.maximum(fell_BC, 0.0, out=fell_BC), height_T[part], out=fell_BC)
            falls_N[a : a + len(fell_BC)] += fell_BC @ weights_T[part]

        self._tiles.some(targets_T).see_all(self.spread, see)
        noise = _NOISE * coverage.nearness.noise * share_T.sum()

        # The gains of these rows have fallen by some of the picks already.
        ahead = np.concatenate([*self._ahead, np.empty(0, np.int64)])
        falls_N[ahead] = 0.0
        self._are_behind, self._ahead = False, []

        def lower(rows: slice) -> None:
            bounds_B, falls_B = self._bounds[rows], np.maximum(falls_N[rows] - noise, 0.0)
            np.maximum(bounds_B - falls_B, 0.0, out=bounds_B, where=bounds_B > 0.0)
            self._see(rows)

        self.pieces(lower)
        return self.top()

    def keep(self) -> Candidate:
        """Find and keep the pairs of all rows that gain. Returns what `best` does."""
        limits_M, lists = self._coverage.limits(), PairLists(self.rows.n)

        def see(a: int, c: int, near_BC: Floats, both: bool) -> None:
            lists.add(a, c, near_BC, limits_M[c : c + near_BC.shape[1]])
            if both:
                lists.add_mirrored(a, c, near_BC, limits_M[a : a + near_BC.shape[0]])

        self._tiles.see_all(self.spread, see, _COUNTED)
        for b, (starts, targets, near) in enumerate(lists.by_row()):
            self._pairs.append((starts, targets, kernels_of(near)))
            rows = slice(b * BLOCK_ROWS, (b + 1) * BLOCK_ROWS)
            gains_B = self._coverage.gains(np.diff(starts), *self._pairs[-1][1:])
            np.minimum(self._bounds[rows], gains_B, out=self._bounds[rows])
        return self.best()

    def best(self) -> Candidate:
        """The row of the largest gain as float32, the lowest of equals, once the pairs are kept; -inf for no row."""
        place = self._best_place()
        return Candidate(place + self.first, float(self._bounds[place]), *self._of(place))

    def _best_place(self) -> int:
        """Find the best row. The largest bounds are replaced by gains, until the largest value of all is a gain.

        No row outside the front has a bound above `_others`, so the front alone is looked at while its best is larger.
        """
        self._is_bound[:] = True
        is_new = False
        while True:
            values = self._bounds[self._front].astype(np.float32)
            first = int(values.argmax()) if len(values) else -1
            if not is_new and (first < 0 or values[first] <= self._others):
                self._front = np.sort(largest(self._bounds.astype(np.float32), _FRONT))
                self._others = np.float32(self._bounds[self._front].min(initial=np.inf))
                is_new = True
                continue
            if values[first] < 0.0 or not self._is_bound[self._front[first]]:
                return int(self._front[first])
            is_bound = self._is_bound[self._front]
            found = values[~is_bound].max(initial=np.float32(-1.0))
            places = largest(np.where(is_bound & (values >= found), values, -np.inf), ROUND)
            places = self._front[places[is_bound[places] & (values[places] >= found)]]
            self._know(places + self.first, self._coverage.gains_of([self._of(place) for place in places.tolist()]))
            is_new = False

    def _of(self, place: int) -> tuple[Array, Floats]:
        """The pairs of a row, once they are kept."""
        starts, targets, kernels = self._pairs[place // BLOCK_ROWS]
        part = slice(starts[place % BLOCK_ROWS], starts[place % BLOCK_ROWS + 1])
        return targets[part], kernels[part]

    def _know(self, rows: Int64, gains: Float64) -> None:
        """Take gains for bounds; the rows may be of any shards."""
        is_mine = self.mine(rows)
        local = rows[is_mine] - self.first
        self._bounds[local] = np.minimum(self._bounds[local], gains[is_mine])
        self._is_bound[local] = False
        if self._are_behind:
            self._ahead.append(local)
        for b in np.unique(local // BLOCK_ROWS).tolist():
            self._see(slice(b * BLOCK_ROWS, min((b + 1) * BLOCK_ROWS, self.rows.n)))

    def _sums(self, limits_M: Floats | None) -> Float64:
        """Sum the gains over the targets for every row, float64 [N]: over pairs above the limits, or over all pairs.

        Every number is written by one thread only, in a fixed order.
        """
        N, n_blocks = self.rows.n, -(-self.rows.n // BLOCK_ROWS)
        sums_N, mirrored_DN = np.zeros(N), np.zeros((n_blocks // 2 + 1, N if self._tiles.are_rows else 0))
        added = self._added if limits_M is None else partial(self._few_added, limits_M=limits_M)

        def see(a: int, c: int, near_BC: Floats, both: bool) -> None:
            B, C = (slice(first, first + n) for first, n in zip((a, c), near_BC.shape))
            if limits_M is None:
                kernels_of(near_BC)
            if both:
                mirrored_DN[(c // BLOCK_ROWS - a // BLOCK_ROWS) % n_blocks, C] = added(near_BC, (B, None), 0)
            sums_N[B] += added(near_BC, C, 1)

        self._tiles.see_all(self.spread, see, _COUNTED)
        return sums_N + mirrored_DN.sum(axis=0) if self._tiles.are_rows else sums_N

    def _added(self, kernels_BC: Floats, targets: Any, axis: int) -> Float64:
        """Sum the gains over the targets of a tile, which lie along `axis`, for the rows along the other axis."""
        coverage = self._coverage
        added_BC = kernels_BC - coverage.covered_M[targets].astype(coverage.nearness.dtype)
        np.maximum(added_BC, 0.0, out=added_BC)
        added_BC *= coverage.weights_M[targets].astype(coverage.nearness.dtype)
        return added_BC.sum(axis=axis, dtype=np.float64)

    def _few_added(self, near_BC: Floats, targets: Any, axis: int, limits_M: Floats) -> Float64:
        """Compute the sums of `_added` from the nearness, over the pairs above the limits only."""
        places = np.flatnonzero(near_BC > limits_M[targets])
        along = np.divmod(places, near_BC.shape[1])
        few = along[axis]
        added = np.maximum(kernels_of(near_BC.ravel()[places]) - self._coverage.covered_M[targets].ravel()[few], 0.0)
        added *= self._coverage.weights_M[targets].ravel()[few]
        return np.bincount(along[1 - axis], added, near_BC.shape[1 - axis]).astype(np.float64, copy=False)
