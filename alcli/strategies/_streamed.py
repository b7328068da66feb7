"""What batch strategies share that score every row by itself but look at more than a score: a random part of the pool, and the best of it."""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.numerics.topk import TopK
from alcli.strategies._contract import Selection, finite32
from alcli.strategies._drawn import some_places
from alcli.strategies._view import View


class Part:
    """At most `most` random candidates of a view whose blocks pass by. notes: what to say where these are not all."""

    def __init__(self, view: View, most: int, rng: np.random.Generator) -> None:
        places, self.notes = some_places(view, most, rng)
        self.n = len(places)
        self._rows = None if self.n == view.n else np.sort(view.rows[places])

    def __call__(self, rows_B: Int64) -> Int64:
        """The places in rows_B of those that were drawn."""
        return np.arange(len(rows_B)) if self._rows is None else np.flatnonzero(np.isin(rows_B, self._rows, assume_unique=True))


class Best(TopK):
    """The k best rows of a view by float64 scores, equal ones (as float32) in the order of their ids."""

    def __init__(self, k: int, view: View) -> None:
        super().__init__(k, view.sort_keys)

    def take(self, rows_B: Int64, scores_B: Float64) -> None:
        self.offer(rows_B, finite32(scores_B))

    def selection(self, *notes: str) -> Selection:
        return Selection(*self.result(), notes=notes)
