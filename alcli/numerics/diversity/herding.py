"""Kernel herding by coverage: each pick raises most the mean over targets of the kernel with their nearest pick.

The kernel is k(x, y) = exp(-|x - y|^2 / h^2), and m_i is the largest kernel of target i with a centre or a pick.
The gain of a row j is mean_i w_i max(k_ij - m_i, 0). The sum of the gains is a facility-location function, monotone
and submodular. Therefore an earlier gain of a row is an upper bound on its present gain, and a row whose bound is
below the best gain found need not be evaluated (lazy greedy search).

The rows lie in shards (`coverage_shard.py`). While many pairs can gain, usually because there are few centres, the
shards lower the bounds of all rows after each pick: the targets that the pick covers better tell how far every gain has
fallen at least. The rows of the largest bounds of all shards are evaluated here. As soon as few pairs can gain, the
shards keep them, no kernel is computed any more, and each shard finds its own best row. No pick and no gain depends on
the number of shards. Targets that are the rows themselves halve the work; there is one shard then, in this process.

Letters: M targets.
Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active learning" (MaxHerding); lazy
greedy search by Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions".
Cost: 2 N M D flops for the gains at the start, half of that if the targets are the rows (products in the dtype of
the rows, float64 sums), and an exponential for each pair that gains. While the pairs do not fit, 2 N T D flops a
pick for the T targets that it covers better: after n picks and centres about one target in n + 1. So M = 5,000
targets and 50,000 rows take about three passes more, and one pass to keep the pairs. Memory: O(N + M D) beside the
rows, of which a block is read at a time if they lie in a file; N^2 / 512 bytes and all rows if the targets are the
rows; and at most 2^23 pairs of 8 bytes (16 while they are found).
"""

from __future__ import annotations

import math
from functools import partial

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.diversity.coverage import KEPT, Coverage
from alcli.numerics.diversity.coverage_shard import Candidate, CoverageShard
from alcli.numerics.diversity.near_pairs import Nearness
from alcli.numerics.diversity.shard_rows import copies
from alcli.numerics.diversity.two_rounds import chosen_from
from alcli.numerics.factors import Factor
from alcli.numerics.lazy_best import ROUND
from alcli.numerics.rows import Rows
from alcli.numerics.teams import Blueprint, Here, Team, current_engine
from alcli.remarks import steps, working

# If more than one pair in 16 gains, all kernels of a tile are computed.
_DENSE = 16
# Bounds are lowered once so many targets are covered better, or one for each 20,000 rows where that is less, as a pass
# over all rows costs more than a product. They are lowered at once after a pick for which many rows were evaluated.
_MOST_RISEN, _ROWS_A_TARGET, _FEW_ROUNDS = 256, 20_000, 4


def columns_of_herding(n_targets: int, n_centres: int, k: int) -> float:
    """The number of targets that all rows are multiplied by to pick k rows, as far as it can be known before.

    After n picks and centres about one target in n + 1 is covered better by the next.
    """
    return n_targets * (1.0 + math.log((n_centres + k) / max(n_centres, 1)))


def herd_from(
    X_ND: BlockArray,
    k: int,
    targets_MD: BlockArray,
    centres_LD: Floats,
    bandwidth: float,
    weights_M: Float64 | None = None,
) -> tuple[Int64, Float64, tuple[str, ...]]:
    """Pick k rows as `max_herding` does, in two rounds where the user asked for that, and a note on it."""
    choose = partial(_herded, k=k, targets_MD=targets_MD, centres_LD=centres_LD, h=bandwidth, weights_M=weights_M)
    return (*choose(X_ND), ()) if targets_MD is X_ND else chosen_from(X_ND, choose)


def _herded(
    X_ND: BlockArray, k: int, targets_MD: BlockArray, centres_LD: Floats, h: float, weights_M: Float64 | None
) -> tuple[Int64, Float64]:
    k = min(k, len(X_ND))
    return max_herding(X_ND, k, targets_MD, centres_LD, bandwidth=h, weights_M=weights_M)


def max_herding(
    X_ND: BlockArray,
    k: int,
    targets_MD: BlockArray,
    centres_LD: Floats,
    *,
    bandwidth: float = 1.0,
    weights_M: Float64 | None = None,
) -> tuple[Int64, Float64]:
    """Pick k <= N rows of X_ND one by one, each of the largest gain.

    Gains are compared as float32; ties go to the lowest row.
    targets_MD: X_ND itself (the same object, which halves the work, and is read whole) or other rows of the same dtype,
    in memory. centres_LD: rows that cover the targets already. bandwidth: h. weights_M: weights of the targets, by
    default 1. Returns picks int64 [k] and their gains float64 [k], which never rise. Once no row gains anything, the
    remaining picks are the lowest free rows, with gain 0.
    """
    picks, gains, are_targets = np.empty(k, np.int64), np.zeros(k), targets_MD is X_ND
    T_MD = targets_MD[0 : len(targets_MD)]
    rows = Rows(Factor(T_MD if are_targets else X_ND, exponent=0))
    with workers() as spread:
        coverage = Coverage(Nearness(T_MD, bandwidth**-2), weights_M)
        coverage.cover_by(centres_LD, spread)
        start = coverage.copy()

        def part(first: int, last: int) -> Blueprint:
            return Blueprint(CoverageShard, (first, rows.cut(first, last), start, are_targets))

        with (Here() if are_targets else current_engine()).team(rows.n, part) as team:
            found = _Greedy(team, coverage, spread, rows.n, len(centres_LD))
            for t in steps(range(k), "picking", k):
                best = found.best()
                if np.float32(best.gain) <= 0.0:
                    picks[t:] = np.setdiff1d(np.arange(k), picks[:t])[: k - t]
                    break
                picks[t], gains[t] = best.row, best.gain
                if t + 1 < k:
                    found.cover(best)
    return picks, np.minimum.accumulate(gains)


class _Greedy:
    """The rows of the largest gain of all shards, one after another."""

    def __init__(self, team: Team, coverage: Coverage, spread: Spread, n: int, n_centres: int) -> None:
        self._team, self._coverage, self._spread, self._n = team, coverage, spread, n
        self._n_covering, self._next_look = n_centres, 1.5 * n_centres
        # Targets that are covered better than the bounds know.
        self._n_risen = 0
        # The best row of each shard, once the pairs of all rows are kept.
        self._bests: list[Candidate] = []
        # Until then, the largest bounds of each shard, the gains that the shards do not know, and the pairs of rows
        # that were evaluated lately.
        self._tops: list[tuple[Int64, Float64]] = []
        self._rows, self._gains = np.empty(0, np.int64), np.empty(0)
        self._pairs: dict[int, tuple[Array, Floats]] = {}
        self._n_pairs = 0
        team.tell("leave_out", copies(np.concatenate(team.ask("keys"))))
        with working("measuring coverage"):
            share = self._share(team.ask("count"))
            if self._fits(share):
                self._bests = team.tell("keep")
            else:
                self._tops = team.tell("measure", share * _DENSE < 1)

    def best(self) -> Candidate:
        """The row of the largest gain as float32; the lowest of equals."""
        if self._bests:
            return min(self._bests, key=lambda best: (-np.float32(best.gain), best.row))
        self._rows, self._gains = np.empty(0, np.int64), np.empty(0)
        best, value = Candidate(self._n, -1.0, *_NO_PAIRS), np.float32(-1.0)
        while True:
            rows, bounds = _first(self._tops)
            values = bounds.astype(np.float32)
            is_ahead = (values > value) | ((values == value) & (rows < best.row))
            if not is_ahead.any():
                return best
            some = np.flatnonzero(is_ahead[:ROUND])
            best, value = self._evaluated(best, rows[some], bounds[some])
            if len(rows) <= ROUND or (-value, best.row) < (-values[ROUND], rows[ROUND]):
                return best
            self._tops = self._team.tell("lower", self._rows, self._gains)

    def cover(self, pick: Candidate) -> None:
        """Cover the targets with a pick."""
        self._n_covering += 1
        if self._bests:
            self._bests = self._team.tell("cover_and_find", pick)
            return
        self._n_risen += len(self._coverage.cover(pick.targets, pick.kernels)[0])
        if self._n_covering < self._next_look:
            few = min(_MOST_RISEN, self._n // _ROWS_A_TARGET)
            waits = self._n_risen < few and len(self._rows) <= _FEW_ROUNDS * ROUND
            call = "cover_alone" if waits else "cover_and_fall"
            self._n_risen = self._n_risen if waits else 0
            self._tops = self._team.tell(call, pick, self._rows, self._gains)
            return
        # So seldom that the looks cost little.
        self._next_look = 1.5 * self._n_covering
        if self._fits(self._share(self._team.tell("cover_and_count", pick, self._rows, self._gains))):
            self._bests = self._team.tell("keep")
            self._pairs.clear()
        else:
            self._n_risen = 0
            self._tops = self._team.tell("fall")

    def _share(self, counts: list[int]) -> float:
        """The fraction of the pairs of a sample that gain; counts: of each shard."""
        return sum(counts) / (self._n * len(self._coverage.nearness.sample()))

    def _fits(self, share: float) -> bool:
        """True if so few pairs gain that the pairs of all rows can be kept."""
        return share * self._n * len(self._coverage.nearness) <= KEPT

    def _evaluated(self, best: Candidate, rows_B: Int64, bounds_B: Float64) -> tuple[Candidate, np.float32]:
        """Compute the gains of at most ROUND rows. Returns the best row so far, and its gain as float32."""
        self._find(rows_B)
        pairs = [self._pairs[row] for row in rows_B.tolist()]
        gains_B = np.minimum(bounds_B, self._coverage.gains_of(pairs))
        self._rows, self._gains = np.append(self._rows, rows_B), np.append(self._gains, gains_B)
        place = int(np.lexsort((rows_B, -gains_B.astype(np.float32)))[0])
        new = Candidate(int(rows_B[place]), float(gains_B[place]), *pairs[place])
        best = min(best, new, key=lambda one: (-np.float32(one.gain), one.row))
        while self._n_pairs > KEPT:
            self._n_pairs -= len(self._pairs.pop(next(iter(self._pairs)))[0])
        return best, np.float32(best.gain)

    def _find(self, rows_B: Int64) -> None:
        """Find the pairs of rows where they are not known."""
        new = np.array([row for row in rows_B.tolist() if row not in self._pairs], np.int64)
        if not len(new):
            return
        X_BD = np.empty((len(new), self._coverage.nearness.targets_MD.shape[1]), self._coverage.nearness.dtype)
        for places, vectors in self._team.ask("vectors", new):
            X_BD[places] = vectors
        for row, found in zip(new.tolist(), self._coverage.pairs(X_BD, self._spread)):
            self._pairs[row] = found
            self._n_pairs += len(found[0])


_NO_PAIRS = np.empty(0, np.int32), np.empty(0, np.float32)


def _first(tops: list[tuple[Int64, Float64]]) -> tuple[Int64, Float64]:
    """The rows of the ROUND + 1 largest bounds as float32, the lowest of equals first, and the bounds."""
    rows, bounds = (np.concatenate(parts) for parts in zip(*tops))
    order = np.lexsort((rows, -bounds.astype(np.float32)))[: ROUND + 1]
    return rows[order], bounds[order]


def smallest_distance(X_LD: Array) -> float:
    """Compute the smallest distance above 0 between two rows; inf if all rows are equal. Cost: L^2 D flops, float64."""
    X_LD = np.unique(X_LD.astype(np.float64), axis=0)
    sq_L, least = np.square(X_LD).sum(axis=1), np.inf
    for a in range(0, len(X_LD), BLOCK_ROWS):
        sq_BL = sq_L[a : a + BLOCK_ROWS, None] + sq_L[a:] - 2.0 * (X_LD[a : a + BLOCK_ROWS] @ X_LD[a:].T)
        sq_BL[np.arange(len(sq_BL)), np.arange(len(sq_BL))] = np.inf
        sq_BL[sq_BL <= 0.0] = np.inf
        least = min(least, float(sq_BL.min(initial=np.inf)))
    return float(least**0.5)
