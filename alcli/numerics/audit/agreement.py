"""The agreement of a row with its neighbours: how surely a head predicts the same class for the rows nearest to it.

A head that knows few labels may be sure of a row for a poor reason. Where the rows around it are predicted otherwise,
the prediction is likely to be wrong; so agreement says more about errors than confidence alone does. The neighbours are
looked for among references, rows of the pool that were drawn at random, so the cost is bounded.

Source: Devroye, Gyorfi & Lugosi 1996, "A probabilistic theory of pattern recognition", chapter 5 (nearest neighbours);
Jiang et al. 2018, "To trust or not to trust a classifier" (neighbours that judge a classifier).
Cost: N R products of D numbers, R from 512 to 8,192 with N R at most 2^29 where it can be. Memory: R D numbers and a
block of B R.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from alcli.arrays import Float64, Floats, Int64, Keys
from alcli.numerics.blocks import workers
from alcli.numerics.hashing import uniforms
from alcli.numerics.rows import sq_norms

_NEIGHBOURS = 10
_MOST_PRODUCTS, _FEWEST, _MOST = 1 << 29, 512, 8192
_BLOCK = 256
_STREAM = 3


def references(rows: Int64, keys: Keys) -> Int64:
    """Draw the references among `rows`, by their hashes `keys`, so that the order of the rows does not matter."""
    n = int(np.clip(_MOST_PRODUCTS // max(len(rows), 1), _FEWEST, _MOST))
    return rows[np.sort(np.argsort(uniforms(keys, 0, _STREAM), kind="stable")[:n])]


@dataclass(frozen=True)
class References:
    """Rows with their predictions. rows_R: row numbers. X_RD: features. best_R, confidence_R: the predicted classes."""

    rows_R: Int64
    X_RD: Floats
    best_R: Int64
    confidence_R: Float64

    def agreement(self, rows_B: Int64, X_BD: Floats, best_B: Int64) -> Float64:
        """Return for each row the mean confidence of its nearest references, 0 for one of another class, float64 [B].

        rows_B: row numbers; a reference is not its own neighbour. best_B: predicted classes of the rows.
        """
        out_B = np.empty(len(rows_B))
        squares_R = sq_norms(self.X_RD)
        k = min(_NEIGHBOURS, len(self.rows_R) - 1)
        if k < 1:
            return np.ones(len(rows_B))

        def work(first: int, last: int) -> None:
            for a in range(first, last, _BLOCK):
                part = slice(a, min(a + _BLOCK, last))
                distance_BR = squares_R - 2.0 * (X_BD[part] @ self.X_RD.T)
                distance_BR[rows_B[part, None] == self.rows_R] = np.inf
                near_BK = np.argpartition(distance_BR, k - 1, axis=1)[:, :k]
                same_BK = self.best_R[near_BK] == best_B[part, None]
                out_B[part] = (same_BK * self.confidence_R[near_BK]).mean(axis=1)

        with workers() as spread:
            spread(len(rows_B), work)
        return out_B
