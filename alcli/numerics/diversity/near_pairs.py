"""Pairs of a row and a target that lie near each other, found in tiles of the product of all rows with all targets.

Nearness is -|x - y|^2 times a scale. Where the targets are the rows themselves (the same array), each tile serves its rows and its columns,
so half of the tiles are made: block b meets itself and the blocks after it, half way around.
Cost: 2 N M D flops for N rows and M targets, half of that where they are the same. Memory: a tile a thread.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TypeAlias

import numpy as np

from alcli.arrays import Array, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread
from alcli.numerics.rows import sq_norms

CHUNK = 512  # targets at a time: a tile stays in the cache
_SAMPLE = 128  # targets that stand for all

# (first row, first target, nearness [B, C], whether the tile serves the targets as rows too)
See: TypeAlias = Callable[[int, int, Floats, bool], None]


class Nearness:
    """How near N rows are to M targets. X_ND, targets_MD: float32 or float64 of one type; the same object for rows that are the targets."""

    def __init__(self, X_ND: Floats, targets_MD: Floats, scale: float = 1.0) -> None:
        self._X_ND, self._T_MD, self._scale = X_ND, targets_MD, scale
        self.are_rows = targets_MD is X_ND
        self.noise = float(np.finfo(X_ND.dtype).eps) * max(1.0, scale)  # of the nearness of rows of length one
        self._own_N = (-scale * sq_norms(X_ND)).astype(X_ND.dtype)
        self._own_M = self._own_N if self.are_rows else (-scale * sq_norms(targets_MD)).astype(X_ND.dtype)

    def between(self, rows: Int64 | slice, targets: Int64 | slice) -> Floats:
        """Of some rows with some targets, [B, C]; rounding leaves noise above 0 for equal ones."""
        return self._tile(self._doubled(self._X_ND[rows]), self._own_N[rows], targets)

    def nearest(self, X_BD: Floats, targets: slice) -> Floats:
        """Of some targets with the nearest of other rows, X_BD, [C]; -inf without rows."""
        near_C = np.full(len(self._T_MD[targets]), -np.inf, X_BD.dtype)
        for a in range(0, len(X_BD), BLOCK_ROWS):
            part_BD = X_BD[a : a + BLOCK_ROWS].astype(self._X_ND.dtype)
            near_BC = self._tile(self._doubled(part_BD), (-self._scale * sq_norms(part_BD)).astype(part_BD.dtype), targets)
            np.maximum(near_C, near_BC.max(axis=0), out=near_C)
        return near_C

    def sampled(self, spread: Spread) -> tuple[Int64, Floats]:
        """(numbers of a few targets, of all rows with these [N, S]): what to expect of all pairs."""
        some = np.unique(np.linspace(0, len(self._T_MD) - 1, _SAMPLE).astype(np.int64))
        near_NS = np.empty((len(self._X_ND), len(some)), self._X_ND.dtype)

        def work(first: int, last: int) -> None:
            for a in range(first, last, BLOCK_ROWS):
                rows = slice(a, min(a + BLOCK_ROWS, last))
                near_NS[rows] = self.between(rows, some)

        spread(len(near_NS), work)
        return some, near_NS

    def see_all(self, first: int, last: int, spread: Spread, see: See) -> None:
        """Call `see` with tiles of rows first..last (whole blocks) by all targets; of pairs of rows, one tile has both orders."""
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
    """The blocks that block b meets, itself first: together all blocks meet each other once, and each as many as any other or one more."""
    half = n_blocks // 2
    after = half if n_blocks % 2 or b < half else half - 1
    return [(b + d) % n_blocks for d in range(after + 1)]


class PairLists:
    """Targets near each of N rows, each with its nearness, found in any order and read by row. Memory: 8 bytes a pair (12 of float64)."""

    def __init__(self, n_rows: int) -> None:
        self._n_rows = n_rows
        # For each block of rows, tiles: (first target, first row, width, whether rows are its columns, places in the tile, nearness)
        self._found: list[list[tuple[int, int, int, bool, Array, Floats]]] = [[] for _ in range(-(-n_rows // BLOCK_ROWS))]

    def add(self, a: int, c: int, near_BC: Floats, limits_C: Floats | float) -> None:
        """Keep the pairs of a tile that are nearer than the limits of their targets, its columns. a, c: its first row and first column."""
        self._add(a, c, False, near_BC, near_BC > limits_C)

    def add_mirrored(self, a: int, c: int, near_BC: Floats, limits_B: Floats | float) -> None:
        """Keep the pairs of its columns as rows with its rows as targets."""
        self._add(c, a, True, near_BC, near_BC > np.reshape(limits_B, (-1, 1)))

    def _add(self, row: int, target: int, mirrored: bool, near_BC: Floats, is_near_BC: Array) -> None:
        places = np.flatnonzero(is_near_BC)
        piece = target, row % BLOCK_ROWS, near_BC.shape[1], mirrored, places.astype(np.int32), near_BC.ravel()[places]
        self._found[row // BLOCK_ROWS].append(piece)

    def __len__(self) -> int:
        return sum(len(places) for pieces in self._found for *_, places, _ in pieces)

    def nearness(self) -> Floats:
        """Of all pairs, in no order."""
        return np.concatenate([near for pieces in self._found for *_, near in pieces])

    def keep_nearer(self, limit: float) -> None:
        for pieces in self._found:
            pieces[:] = [(*where, places[near > limit], near[near > limit]) for *where, places, near in pieces]  # type: ignore[misc]

    def by_row(self) -> Iterator[tuple[Int64, Array, Floats]]:
        """For each block of rows: where each row's pairs start (and the last's end), targets int32 ascending, nearness. Gives away what it has."""
        for b, pieces in enumerate(self._found):
            pieces.sort(key=lambda piece: piece[0])
            rows, targets = (np.concatenate(parts) for parts in zip(*(_unpacked(*piece[:-1]) for piece in pieces)))
            near = np.concatenate([piece[-1] for piece in pieces])
            pieces.clear()
            order = np.argsort(rows, kind="stable")
            counts = np.bincount(rows, minlength=min(BLOCK_ROWS, self._n_rows - b * BLOCK_ROWS))
            yield np.append(0, np.cumsum(counts)), targets[order], near[order]


def _unpacked(target: int, row: int, width: int, mirrored: bool, places: Array) -> tuple[Array, Array]:
    """Rows, counted from the start of their block, and targets of the pairs of a tile."""
    along_B, along_C = np.divmod(places, width)
    rows, targets = (along_C, along_B) if mirrored else (along_B, along_C)
    return (rows + row).astype(np.uint16), targets + np.int32(target)
