"""Greedy cover by balls: each pick is the row whose ball, of a fixed radius, holds most targets not yet covered.

The rows lie in shards. A shard keeps the pairs of its rows and the targets within the radius, and its best row; the
pick's own shard gives the ball, and all shards lower their counts. Where there are too many pairs, the radius is
lowered: by exact counts of all pairs at each distance, so that neither the number of shards nor the order in which
pairs are found matters. Targets that are the rows themselves halve the work; there is one shard then, in this process.

Letters: M targets.
Source: Yehuda, Dekel, Hacohen & Weinshall 2022, "Active learning through a covering lens" (ProbCover), Alg. 1.
Cost: 2 N M D flops, half of that if the targets are the rows; each pair of a row and a target in its ball is looked at
once. Memory: O(N + M D) beside the rows, of which a block is read at a time if they lie in a file, and 10 bytes a pair
(16 while pairs are found). A shard holds 1.25 * 2^24 pairs at most, and all shards together keep at most 2^24.
"""

from __future__ import annotations

from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from scipy import sparse

from alcli.arrays import Array, Floats, Int64
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import Spread, workers
from alcli.numerics.diversity.kcenter import nearest_centre
from alcli.numerics.diversity.near_pairs import Nearness, PairLists, Tiles
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows, feature_rows
from alcli.numerics.teams import Here, Part, Team, current_engine
from alcli.remarks import steps, working

MOST_PAIRS = 1 << 24
# Steps in which the radius is lowered, even in its square.
_BINS = 1 << 16


@dataclass(frozen=True)
class BallCover:
    """The picks of a cover, the number of targets that each covered first, int64, and the radius of the balls."""

    picks: Int64
    counts: Int64
    radius: float


def ball_cover(X_ND: BlockArray, k: int, targets_MD: BlockArray, centres_LD: Floats, radius: float) -> BallCover:
    """Pick at most k rows, fewer once no row covers another target. Ties go to the lowest row.

    targets_MD: X_ND itself (the same object, which halves the work, and is read whole) or other rows of its dtype, in
    memory. centres_LD: rows whose balls are covered before. radius: lowered where there would be too many pairs.
    """
    are_targets, T_MD = targets_MD is X_ND, targets_MD[0 : len(targets_MD)]
    rows, nearness = Rows(Factor(T_MD if are_targets else X_ND, exponent=0)), Nearness(T_MD)
    asked = float(nearness.dtype.type(-(radius**2)))

    def part(first: int, last: int) -> Part:
        return Part(BallShard, (first, rows.cut(first, last), nearness, asked, are_targets, MOST_PAIRS))

    with (Here() if are_targets else current_engine()).team(rows.n, part) as team:
        with working("finding balls"):
            limit = _limit(team, asked, T_MD.dtype, team.tell("find"))
        radius = radius if limit == asked else float(np.sqrt(max(-limit, 0.0)))
        left_M = ~are_within(T_MD, centres_LD, radius)
        # A copy: what was told may be told again, to a shard in the place of one that was lost.
        bests = team.tell("begin", limit, left_M.copy())
        picks, counts = list[int](), list[int]()
        for t in steps(range(k), "picking", k):
            best = min(bests, key=lambda best: (-best.count, best.row))
            if best.count <= 0:
                break
            picks.append(best.row)
            counts.append(best.count)
            new = best.ball[left_M[best.ball]]
            left_M[new] = False
            if t + 1 < k:
                bests = team.tell("cover", new)
    return BallCover(np.array(picks, np.int64), np.array(counts, np.int64), radius)


@dataclass(frozen=True)
class Ball:
    """A row, the number of targets in its ball that are not covered, and the targets in its ball."""

    row: int
    count: int
    ball: Array


class BallShard:
    """Rows of a shard, and their pairs with targets that are nearer than a limit.

    asked: the limit that was asked for, as a nearness. are_targets: the rows are the targets, and there is no other
    shard. most: the largest number of pairs of all shards.
    """

    def __init__(
        self, spread: Spread, first: int, rows: Rows, nearness: Nearness, asked: float, are_targets: bool, most: int
    ) -> None:
        rows.measure(spread)
        self._spread, self._first, self._most = spread, first, most
        self._tiles = Tiles(rows.factors[0].F_ND, rows.sq_norms, nearness, are_targets)
        self._lists, self._lock = PairLists(rows.n), Lock()
        self._asked = self._limit = asked
        self._counts_N = np.empty(0, np.int64)

    def find(self) -> tuple[int, float]:
        """Find the pairs that are nearer than the limit asked for.

        As soon as there are more than `most` pairs in this shard alone, the limit of all shards will be nearer. So the
        farthest pairs are dropped as they would be then. Returns the number of pairs, and the limit of this shard.
        """
        enough, dtype = self._most + self._most // 4, self._tiles.nearness.dtype

        def see(a: int, c: int, near_BC: Floats, both: bool) -> None:
            self._lists.add(a, c, near_BC, self._limit)
            if both:
                self._lists.add_mirrored(a, c, near_BC, self._limit)
            if len(self._lists) > enough:
                with self._lock:
                    if len(self._lists) > enough:
                        self._limit = fitting(self.histogram(), self._asked, self._limit, self._most, dtype)
                        self._lists.keep_nearer(self._limit)

        self._tiles.see_all(self._spread, see, "blocks of rows")
        return len(self._lists), self._limit

    def histogram(self) -> Int64:
        """The number of pairs in each of `_BINS` even steps of nearness, from the limit asked for to 0."""
        counts = np.zeros(_BINS, np.int64)
        for near in self._lists.nearness():
            counts += np.histogram(np.minimum(near, 0.0, dtype=np.float64), _BINS, (self._asked, 0.0))[0]
        return counts

    def begin(self, limit: float, left_M: Array) -> Ball:
        """Drop the pairs that are not nearer than the limit of all shards. Returns what `best` does.

        left_M: targets that are not covered.
        """
        if limit > self._asked:
            self._lists.keep_nearer(limit)
        N, M = self._tiles.n, len(left_M)
        blocks = [(np.diff(starts), targets) for starts, targets, _ in self._lists.by_row()]
        counts, targets = (np.concatenate(parts) for parts in zip(*blocks))
        pairs = np.ones(len(targets), np.int8), targets, np.append(0, np.cumsum(counts))
        self._within_NM = sparse.csr_array(pairs, shape=(N, M))
        self._rows_of = self._within_NM.tocsc()
        self._counts_N = self._within_NM @ left_M.astype(np.int64)
        return self.best()

    def cover(self, targets: Int64) -> Ball:
        """Take some targets for covered. Returns what `best` does."""
        losers = [self._rows_of.indices[self._rows_of.indptr[i] : self._rows_of.indptr[i + 1]] for i in targets]
        self._counts_N -= np.bincount(np.concatenate(losers), minlength=len(self._counts_N))
        return self.best()

    def best(self) -> Ball:
        """The row whose ball holds most targets that are not covered; the lowest of equals."""
        place = int(self._counts_N.argmax())
        within = self._within_NM
        ball = within.indices[within.indptr[place] : within.indptr[place + 1]]
        return Ball(place + self._first, int(self._counts_N[place]), ball.copy())


def fitting(counts: Int64, asked: float, limit: float, most: int, dtype: np.dtype[Any]) -> float:
    """The lowest limit, at a step and not below `limit`, that at most `most` pairs are nearer than; inf for none.

    counts: as `histogram` gives them, whole above `limit`. A pair is kept where its nearness is above the limit.
    """
    steps_up = np.histogram(np.empty(0), _BINS, (asked, 0.0))[1][:-1]
    limits = steps_up.astype(dtype)
    limits = np.where(limits >= steps_up, np.nextafter(limits, -np.inf, dtype=dtype), limits)
    fits = (np.cumsum(counts[::-1])[::-1] <= most) & (limits >= limit)
    return float(limits[fits.argmax()]) if fits.any() else np.inf


def are_within(targets_MD: BlockArray, centres_LD: Floats, radius: float) -> Array:
    """True where a target lies nearer than the radius to any of the centres, [M]."""
    if not len(centres_LD):
        return np.zeros(len(targets_MD), bool)
    targets, centres = feature_rows(targets_MD, centres_LD)
    with workers() as spread:
        return np.sqrt(nearest_centre(targets, centres, spread)) * targets.scale < radius


def _limit(team: Team, asked: float, dtype: np.dtype[Any], found: list[tuple[int, float]]) -> float:
    """The limit for the pairs of all shards. found: the number of pairs of each shard, and its own limit."""
    limit = max(own for _, own in found)
    if limit == asked and sum(n for n, _ in found) <= MOST_PAIRS:
        return asked
    return fitting(np.sum(team.ask("histogram"), axis=0), asked, limit, MOST_PAIRS, dtype)
