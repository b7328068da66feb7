"""Greedy cover by balls: each pick is the row whose ball, of a fixed radius, holds most targets not yet covered.

The rows lie in shards. A shard keeps the pairs of its rows and the targets within the radius, and its best row; the
pick's own shard gives the ball, and all shards lower their counts. Where there are too many pairs, the radius is
lowered: by exact counts of all pairs at each distance, so that neither the number of shards nor the order in which
pairs are found matters. Targets that are the rows themselves halve the work; there is one shard then, in this process.

Letters: M targets.
Source: Yehuda, Dekel, Hacohen & Weinshall 2022, "Active learning through a covering lens" (ProbCover), Alg. 1.
Cost: 2 N M D flops, half of that if the targets are the rows; each pair of a row and a target in its ball is looked at
once. Memory: O(N + M D) beside the rows, of which a block is read at a time if they lie in a file, and 10 bytes a pair
(16 while pairs are found). A shard finds up to 1.25 * 2^24 pairs; all shards together keep at most 2^24.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from threading import Lock
from typing import Any

import numpy as np
from scipy import sparse

from alcli.arrays import Array, Floats, Int64
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.diversity.kcenter import nearest_centre
from alcli.numerics.diversity.near_pairs import Nearness, PairLists, Tiles
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows, feature_rows
from alcli.numerics.teams import Blueprint, Here, current_engine
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
    limits = Limits(float(nearness.dtype.type(-(radius**2))), nearness.dtype, MOST_PAIRS)

    def part(first: int, last: int) -> Blueprint:
        return Blueprint(BallShard, (first, rows.cut(first, last), nearness, limits, are_targets))

    with (Here() if are_targets else current_engine()).team(rows.n, part) as team:
        with working("finding balls"):
            found = team.tell("find")
            step = max(own for _, own in found)
            if step or sum(n for n, _ in found) > MOST_PAIRS:
                step = limits.fitting(np.sum(team.ask("histogram"), axis=0), step)
                radius = math.sqrt(max(-limits.at(step), 0.0))
        left_M = ~are_within(T_MD, centres_LD, radius)
        # A copy: what was told may be told again, to a shard in the place of one that was lost.
        bests = team.tell("begin", step, left_M.copy())
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
class Limits:
    """The limits of nearness that pairs may have to be above: `_BINS` even steps from the one asked for up to 0.

    asked: a value of dtype. most: the largest number of pairs that fit.
    """

    asked: float
    dtype: np.dtype[Any]
    most: int

    def steps(self, near: Floats) -> Array:
        """The step that each nearness has reached, int32; it never falls as the nearness rises."""
        scale = _BINS / -self.asked if -self.asked > _BINS * np.finfo(self.dtype).tiny else 0.0
        return np.minimum(((np.minimum(near, 0.0) - self.asked) * scale).astype(np.int32), _BINS - 1)

    def at(self, step: int) -> float:
        """The limit that a nearness is above if it has reached a step; inf above the last step."""
        if step == 0 or step >= _BINS:
            return self.asked if step == 0 else np.inf
        near = np.array([self.asked * (1.0 - step / _BINS)], self.dtype)
        while self.steps(near)[0] >= step:
            near = np.nextafter(near, -np.inf, dtype=self.dtype)
        while self.steps(above := np.nextafter(near, np.inf, dtype=self.dtype))[0] < step:
            near = above
        return float(near[0])

    def counts(self, lists: PairLists) -> Int64:
        """The number of pairs at each step, [_BINS]."""
        return sum(
            (np.bincount(self.steps(near), minlength=_BINS) for near in lists.nearness()), np.zeros(_BINS, np.int64)
        )

    def fitting(self, counts: Int64, step: int) -> int:
        """The lowest step, from `step` on, that no more than `most` pairs have reached.

        counts: of the pairs at each step; those below `step` need not be whole.
        """
        return step + int((np.append(np.cumsum(counts[::-1])[::-1], 0)[step:] <= self.most).argmax())


@dataclass(frozen=True)
class Ball:
    """A row, the number of targets in its ball that are not covered, and the targets in its ball."""

    row: int
    count: int
    ball: Array


class BallShard:
    """Rows of a shard, and their pairs with targets that are nearer than a limit.

    are_targets: the rows are the targets, and there is no other shard.
    """

    def __init__(
        self, spread: Spread, first: int, rows: Rows, nearness: Nearness, limits: Limits, are_targets: bool
    ) -> None:
        rows.measure(spread)
        self._spread, self._first, self._limits, self._step = spread, first, limits, 0
        self._tiles = Tiles(rows.factors[0].F_ND, rows.sq_norms, nearness, are_targets)
        self._lists, self._lock = PairLists(rows.n), Lock()
        self._counts_N = np.empty(0, np.int64)

    def find(self) -> tuple[int, int]:
        """Find the pairs that are nearer than the limit asked for.

        As soon as there are too many pairs in this shard alone, the limit of all shards will be nearer. So the farthest
        pairs are dropped, as they would be then. Returns the number of pairs, and the step at the limit of this shard.
        """
        limit, enough = self._limits.asked, self._limits.most + self._limits.most // 4

        def see(a: int, c: int, near_BC: Floats, both: bool) -> None:
            nonlocal limit
            self._lists.add(a, c, near_BC, limit)
            if both:
                self._lists.add_mirrored(a, c, near_BC, limit)
            if len(self._lists) > enough:
                with self._lock:
                    if len(self._lists) > enough:
                        self._step = self._limits.fitting(self.histogram(), self._step)
                        limit = self._limits.at(self._step)
                        self._lists.keep_nearer(limit)

        self._tiles.see_all(self._spread, see, "blocks of rows")
        return len(self._lists), self._step

    def histogram(self) -> Int64:
        """The number of pairs at each step of nearness."""
        return self._limits.counts(self._lists)

    def begin(self, step: int, left_M: Array) -> Ball:
        """Drop the pairs that have not reached the step of all shards. Returns what `best` does.

        left_M: targets that are not covered.
        """
        if step:
            self._lists.keep_nearer(self._limits.at(step))
        N, targets = self._tiles.n, np.empty(len(self._lists), np.int32)
        starts_N, self._counts_N = np.zeros(N + 1, np.int64), np.empty(N, np.int64)
        for b, (starts, targets_of_block, _) in enumerate(self._lists.by_row()):
            a, n = b * BLOCK_ROWS, len(starts) - 1
            starts_N[a + 1 : a + n + 1] = starts_N[a] + starts[1:]
            targets[starts_N[a] : starts_N[a + n]] = targets_of_block
            owners = np.repeat(np.arange(n), np.diff(starts))
            self._counts_N[a : a + n] = np.bincount(owners[left_M[targets_of_block]], minlength=n)
        pairs = np.ones(len(targets), np.int8), targets, starts_N
        self._within_NM = sparse.csr_array(pairs, shape=(N, len(left_M)))
        self._rows_of = self._within_NM.tocsc()
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


def are_within(targets_MD: BlockArray, centres_LD: Floats, radius: float) -> Array:
    """True where a target lies nearer than the radius to any of the centres, [M]."""
    if not len(centres_LD):
        return np.zeros(len(targets_MD), bool)
    targets, centres = feature_rows(targets_MD, centres_LD)
    with workers() as spread:
        return np.sqrt(nearest_centre(targets, centres, spread)) * targets.scale < radius
