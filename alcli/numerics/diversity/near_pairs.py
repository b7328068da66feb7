"""Pairs of a row and a target that lie near each other, found in tiles of the product of all rows with all targets.

The nearness of x and y is -|x - y|^2 times a scale. If the targets are the rows themselves, a tile also holds the
transposed pairs, so only half of the tiles are computed: block b is paired with itself and with the blocks that follow
it, half way around a circle of all blocks. Otherwise a tile follows from its block of rows and the targets alone, and
so does not depend on the shard that computes it.

Letters: N rows, M targets, B rows and C targets of a tile, S sampled targets.
Cost: 2 N M D flops, half of that if the targets are the rows. Memory: a tile a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import copy
from threading import Lock
from typing import TypeAlias

import numpy as np

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.block_array import BlockArray
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.rows import sq_norms
from alcli.remarks import steps

# Targets of a tile, few enough for the tile to stay in the cache.
CHUNK = 512
# Targets in a sample of all targets.
_SAMPLE = 128

# Arguments: first row, first target, nearness [B, C], and True if the tile also stands for its transpose.
See: TypeAlias = Callable[[int, int, Floats, bool], None]


class Nearness:
    """The nearness of any rows to M targets.

    targets_MD: float32 or float64. scale: of the squared distances. noise: the rounding error of a nearness, for rows
    of length one.
    """

    def __init__(self, targets_MD: Floats, scale: float = 1.0) -> None:
        self.targets_MD, self.scale, self.dtype = targets_MD, scale, targets_MD.dtype
        self.noise = float(np.finfo(self.dtype).eps) * max(1.0, scale)
        self._own_M = self.own(sq_norms(targets_MD))

    def __len__(self) -> int:
        return len(self.targets_MD)

    def own(self, sq_B: Float64) -> Floats:
        """The part of a nearness that follows from the squared norm of a row alone, [B]."""
        return (-self.scale * sq_B).astype(self.dtype)

    def some(self, targets: Int64) -> Nearness:
        """The nearness to some of the targets."""
        part = copy(self)
        part.targets_MD, part._own_M = self.targets_MD[targets], self._own_M[targets]
        return part

    def sample(self) -> Int64:
        """The numbers of S targets, spread evenly over the targets."""
        return np.unique(np.linspace(0, len(self) - 1, _SAMPLE).astype(np.int64))

    def of(self, X_BD: Floats, targets: slice) -> Floats:
        """Compute the nearness of some rows to some targets, [B, C].

        Rounding may make it positive for a row at a target.
        """
        return self.tile(self.doubled(X_BD), self.own(sq_norms(X_BD)), targets)

    def nearest(self, X_BD: Floats, targets: slice) -> Floats:
        """Compute the nearness of some targets to the nearest of some rows, [C]; -inf if X_BD has no rows."""
        near_C = np.full(len(self.targets_MD[targets]), -np.inf, self.dtype)
        for a in range(0, len(X_BD), BLOCK_ROWS):
            near_BC = self.of(X_BD[a : a + BLOCK_ROWS].astype(self.dtype), targets)
            np.maximum(near_C, near_BC.max(axis=0), out=near_C)
        return near_C

    def doubled(self, X_BD: Floats) -> Floats:
        """Rows as `tile` takes them."""
        return X_BD * X_BD.dtype.type(2.0 * self.scale)

    def tile(self, doubled_BD: Floats, own_B: Floats, targets: slice) -> Floats:
        """Compute the nearness of rows, as `doubled` and `own` give them, to some targets, [B, C]."""
        near_BC = doubled_BD @ self.targets_MD[targets].T
        near_BC += own_B[:, None]
        near_BC += self._own_M[targets]
        return near_BC


class Tiles:
    """The nearness of N rows to M targets, tile by tile.

    X_ND: the rows, in memory or in a file, of the dtype of the targets. sq_N: their squared norms.
    are_rows: the targets are the rows, both in memory.
    """

    def __init__(self, X_ND: BlockArray, sq_N: Float64, nearness: Nearness, are_rows: bool) -> None:
        self.nearness, self.are_rows, self.n = nearness, are_rows, len(X_ND)
        self._X_ND, self._own_N = X_ND, nearness.own(sq_N)

    def some(self, targets: Int64) -> Tiles:
        """The same rows with some of the targets."""
        part = copy(self)
        part.nearness, part.are_rows = self.nearness.some(targets), False
        return part

    def see_all(self, spread: Spread, see: See, what: str = "") -> None:
        """Call `see` with the tiles of all rows by all targets; every block of rows is read once.

        If the rows are the targets, one tile stands for a pair of blocks in both orders. what: the name of the work,
        if its steps are to be counted; those of the calling thread are, which does its share like the others.
        """
        M, n_blocks = len(self.nearness), -(-len(self.nearness) // BLOCK_ROWS)

        def work(first: int, last: int) -> None:
            starts = range(first, last, BLOCK_ROWS)
            for a in steps(starts, what, len(starts)) if what else starts:
                own_B = self._own_N[a : a + BLOCK_ROWS]
                doubled_BD = self.nearness.doubled(self._X_ND[a : a + BLOCK_ROWS])
                for b in _met(a // BLOCK_ROWS, n_blocks) if self.are_rows else range(n_blocks):
                    for c in range(b * BLOCK_ROWS, min((b + 1) * BLOCK_ROWS, M), CHUNK):
                        targets = slice(c, min(c + CHUNK, (b + 1) * BLOCK_ROWS, M))
                        see(a, c, self.nearness.tile(doubled_BD, own_B, targets), self.are_rows and b * BLOCK_ROWS != a)

        spread(self.n, work)


def _met(b: int, n_blocks: int) -> list[int]:
    """List the blocks that block b is paired with, b itself first.

    Over all b, every two blocks are paired once. No block has more than one pair more than another.
    """
    half = n_blocks // 2
    after = half if n_blocks % 2 or b < half else half - 1
    return [(b + d) % n_blocks for d in range(after + 1)]


class PairLists:
    """Pairs of a row and a near target with their nearness, added in any order, by any threads, and read by row.

    Memory: 8 bytes a pair (12 for float64).
    """

    def __init__(self, n_rows: int) -> None:
        self._n_rows, self._n_pairs, self._lock = n_rows, 0, Lock()
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
        with self._lock:
            self._found[row // BLOCK_ROWS].append(piece)
            self._n_pairs += len(places)

    def __len__(self) -> int:
        return self._n_pairs

    def nearness(self) -> Iterator[Floats]:
        """Yield the nearness of the pairs of each block of rows that has pairs, in no particular order."""
        for pieces in self._found:
            if pieces:
                yield np.concatenate([near for *_, near in list(pieces)])

    def keep_nearer(self, limit: float) -> None:
        """Drop the pairs that are not nearer than the limit."""
        with self._lock:
            for pieces in self._found:
                for i, (target, row, width, mirrored, places, near) in enumerate(pieces):
                    is_nearer = near > limit
                    pieces[i] = target, row, width, mirrored, places[is_nearer], near[is_nearer]
            self._n_pairs = sum(len(places) for pieces in self._found for *_, places, _ in pieces)

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
