"""The coverage of targets by picked rows, and the gains: by how much each other row would raise the coverage.

The kernel is k(x, y) = exp(-|x - y|^2 / h^2), and a target i is covered by m_i, its largest kernel with a centre or
a pick. The gain of row j is mean_i w_i max(k_ij - m_i, 0). Since m_i only rises, a pair with k_ij <= m_i never
matters again: after n picks and centres about one pair in n + 1 still counts. The pairs of all rows are kept as
soon as they fit into memory, and from then on no kernel is computed.

Letters: M targets, T targets that are covered better than before, B and C rows and targets of a tile.
Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active learning" (MaxHerding).
Cost: 2 N M D flops for all gains, half of that if the targets are the rows (products in the dtype of the rows,
float64 sums), and an exponential for each pair that gains. Memory: O(N + M), N^2 / 512 bytes if the targets are the
rows, and at most 2^23 pairs of 8 bytes (16 while they are found).
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.diversity.near_pairs import CHUNK, Nearness, PairLists

# The largest number of pairs that are kept.
KEPT = 1 << 23
# If more than one pair in 16 gains, all kernels of a tile are computed.
_DENSE = 16
# In units of the rounding error of a nearness: an upper bound on how much a kernel differs between two tiles.
_NOISE = 64


class Coverage:
    """The targets, how well each is covered, and the gains of rows.

    The pairs of a row and a target that gain are kept, for all rows or for the rows that were evaluated lately.
    """

    def __init__(
        self, X_ND: Floats, targets_MD: Floats, weights_M: Float64 | None, bandwidth: float, spread: Spread
    ) -> None:
        self._near, self._spread = Nearness(X_ND, targets_MD, bandwidth**-2), spread
        self._n, self._type = len(X_ND), X_ND.dtype
        self._weights_M = np.ones(len(targets_MD)) if weights_M is None else weights_M
        # float64, but every value is one that the dtype of the rows can hold.
        self._covered_M = np.zeros(len(targets_MD))
        self._of_all: list[tuple[Int64, Array, Floats]] = []
        self._of_row: dict[int, tuple[Array, Floats]] = {}
        self._n_kept, self._n_covering, self._next_try = 0, 0, 0.0

    def add_all(self, centres_LD: Floats) -> None:
        """Cover the targets with centres that are not rows."""
        self._n_covering = len(centres_LD)
        if not len(centres_LD):
            return

        def work(first: int, last: int) -> None:
            for c in range(first, last, CHUNK):
                part = slice(c, min(c + CHUNK, last))
                np.maximum(
                    self._covered_M[part], _kernels(self._near.nearest(centres_LD, part)), out=self._covered_M[part]
                )

        self._spread(len(self._covered_M), work)

    def add(self, row: int) -> tuple[Int64, Float64]:
        """Cover the targets with a row.

        Returns the targets of positive weight that are covered better than before, int64, and their earlier coverage.
        """
        ((targets, kernels),) = self._lists(np.array([row]))
        before, self._n_covering = self._covered_M[targets], self._n_covering + 1
        self._covered_M[targets] = np.maximum(before, kernels)
        has_risen = (kernels > before) & (self._weights_M[targets] > 0.0)
        return targets[has_risen].astype(np.int64), before[has_risen]

    def gains(self, rows_B: Int64) -> Float64:
        """Compute the gains of at most a block of rows, float64 [B]."""
        lists = self._lists(rows_B)
        owners = np.repeat(np.arange(len(lists)), [len(t) for t, _ in lists])
        targets = np.concatenate([t for t, _ in lists])
        added = np.maximum(np.concatenate([kernels for _, kernels in lists]) - self._covered_M[targets], 0.0)
        added *= self._weights_M[targets]
        return np.bincount(owners, added, len(rows_B)) / len(self._covered_M)

    @property
    def keeps_all(self) -> bool:
        """True if the pairs of all rows are kept, so that gains cost next to nothing."""
        return bool(self._of_all)

    def can_keep_all(self) -> bool:
        """Return True if so few pairs gain now that the pairs of all rows can be kept.

        The answer is False without a look until there are 1.5 times as many picks and centres as at the last look.
        """
        if self._n_covering < self._next_try:
            return False
        self._next_try = 1.5 * self._n_covering
        return self._share_that_gains(self._limits()) * self._n * len(self._covered_M) <= KEPT

    def falls(self, targets_T: Int64, before_T: Float64) -> Float64:
        """Compute lower bounds on how far the gains of all rows have fallen, float64 [N].

        targets_T, before_T: targets that are covered better now, and their earlier coverage. Cost: 2 N T D flops.
        """
        falls_N, after_T = np.zeros(self._n), self._covered_M[targets_T]
        share_T = self._weights_M[targets_T] / len(self._covered_M)
        low_T, height_T, weights_T = (
            values_T.astype(self._type) for values_T in (before_T, after_T - before_T, share_T)
        )

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
        """Compute the gain of every row, float64 [N], and keep the pairs of all rows if they are few enough."""
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
        return np.concatenate(
            [self.gains(np.arange(a, min(a + BLOCK_ROWS, self._n))) for a in range(0, self._n, BLOCK_ROWS)]
        )

    def _sums(self, limits_M: Floats | None) -> Float64:
        """Sum the gains over the targets for every row, float64 [N]: over pairs above the limits, or over all pairs.

        Every number is written by one thread only, in a fixed order.
        """
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
        """Sum the gains over the targets of a tile, which lie along `axis`, for the rows along the other axis."""
        added_BC = kernels_BC - self._covered_M[targets].astype(self._type)
        np.maximum(added_BC, 0.0, out=added_BC)
        added_BC *= self._weights_M[targets].astype(self._type)
        return added_BC.sum(axis=axis, dtype=np.float64)

    def _few_added(self, near_BC: Floats, targets: Any, axis: int, limits_M: Floats) -> Float64:
        """Compute the sums of `_added` from the nearness, over the pairs above the limits only."""
        places = np.flatnonzero(near_BC > limits_M[targets])
        along = np.divmod(places, near_BC.shape[1])
        few = along[axis]
        added = np.maximum(_kernels(near_BC.ravel()[places]) - self._covered_M[targets].ravel()[few], 0.0)
        added *= self._weights_M[targets].ravel()[few]
        return np.bincount(along[1 - axis], added, near_BC.shape[1 - axis]).astype(np.float64, copy=False)

    def _share_that_gains(self, limits_M: Floats) -> float:
        """Estimate the fraction of pairs that gain from a sample."""
        some, near_NS = self._near.sampled(self._spread)
        return float((near_NS > limits_M[some]).mean())

    def _limits(self) -> Floats:
        """Compute the nearness above which a row gains at each target, lowered by the rounding error.

        The limit of a target of weight 0 is infinite.
        """
        with np.errstate(divide="ignore"):
            limits_M = np.log(self._covered_M) - 8 * np.finfo(self._type).eps
        limits_M[self._weights_M == 0.0] = np.inf
        return limits_M.astype(self._type)

    def _lists(self, rows_B: Int64) -> list[tuple[Array, Floats]]:
        """Return (targets, kernels) for each of at most a block of rows. The lists hold all pairs that gain."""
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
        """Look up (targets, kernels) of a row when the pairs of all rows are kept."""
        starts, targets, kernels = self._of_all[row // BLOCK_ROWS]
        part = slice(starts[row % BLOCK_ROWS], starts[row % BLOCK_ROWS + 1])
        return targets[part], kernels[part]

    def _find(self, rows_B: Int64) -> None:
        """Find and keep (targets, kernels) of a few rows."""
        limits_M, lists = self._limits(), PairLists(len(rows_B))

        def work(first: int, last: int) -> None:
            for c in range(first, last, CHUNK):
                part = slice(c, min(c + CHUNK, last))
                lists.add(0, c, self._near.between(rows_B, part), limits_M[part])

        self._spread(len(limits_M), work)
        ((starts, targets, near),) = lists.by_row()
        for row, targets_of_row, near_of_row in zip(
            rows_B.tolist(), np.split(targets, starts[1:-1]), np.split(near, starts[1:-1])
        ):
            self._of_row[row] = targets_of_row.copy(), _kernels(near_of_row.copy())
        self._n_kept += len(targets)


def _kernels(near: Floats) -> Floats:
    """Turn nearness into kernels in place: exp of the nearness, at most 1."""
    np.minimum(near, 0.0, out=near)
    return np.exp(near, out=near)
