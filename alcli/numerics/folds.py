"""Folds that spread every class, and any order of the rows, evenly.

Source: stratified K-fold; the rows of each class are shuffled, then dealt out in turn.
Cost: n log n.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Array, Int64


def stratified_folds(y_L: Array, n_folds: int, *, seed: int) -> Int64:
    """The fold number of every row, shape [L]. Float targets are dealt out in shuffled order, without strata."""
    rng = np.random.default_rng(np.random.SeedSequence(seed))
    shuffled = rng.permutation(len(y_L))
    if np.issubdtype(y_L.dtype, np.integer):
        shuffled = shuffled[np.argsort(y_L[shuffled], kind="stable")]
    out = np.empty(len(y_L), np.int64)
    out[shuffled] = np.arange(len(y_L)) % n_folds
    return out
