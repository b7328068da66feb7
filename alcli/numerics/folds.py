"""Cross-validation folds that hold equal shares of every class, whatever the order of the rows.

Source: stratified K-fold. The rows of each class are shuffled, then dealt to the folds in turn.
Cost: n log n.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Int64


def stratified_folds(y_L: Array, n_folds: int, *, seed: int) -> Int64:
    """Give every row the number of its fold, int64 [L].

    Rows with float targets are dealt in random order, not by class.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    shuffled = rng.permutation(len(y_L))
    if np.issubdtype(y_L.dtype, np.integer):
        shuffled = shuffled[np.argsort(y_L[shuffled], kind="stable")]
    out = np.empty(len(y_L), np.int64)
    out[shuffled] = np.arange(len(y_L)) % n_folds
    return out
