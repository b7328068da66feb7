"""Kernel herding by coverage: each pick adds most to the sum over targets of the kernel with their nearest pick.

The kernel is k(x, y) = exp(-|x - y|^2 / h^2). With m_i the largest kernel of target i with a centre or a pick, a row j gains
mean_i w_i max(k_ij - m_i, 0): facility location, monotone and submodular, so a gain computed earlier bounds the gain now, and rows
whose bound is below the best gain found need not be looked at. Nor need pairs with k_ij <= m_i ever again, since m_i only rises: after n picks
and centres about one pair in n + 1 is left, so the pairs of all rows are kept as soon as they fit, and from then on no kernel is computed.
Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active learning" (MaxHerding); lazy greedy
search by Minoux 1978, "Accelerated greedy algorithms for maximizing submodular set functions".
Cost: 2 N M D flops for the gains by M targets at the start, half of that where the targets are the rows (products float32 or as the rows are,
sums float64), and an exponential for each pair that gains. Where the pairs do not fit, as for want of centres, what a pick takes from the
gains of all rows follows from the targets that it covers better, which keeps the bounds tight: after n picks and centres about one target in
n + 1, so M = 5,000 and 50,000 rows need some three passes more, and one to keep the pairs. Memory: O(N + M), N^2 / 512 bytes where the
targets are the rows, and at most 2^23 pairs of 8 bytes (16 while they are found).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.diversity.near_pairs import CHUNK, Nearness, PairLists
from alcli.numerics.lazy_best import ROUND
from alcli.numerics.rows import Factor, Rows

KEPT = 1 << 23  # pairs that are kept
_DENSE = 16  # where more than one pair in so many gains, all kernels of a tile are computed
_NOISE = 64  # times the rounding of the rows' type: more than kernels can differ by from one tile to another


def max_herding(
    X_ND: Floats, k: int, targets_MD: Floats, centres_LD: Floats, *, bandwidth: float = 1.0, weights_M: Float64 | None = None
) -> tuple[Int64, Float64]:
    """Pick k <= N rows of X_ND one by one, each of the largest gain (as float32; the lowest of equals).

    targets_MD: X_ND itself (the same object, which halves the work) or other rows of its type. centres_LD: rows that cover already.
    weights_M: of the targets, 1 without. Returns picks int64 [k] and their gains, which never rise.
    Once no row gains anything, the lowest that are left follow with gain 0.
    """
    picks, gains = np.empty(k, np.int64), np.zeros(k)
    with workers() as spread:
        coverage = _Coverage(X_ND, targets_MD, weights_M, bandwidth, spread)
        coverage.add_all(centres_LD)
        bounds_N = coverage.all_gains()
        bounds_N[_copies(X_ND)] = 0.0  # once the first of equal rows is picked, the others gain nothing
        for t in range(k):
            if bounds_N.max() <= 0.0:
                picks[t:] = np.flatnonzero(bounds_N == 0.0)[: k - t]
                break
            picks[t] = _best(bounds_N, coverage)
            gains[t] = bounds_N[picks[t]]
            risen = coverage.add(picks[t])
            bounds_N[picks[t]] = -np.inf
            if coverage.keeps_all:
                continue
            if coverage.can_keep_all():
                np.minimum(bounds_N, coverage.all_gains(), out=bounds_N)
            elif t + 1 < k:
                np.maximum(bounds_N - coverage.falls(*risen), 0.0, out=bounds_N, where=bounds_N > 0.0)
    return picks, np.minimum.accumulate(gains)


def _best(bounds_N: Float64, coverage: _Coverage) -> int:
    """The row of largest gain. bounds_N: no gain is larger; the largest are replaced by gains, until the largest of all is one."""
    is_bound_N, found = np.ones(len(bounds_N), bool), np.float32(-1.0)
    while True:
        values_N = bounds_N.astype(np.float32)
        first = int(values_N.argmax())
        if not is_bound_N[first]:
            return first
        largest_N = np.where(is_bound_N, values_N, np.float32(-np.inf))
        rows = np.union1d(np.argpartition(-largest_N, min(ROUND, len(largest_N)) - 1)[:ROUND], first)
        rows = rows[largest_N[rows] >= found]
        bounds_N[rows] = np.minimum(bounds_N[rows], coverage.gains(rows))
        is_bound_N[rows] = False
        found = max(found, np.float32(bounds_N[rows].max()))


def _copies(X_ND: Floats) -> Int64:
    """Rows that equal an earlier one."""
    _, first = np.unique(Rows(Factor(X_ND)).marks, return_index=True)
    return np.setdiff1d(np.arange(len(X_ND)), first)


class _Coverage:
    """Targets, how well each is covered, and what rows would add. Pairs of rows and targets that gain are kept: of all rows, or of those
    that were looked at lately."""

    def __init__(self, X_ND: Floats, targets_MD: Floats, weights_M: Float64 | None, bandwidth: float, spread: Spread) -> None:
        self._near, self._spread = Nearness(X_ND, targets_MD, bandwidth**-2), spread
        self._n, self._type = len(X_ND), X_ND.dtype
        self._weights_M = np.ones(len(targets_MD)) if weights_M is None else weights_M
        self._covered_M = np.zeros(len(targets_MD))  # values of the type of the rows
        self._of_all: list[tuple[Int64, Array, Floats]] = []
        self._of_row: dict[int, tuple[Array, Floats]] = {}
        self._n_kept, self._n_covering, self._next_try = 0, 0, 0.0

    def add_all(self, centres_LD: Floats) -> None:
        """Cover the targets with centres that are no rows."""
        self._n_covering = len(centres_LD)
        if not len(centres_LD):
            return

        def work(first: int, last: int) -> None:
            for c in range(first, last, CHUNK):
                part = slice(c, min(c + CHUNK, last))
                np.maximum(self._covered_M[part], _kernels(self._near.nearest(centres_LD, part)), out=self._covered_M[part])

        self._spread(len(self._covered_M), work)

    def add(self, row: int) -> tuple[Int64, Float64]:
        """Cover the targets with a row. Returns those that are covered better than before, and how well they were."""
        ((targets, kernels),) = self._lists(np.array([row]))
        before, self._n_covering = self._covered_M[targets], self._n_covering + 1
        self._covered_M[targets] = np.maximum(before, kernels)
        has_risen = (kernels > before) & (self._weights_M[targets] > 0.0)
        return targets[has_risen].astype(np.int64), before[has_risen]

    def gains(self, rows_B: Int64) -> Float64:
        """What a few rows would add."""
        lists = self._lists(rows_B)
        owners, targets = np.repeat(np.arange(len(lists)), [len(t) for t, _ in lists]), np.concatenate([t for t, _ in lists])
        added = np.maximum(np.concatenate([kernels for _, kernels in lists]) - self._covered_M[targets], 0.0)
        added *= self._weights_M[targets]
        return np.bincount(owners, added, len(rows_B)) / len(self._covered_M)

    @property
    def keeps_all(self) -> bool:
        """Whether the pairs of all rows are kept, so that gains cost next to nothing."""
        return bool(self._of_all)

    def can_keep_all(self) -> bool:
        """Whether pairs that gain are now few enough for that; looked at each time that half as many rows again cover the targets."""
        if self._n_covering < self._next_try:
            return False
        self._next_try = 1.5 * self._n_covering
        return self._share_that_gains(self._limits()) * self._n * len(self._covered_M) <= KEPT

    def falls(self, targets_T: Int64, before_T: Float64) -> Float64:
        """At least how much the gains of all rows have fallen, float64 [N], since these targets were covered like this: 2 N T D flops."""
        falls_N, after_T = np.zeros(self._n), self._covered_M[targets_T]
        share_T = self._weights_M[targets_T] / len(self._covered_M)
        low_T, height_T, weights_T = (values_T.astype(self._type) for values_T in (before_T, after_T - before_T, share_T))

        def work(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                rows = slice(a, min(a + BLOCK_ROWS, last))
                for c in range(0, len(targets_T), CHUNK):
                    part = slice(c, c + CHUNK)
                    fell_BC = _kernels(self._near.between(rows, targets_T[part]))
                    fell_BC -= low_T[part]
                    np.minimum(np.maximum(fell_BC, 0.0, out=fell_BC), height_T[part], out=fell_BC)
                    falls_N[rows] += fell_BC @ weights_T[part]

        self._spread(self._n, work)
        return falls_N - _NOISE * self._near.noise * share_T.sum()

    def all_gains(self) -> Float64:
        """What every row would add, float64 [N]. The pairs of all are kept where they are few enough."""
        limits_M = self._limits()
        share = self._share_that_gains(limits_M)
        if share * self._n * len(limits_M) > KEPT:
            return self._sums(limits_M if share * _DENSE < 1 else None) / len(limits_M)
        lists = PairLists(self._n)
        self._of_row.clear()

        def see(a: int, c: int, near_BC: Floats, both: bool) -> None:
            lists.add(a, c, near_BC, limits_M[c : c + near_BC.shape[1]])
            if both:
                lists.add_mirrored(a, c, near_BC, limits_M[a : a + near_BC.shape[0]])

        self._near.see_all(0, self._n, self._spread, see)
        self._of_all = [(starts, targets, _kernels(near)) for starts, targets, near in lists.by_row()]
        return np.concatenate([self.gains(np.arange(a, min(a + BLOCK_ROWS, self._n))) for a in range(0, self._n, BLOCK_ROWS)])

    def _sums(self, limits_M: Floats | None) -> Float64:
        """Sums over the targets of what every row would add, float64 [N]: of pairs above the limits, or of all. Each place has one writer."""
        n_blocks = -(-self._n // BLOCK_ROWS)
        sums_N, mirrored_DN = np.zeros(self._n), np.zeros((n_blocks // 2 + 1, self._n if self._near.are_rows else 0))
        added = self._added if limits_M is None else partial(self._few_added, limits_M=limits_M)

        def see(a: int, c: int, near_BC: Floats, both: bool) -> None:
            B, C = (slice(first, first + n) for first, n in zip((a, c), near_BC.shape))
            if limits_M is None:
                _kernels(near_BC)
            if both:
                mirrored_DN[(c // BLOCK_ROWS - a // BLOCK_ROWS) % n_blocks, C] = added(near_BC, (B, None), 0)
            sums_N[B] += added(near_BC, C, 1)

        self._near.see_all(0, self._n, self._spread, see)
        return sums_N + mirrored_DN.sum(axis=0) if self._near.are_rows else sums_N

    def _added(self, kernels_BC: Floats, targets: Any, axis: int) -> Float64:
        """Sums over the targets of a tile, which lie along an axis, of what its other axis would add."""
        added_BC = kernels_BC - self._covered_M[targets].astype(self._type)
        np.maximum(added_BC, 0.0, out=added_BC)
        added_BC *= self._weights_M[targets].astype(self._type)
        return added_BC.sum(axis=axis, dtype=np.float64)

    def _few_added(self, near_BC: Floats, targets: Any, axis: int, limits_M: Floats) -> Float64:
        """The same from the nearness, of the pairs above the limits."""
        places = np.flatnonzero(near_BC > limits_M[targets])
        along = np.divmod(places, near_BC.shape[1])
        few = along[axis]
        added = np.maximum(_kernels(near_BC.ravel()[places]) - self._covered_M[targets].ravel()[few], 0.0)
        added *= self._weights_M[targets].ravel()[few]
        return np.bincount(along[1 - axis], added, near_BC.shape[1 - axis]).astype(np.float64, copy=False)

    def _share_that_gains(self, limits_M: Floats) -> float:
        """The share of pairs that gain, from a sample."""
        some, near_NS = self._near.sampled(self._spread)
        return float((near_NS > limits_M[some]).mean())

    def _limits(self) -> Floats:
        """How near a row must be to add to each target, with room for what rounding hides."""
        with np.errstate(divide="ignore"):
            limits_M = np.log(self._covered_M) - 8 * np.finfo(self._type).eps
        limits_M[self._weights_M == 0.0] = np.inf
        return limits_M.astype(self._type)

    def _lists(self, rows_B: Int64) -> list[tuple[Array, Floats]]:
        """Targets, and kernels with them, of rows; at most a block of them. All pairs that gain are among these."""
        if self._of_all:
            return [self._kept(row) for row in rows_B.tolist()]
        new = np.array([row for row in rows_B.tolist() if row not in self._of_row], np.int64)
        if len(new):
            self._find(new)
        lists = [self._of_row[row] for row in rows_B.tolist()]
        while self._n_kept > KEPT:
            self._n_kept -= len(self._of_row.pop(next(iter(self._of_row)))[0])
        return lists

    def _kept(self, row: int) -> tuple[Array, Floats]:
        starts, targets, kernels = self._of_all[row // BLOCK_ROWS]
        part = slice(starts[row % BLOCK_ROWS], starts[row % BLOCK_ROWS + 1])
        return targets[part], kernels[part]

    def _find(self, rows_B: Int64) -> None:
        """Keep the lists of a few rows."""
        limits_M, lists = self._limits(), PairLists(len(rows_B))

        def work(first: int, last: int) -> None:
            for c in range(first, last, CHUNK):
                part = slice(c, min(c + CHUNK, last))
                lists.add(0, c, self._near.between(rows_B, part), limits_M[part])

        self._spread(len(limits_M), work)
        ((starts, targets, near),) = lists.by_row()
        for row, targets_of_row, near_of_row in zip(rows_B.tolist(), np.split(targets, starts[1:-1]), np.split(near, starts[1:-1])):
            self._of_row[row] = targets_of_row.copy(), _kernels(near_of_row.copy())
        self._n_kept += len(targets)


def _kernels(near: Floats) -> Floats:
    """exp of nearness, in its place."""
    np.minimum(near, 0.0, out=near)
    return np.exp(near, out=near)


def smallest_distance(X_LD: Array) -> float:
    """The smallest distance above 0 between two of the rows; inf where there are not two that differ. Cost: L^2 D flops, float64."""
    X_LD = np.unique(X_LD.astype(np.float64), axis=0)
    sq_L, least = np.square(X_LD).sum(axis=1), np.inf
    for a in range(0, len(X_LD), BLOCK_ROWS):
        sq_BL = sq_L[a : a + BLOCK_ROWS, None] + sq_L[a:] - 2.0 * (X_LD[a : a + BLOCK_ROWS] @ X_LD[a:].T)
        sq_BL[np.arange(len(sq_BL)), np.arange(len(sq_BL))] = np.inf
        sq_BL[sq_BL <= 0.0] = np.inf
        least = min(least, float(sq_BL.min(initial=np.inf)))
    return float(least**0.5)
