"""The coverage of targets by picked rows, and the gains: by how much a row would raise the coverage.

The kernel is k(x, y) = exp(-|x - y|^2 / h^2), and a target i is covered by m_i, its largest kernel with a centre or
a pick. The gain of row j is mean_i w_i max(k_ij - m_i, 0). Since m_i only rises, a pair with k_ij <= m_i never
matters again: after n picks and centres about one pair in n + 1 still counts.

Sums over the targets of a row follow from the row and the targets alone: they are taken in a fixed order, whichever
rows are computed together.

Letters: M targets, T targets that are covered better than before, B and C rows and targets of a tile.
Source: Bae, Noh & Sutherland 2024, "Generalized coverage for more robust low-budget active learning" (MaxHerding).
Cost: 2 M D flops for the pairs of a row. Memory: the targets and O(M).
"""

from __future__ import annotations

from copy import copy

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import Spread
from alcli.numerics.diversity.near_pairs import CHUNK, Nearness, PairLists

# The largest number of pairs that are kept, over all rows of all shards.
KEPT = 1 << 23


class Coverage:
    """The targets, how well each is covered, and the gains of rows whose pairs with the targets are known.

    weights_M: float64, None for 1 each. covered_M: float64, but every value is one that the dtype of the rows can hold.
    """

    def __init__(self, nearness: Nearness, weights_M: Float64 | None) -> None:
        self.nearness = nearness
        self.weights_M = np.ones(len(nearness)) if weights_M is None else weights_M
        self.covered_M = np.zeros(len(nearness))

    def copy(self) -> Coverage:
        """The same coverage, of which what is covered later is no part."""
        other = copy(self)
        other.covered_M = self.covered_M.copy()
        return other

    def cover_by(self, centres_LD: Floats, spread: Spread) -> None:
        """Cover the targets with centres, of which nothing is known yet. Cost: 2 L M D flops."""
        if not len(centres_LD):
            return

        def work(first: int, last: int) -> None:
            for c in range(first, last, CHUNK):
                part = slice(c, min(c + CHUNK, last))
                kernels_C = kernels_of(self.nearness.nearest(centres_LD, part))
                np.maximum(self.covered_M[part], kernels_C, out=self.covered_M[part])

        spread(len(self.covered_M), work)

    def cover(self, targets: Array, kernels: Floats) -> tuple[Int64, Float64]:
        """Cover the targets with a row, whose pairs are given.

        Returns the targets of positive weight that are covered better than before, int64, and their earlier coverage.
        """
        before = self.covered_M[targets]
        self.covered_M[targets] = np.maximum(before, kernels)
        has_risen = (kernels > before) & (self.weights_M[targets] > 0.0)
        return targets[has_risen].astype(np.int64), before[has_risen]

    def pairs(self, X_BD: Floats, spread: Spread) -> list[tuple[Array, Floats]]:
        """Find the pairs (targets, kernels) that gain, for each of at most a block of rows. Cost: 2 B M D flops."""
        limits_M, lists = self.limits(), PairLists(len(X_BD))

        def work(first: int, last: int) -> None:
            for c in range(first, last, CHUNK):
                part = slice(c, min(c + CHUNK, last))
                lists.add(0, c, self.nearness.of(X_BD, part), limits_M[part])

        spread(len(limits_M), work)
        ((starts, targets, near),) = lists.by_row()
        found = zip(np.split(targets, starts[1:-1]), np.split(near, starts[1:-1]))
        return [(targets_of_row.copy(), kernels_of(near_of_row.copy())) for targets_of_row, near_of_row in found]

    def gains(self, counts_B: Int64, targets: Array, kernels: Floats) -> Float64:
        """Compute the gains of rows from their pairs, float64 [B].

        counts_B: the number of pairs of each row. targets, kernels: the pairs of all of them, one row after another.
        """
        added = np.maximum(kernels - self.covered_M[targets], 0.0)
        added *= self.weights_M[targets]
        owners = np.repeat(np.arange(len(counts_B)), counts_B)
        return np.bincount(owners, added, len(counts_B)) / len(self.covered_M)

    def gains_of(self, pairs: list[tuple[Array, Floats]]) -> Float64:
        """Compute the gains of rows, each with its own pairs, float64 [B]."""
        targets, kernels = (np.concatenate(parts) for parts in zip(*pairs))
        return self.gains(np.array([len(found) for found, _ in pairs]), targets, kernels)

    def limits(self) -> Floats:
        """Compute the nearness above which a row gains at each target, lowered by the rounding error.

        The limit of a target of weight 0 is infinite.
        """
        with np.errstate(divide="ignore"):
            limits_M = np.log(self.covered_M) - 8 * np.finfo(self.nearness.dtype).eps
        limits_M[self.weights_M == 0.0] = np.inf
        return limits_M.astype(self.nearness.dtype)


def kernels_of(near: Floats) -> Floats:
    """Turn nearness into kernels in place: exp of the nearness, at most 1."""
    np.minimum(near, 0.0, out=near)
    return np.exp(near, out=near)
