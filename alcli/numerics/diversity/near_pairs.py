"""Pairs of a row and a target that lie near each other, found in tiles of the product of all rows with all targets.

The nearness of x and y is -|x - y|^2 times a scale. If the targets are the rows themselves (the same array), a tile
also holds the transposed pairs, so only half of the tiles are computed: block b is paired with itself and with the
blocks that follow it, half way around a circle of all blocks.

Letters: N rows, M targets, B rows and C targets of a tile, S sampled targets.
Cost: 2 N M D flops, half of that if the targets are the rows. Memory: a tile a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from alcli.arrays import Array, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.rows import sq_norms

# Targets of a tile, few enough for the tile to stay in the cache.
CHUNK = 512
# Targets in a sample of all targets.
_SAMPLE = 128

# Arguments: first row, first target, nearness [B, C], and True if the tile also stands for its transpose.
See: TypeAlias = Callable[[int, int, Floats, bool], None]


class Nearness:
    """The nearness of N rows to M targets.

    X_ND, targets_MD: both float32 or both float64. Pass the same object if the rows are the targets.
    noise: the rounding error of a nearness, for rows of length one.
    """

    def __init__(self, X_ND: Floats, targets_MD: Floats, scale: float = 1.0) -> None:
        self._X_ND, self._T_MD, self._scale = X_ND, targets_MD, scale
        self.are_rows = targets_MD is X_ND
        self.noise = float(np.finfo(X_ND.dtype).eps) * max(1.0, scale)
        self._own_N = (-scale * sq_norms(X_ND)).astype(X_ND.dtype)
        self._own_M = self._own_N if self.are_rows else (-scale * sq_norms(targets_MD)).astype(X_ND.dtype)

    def between(self, rows: Int64 | slice, targets: Int64 | slice) -> Floats:
        """Compute the nearness of some rows to some targets, [B, C].

        Rounding may make it positive for a row at a target.
        """
        return self._tile(self._doubled(self._X_ND[rows]), self._own_N[rows], targets)

    def nearest(self, X_BD: Floats, targets: slice) -> Floats:
        """Compute the nearness of some targets to the nearest of other rows, X_BD, [C]; -inf if X_BD has no rows."""
        near_C = np.full(len(self._T_MD[targets]), -np.inf, X_BD.dtype)
        for a in range(0, len(X_BD), BLOCK_ROWS):
            part_BD = X_BD[a : a + BLOCK_ROWS].astype(self._X_ND.dtype)
            near_BC = self._tile(
                self._doubled(part_BD), (-self._scale * sq_norms(part_BD)).astype(part_BD.dtype), targets
            )
            np.maximum(near_C, near_BC.max(axis=0), out=near_C)
        return near_C

    def sampled(self, spread: Spread) -> tuple[Int64, Floats]:
        """Compute the nearness of all rows to S targets, spread evenly over the targets: a sample of all pairs.

        Returns the numbers of the S targets and the nearness, [N, S].
        """
        some = np.unique(np.linspace(0, len(self._T_MD) - 1, _SAMPLE).astype(np.int64))
        near_NS = np.empty((len(self._X_ND), len(some)), self._X_ND.dtype)

        def work(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                rows = slice(a, min(a + BLOCK_ROWS, last))
                near_NS[rows] = self.between(rows, some)

        spread(len(near_NS), work)
        return some, near_NS

    def see_all(self, first: int, last: int, spread: Spread, see: See) -> None:
        """Call `see` with the tiles of rows first..last (whole blocks) by all targets.

        If the rows are the targets, one tile stands for a pair of blocks in both orders.
        """
        N, M = len(self._X_ND), len(self._T_MD)

        def work(start: int, stop: int) -> None:
            for a in range(first + start, first + stop, BLOCK_ROWS):
                rows = slice(a, min(a + BLOCK_ROWS, N))
                doubled_BD = self._doubled(self._X_ND[rows])
                for b in _met(a // BLOCK_ROWS, -(-M // BLOCK_ROWS)) if self.are_rows else range(-(-M // BLOCK_ROWS)):
                    for c in range(b * BLOCK_ROWS, min((b + 1) * BLOCK_ROWS, M), CHUNK):
                        targets = slice(c, min(c + CHUNK, (b + 1) * BLOCK_ROWS, M))
                        tile_BC = self._tile(doubled_BD, self._own_N[rows], targets)
                        see(a, c, tile_BC, self.are_rows and b * BLOCK_ROWS != a)

        spread(min(last, N) - first, work)

    def _doubled(self, X_BD: Floats) -> Floats:
        return X_BD * X_BD.dtype.type(2.0 * self._scale)

    def _tile(self, doubled_BD: Floats, own_B: Floats, targets: Int64 | slice) -> Floats:
        near_BC = doubled_BD @ self._T_MD[targets].T
        near_BC += own_B[:, None]
        near_BC += self._own_M[targets]
        return near_BC


def _met(b: int, n_blocks: int) -> list[int]:
    """List the blocks that block b is paired with, b itself first.

    Over all b, every two blocks are paired once. No block has more than one pair more than another.
    """
    half = n_blocks // 2
    after = half if n_blocks % 2 or b < half else half - 1
    return [(b + d) % n_blocks for d in range(after + 1)]


class PairLists:
    """Pairs of a row and a near target with their nearness, added in any order and read by row.

    Memory: 8 bytes a pair (12 for float64).
    """

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        # A list for each block of rows. An entry holds the pairs of one tile: (first target, first row in the
        # block, columns of the tile, True if the rows are its columns, flat places in the tile, nearness).
        self._found: list[list[tuple[int, int, int, bool, Array, Floats]]] = [
            [] for _ in range(-(-n_rows // BLOCK_ROWS))
        ]

    def add(self, a: int, c: int, near_BC: Floats, limits_C: Floats | float) -> None:
        """Keep the pairs of a tile that are nearer than the limits of their targets, the columns of the tile.

        a, c: the row and the target at which the tile begins.
        """
        self._add(a, c, False, near_BC, near_BC > limits_C)

    def add_mirrored(self, a: int, c: int, near_BC: Floats, limits_B: Floats | float) -> None:
        """Keep the pairs of a transposed tile: its columns are the rows of the pairs, and its rows are the targets."""
        self._add(c, a, True, near_BC, near_BC > np.reshape(limits_B, (-1, 1)))

    def _add(self, row: int, target: int, mirrored: bool, near_BC: Floats, is_near_BC: Array) -> None:
        places = np.flatnonzero(is_near_BC)
        piece = target, row % BLOCK_ROWS, near_BC.shape[1], mirrored, places.astype(np.int32), near_BC.ravel()[places]
        self._found[row // BLOCK_ROWS].append(piece)

    def __len__(self) -> int:
        return sum(len(places) for pieces in self._found for *_, places, _ in pieces)

    def nearness(self) -> Floats:
        """Return the nearness of all pairs, in no particular order."""
        return np.concatenate([near for pieces in self._found for *_, near in pieces])

    def keep_nearer(self, limit: float) -> None:
        """Drop the pairs that are not nearer than the limit."""
        for pieces in self._found:
            pieces[:] = [(*piece[:-2], piece[-2][piece[-1] > limit], piece[-1][piece[-1] > limit]) for piece in pieces]

    def by_row(self) -> Iterator[tuple[Int64, Array, Floats]]:
        """Yield (starts, targets, nearness) for each block of rows, and drop the pairs of the block.

        The pairs of row i of the block are starts[i] : starts[i + 1]. targets: int32, ascending within a row.
        """
        for b, pieces in enumerate(self._found):
            pieces.sort(key=lambda piece: piece[0])
            rows, targets = (np.concatenate(parts) for parts in zip(*(_unpacked(*piece[:-1]) for piece in pieces)))
            near = np.concatenate([piece[-1] for piece in pieces])
            pieces.clear()
            order = np.argsort(rows, kind="stable")
            counts = np.bincount(rows, minlength=min(BLOCK_ROWS, self._n_rows - b * BLOCK_ROWS))
            yield np.append(0, np.cumsum(counts)), targets[order], near[order]


def _unpacked(target: int, row: int, width: int, mirrored: bool, places: Array) -> tuple[Array, Array]:
    """Compute the rows (counted from the start of their block) and the targets of the pairs of a tile."""
    along_B, along_C = np.divmod(places, width)
    rows, targets = (along_C, along_B) if mirrored else (along_B, along_C)
    return (rows + row).astype(np.uint16), targets + np.int32(target)
