"""Small problems for tests: views over plain arrays, heads with given weights."""

from __future__ import annotations

import numpy as np

from alcli.strategies._arrays import ArraySource
from alcli.strategies._view import View


class TableHead:
    """A linear classifier with given weights, float64; what a view asks of a head and nothing more."""

    def __init__(self, W_CD, b_C=0.0):
        self.W_CD, self.b_C = np.asarray(W_CD, np.float64), b_C

    def logits(self, X_BD):
        return X_BD.astype(np.float64) @ self.W_CD.T + self.b_C

    def log_probs(self, X_BD):
        z_BC = self.logits(X_BD)
        z_BC = z_BC - z_BC.max(axis=1, keepdims=True)
        return z_BC - np.log(np.exp(z_BC).sum(axis=1, keepdims=True))


def random_head(D, C, seed=0, scale=1.0):
    return TableHead(np.random.default_rng(seed).standard_normal((C, D)) * scale)


def view_of(X_ND, *, labelled=(), ids=None, head=None, block_rows=8192, candidates=None):
    """A view over all rows of X_ND that are not labelled (or the `candidates` given); ids default to the row numbers."""
    X_ND = np.asarray(X_ND)
    ids = np.arange(len(X_ND)) if ids is None else np.asarray(ids)
    labelled = np.asarray(labelled, np.int64)
    if candidates is None:
        candidates = np.setdiff1d(np.arange(len(X_ND)), labelled)
    return View(ArraySource(X_ND, ids, block_rows=block_rows), candidates, labelled, head)
