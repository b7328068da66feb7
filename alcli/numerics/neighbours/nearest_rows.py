"""The k nearest of many rows to each of some centres, found in one pass over the rows, exactly.

Letters: B rows of a block, L centres, C centres of a tile.
Cost: 2 N L D flops in float64. Memory: 20 bytes for each of 3 k L pairs, and a tile of B x 128 distances a thread.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Float32, Float64, Floats, Int64
from alcli.numerics.blocks import Spread, share
from alcli.numerics.factors import safe_exponent
from alcli.numerics.rows import sq_norms

_TILE = 128


class NearestRows:
    """The rows nearest to any of L centres, k a centre; of equally distant rows those of the lowest keys.

    A squared distance is computed in float64 and rounded to float32, so that neither the blocks nor the processor
    decide which row is nearer.
    """

    def __init__(self, centres_LD: Floats, k: int) -> None:
        self._exponent = safe_exponent(centres_LD)
        parts = (centres_LD[a : a + _TILE] for a in range(0, len(centres_LD), _TILE))
        self._tiles = [_Tile(np.ldexp(part.astype(np.float64), -self._exponent), k) for part in parts]

    def see(self, keys_B: Int64, X_BD: Floats, spread: Spread) -> None:
        """Take a block of rows. keys_B: int64 numbers that are not negative, each of one row only."""
        if not len(keys_B):
            return
        scaled_BD: Float64 = np.ldexp(X_BD.astype(np.float64), -self._exponent)
        own_B = sq_norms(scaled_BD)
        share(spread, len(self._tiles), lambda i: self._tiles[i].see(keys_B, scaled_BD, own_B))

    def keys(self) -> Int64:
        """The keys of the rows that are among the k nearest of any centre, ascending."""
        return np.unique(np.concatenate([tile.nearest() for tile in self._tiles]))


class _Tile:
    """The rows nearest to C centres: pairs of a centre and a row, of which the k nearest of each centre are kept."""

    def __init__(self, centres_CD: Float64, k: int) -> None:
        self._centres_CD, self._own_C, self._k = centres_CD, sq_norms(centres_CD), k
        self._limit_C: Float32 = np.full(len(centres_CD), np.inf, np.float32)
        self._pairs: list[tuple[Int64, Float32, Int64]] = [
            (np.empty(0, np.int64), np.empty(0, np.float32), np.empty(0, np.int64))
        ]
        self._n = 0

    def see(self, keys_B: Int64, X_BD: Float64, own_B: Float64) -> None:
        sums_BC = own_B[:, None] + self._own_C
        exact_BC = sums_BC - 2.0 * (X_BD @ self._centres_CD.T)
        # Rounding hides smaller distances, and copies of a row are to be equally near.
        exact_BC[exact_BC <= 1e-14 * sums_BC] = 0.0
        sq_BC = exact_BC.astype(np.float32)
        limit_C = self._limit_C
        if len(keys_B) > self._k and not np.isfinite(limit_C).all():
            limit_C = np.minimum(limit_C, np.partition(sq_BC, self._k - 1, axis=0)[self._k - 1])
        row, centre = np.nonzero(sq_BC <= limit_C)
        self._pairs.append((centre, sq_BC[row, centre], keys_B[row]))
        self._n += len(row)
        if self._n > 3 * self._k * len(limit_C):
            self._keep_nearest()

    def nearest(self) -> Array:
        """The keys of the k nearest rows of all centres."""
        self._keep_nearest()
        return self._pairs[0][2]

    def _keep_nearest(self) -> None:
        centre, sq, key = (np.concatenate(parts) for parts in zip(*self._pairs))
        order = np.lexsort((key, sq, centre))
        centre, sq, key = centre[order], sq[order], key[order]
        counts_C = np.bincount(centre, minlength=len(self._limit_C))
        rank = np.arange(len(centre)) - np.repeat(np.cumsum(counts_C) - counts_C, counts_C)
        kept = rank < self._k
        self._pairs, self._n = [(centre[kept], sq[kept], key[kept])], int(kept.sum())
        last = rank == self._k - 1
        self._limit_C[centre[last]] = sq[last]
