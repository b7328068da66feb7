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

    keys: as `tie_keys` makes them; called only for rows that can still be among the best. Memory O(k + block).
    The result does not depend on the order or the size of the blocks that are offered.
    """

    def __init__(self, k: int, keys: TieKeys) -> None:
        self._k = k
        self._keys = keys
        self._rows = np.empty(0, np.int64)
        self._scores = np.empty(0, np.float32)
        self._kept: Array | None = None

    def offer(self, rows_B: Int64, scores_B: Float32, kept_BD: Array | None = None) -> None:
        """Add a block of rows with their scores, and what is to be kept of each row that is among the best."""
        if len(self._rows) == self._k:
            can_win = scores_B >= self._scores[-1]
            rows_B, scores_B = rows_B[can_win], scores_B[can_win]
            kept_BD = None if kept_BD is None else kept_BD[can_win]
        if not len(rows_B):
            return
        if self._kept is not None and kept_BD is not None:
            kept_BD = np.concatenate([self._kept, kept_BD])
        best = self._best(np.concatenate([self._rows, rows_B]), np.concatenate([self._scores, scores_B]))
        self._kept = None if kept_BD is None else kept_BD[best]

    def _best(self, rows: Int64, scores: Float32) -> Int64:
        """Keep the k best of `rows`; return their places."""
        places = np.arange(len(rows))
        if len(rows) > self._k:
            border = -np.partition(-scores, self._k - 1)[self._k - 1]
            places = np.flatnonzero(scores >= border)
        places = places[best_first(scores[places], self._keys(rows[places]))[: self._k]]
        self._rows, self._scores = rows[places], scores[places]
        return places

    def result(self) -> tuple[Int64, Float32]:
        """Rows and scores, best first."""
        return self._rows, self._scores

    @property
    def kept(self) -> Array | None:
        """The arrays kept of the best rows, in the order of `result`; None where no block came with an array."""
        return self._kept
