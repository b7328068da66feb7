"""The one order of scored rows, and the k best rows in it.

Scores are compared as float32: the larger score comes first. Rows of equal score follow their ids, ascending. Where a
strategy declares `ties_drawn`, rows of equal score follow a draw of the seed and the id, so that they have equal
chances. Every choice by score asks for this order: `select.py` for a batch, `live/ranking.py` for one label at a time,
and groups of rows through their view.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeAlias

import numpy as np

from alcli.arrays import Array, Float32, Float64, Floats, Int64, Keys
from alcli.numerics.hashing import uniforms

# Row numbers -> sortable keys; rows of equal score are ordered by their keys, ascending.
TieKeys: TypeAlias = Callable[[Int64], Array]

_TIE_STREAM = 2  # number of the random stream that draws among rows of equal score


class Identified(Protocol):
    """Rows that have ids: a view, or a source."""

    def sort_keys(self, rows: Int64) -> Array: ...
    def row_keys(self, rows: Int64) -> Keys: ...


def tie_keys(rows: Identified, *, seed: int, drawn: bool) -> TieKeys:
    """The keys that order rows of equal score: a draw of the seed and the id where `drawn`, else the ids themselves."""
    return (lambda places: uniforms(rows.row_keys(places), seed, _TIE_STREAM)) if drawn else rows.sort_keys


def finite32(scores: Float64) -> Float32:
    """Round scores to float32; a score too large for float32 becomes its largest number."""
    return np.minimum(scores, np.finfo(np.float32).max).astype(np.float32)


def best_first(scores: Floats, keys: Array) -> Int64:
    """Order places by score, the largest first; equal scores by ascending key."""
    # Keys may be strings: their ranks sort faster than string comparisons in lexsort.
    ranks = np.unique(keys, return_inverse=True)[1]
    return np.lexsort((ranks, -scores))


class TopK:
    """Keep the k best rows of a stream of blocks.

    keys: as `tie_keys` makes them; called once, for the rows that can be among the best, when the result is asked for.
    Memory: O(k + block), 12 bytes for each row whose score ties with the k-th best, and what is kept of 2 k rows.
    The result does not depend on the order or the size of the blocks that are offered.
    """

    def __init__(self, k: int, keys: TieKeys) -> None:
        self._k = k
        self._keys = keys
        self._border = -np.inf
        self._parts: list[tuple[Int64, Float32, Array | None]] = []
        self._n_settled, self._n_new = 0, 0
        self._keeps = True

    def offer(self, rows_B: Int64, scores_B: Float32, kept_BD: Array | None = None) -> None:
        """Add a block of rows with their scores, and what is to be kept of each row that is among the best."""
        can_win = scores_B >= self._border
        if not can_win.any():
            return
        self._keeps = self._keeps and kept_BD is not None
        kept_BD = kept_BD[can_win] if self._keeps and kept_BD is not None else None
        self._parts.append((rows_B[can_win], scores_B[can_win], kept_BD))
        self._n_new += len(self._parts[-1][0])
        if self._keeps or self._n_new >= max(self._k, self._n_settled):
            self._settle()

    def _settle(self) -> None:
        """Leave out the rows that cannot be among the best any more."""
        if not self._parts:
            return
        rows, scores = (np.concatenate([part[i] for part in self._parts]) for i in (0, 1))
        can_win = np.ones(len(rows), bool)
        if len(rows) > self._k:
            self._border = -np.partition(-scores, self._k - 1)[self._k - 1]
            can_win = scores >= self._border
        # What is kept of many ties could be anything.
        self._keeps = self._keeps and int(np.count_nonzero(can_win)) <= 2 * self._k
        arrays = [kept for _, _, kept in self._parts if kept is not None]
        kept = np.concatenate(arrays)[can_win] if self._keeps else None
        self._parts = [(rows[can_win], scores[can_win], kept)]
        self._n_settled, self._n_new = len(self._parts[0][0]), 0

    def open(self) -> tuple[Int64, Float32, Array | None]:
        """The rows that can be among the best, in any order: their numbers, their scores and what is kept of them.

        They are more than k where rows tie with the k-th best.
        """
        self._settle()
        return self._parts[0] if self._parts else (np.empty(0, np.int64), np.empty(0, np.float32), None)

    def best(self) -> tuple[Int64, Float32, Array | None]:
        """Rows and scores, best first, and what is kept of the rows.

        Nothing is kept where a block came without arrays, or where more than 2 k rows can be among the best.
        """
        rows, scores, kept = self.open()
        places = best_first(scores, self._keys(rows))[: self._k]
        return rows[places], scores[places], None if kept is None else kept[places]

    def result(self) -> tuple[Int64, Float32]:
        """Rows and scores, best first."""
        return self.best()[:2]
