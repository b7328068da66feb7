"""Made-up rows to measure with."""

from __future__ import annotations

import numpy as np

_BLOCK = 4096


def clustered_rows(n: int, D: int, C: int, pull: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(X_ND, y_N, centres_CD): float32 rows of length 1, normal noise and `pull` times the centre of a random class.

    They are made in blocks, so that the peak memory of a process is not that of making them.
    """
    rng = np.random.default_rng(0)
    centres_CD = rng.standard_normal((C, D), np.float32)
    X_ND, y_N = np.empty((n, D), np.float32), np.empty(n, np.int64)
    for block in (slice(first, min(first + _BLOCK, n)) for first in range(0, n, _BLOCK)):
        y_N[block] = rng.integers(C, size=block.stop - block.start)
        X_BD = pull * centres_CD[y_N[block]] + rng.standard_normal(X_ND[block].shape, np.float32)
        X_ND[block] = X_BD / np.linalg.norm(X_BD, axis=1, keepdims=True)
    return X_ND, y_N, centres_CD
