"""The vocabulary of arrays: letters for axes, names for dtypes, and a check of shapes.

Axes are named by suffix: N pool rows, B rows of one block, n or L labelled rows, D features, D1 = D + 1 with the
bias column, C classes, K items of the batch, S samples. `X_BD` is a block of features, `log_probs_BC` the
predictions for it.
"""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]
Floats: TypeAlias = npt.NDArray[np.floating[Any]]
Float64: TypeAlias = npt.NDArray[np.float64]
Float32: TypeAlias = npt.NDArray[np.float32]
Int64: TypeAlias = npt.NDArray[np.int64]
Keys: TypeAlias = npt.NDArray[np.uint64]


def check_shape(name: str, array: Array, expected: tuple[int | None, ...]) -> None:
    """Raise ValueError unless `array` has the `expected` shape. None in `expected` allows any length."""
    fits = len(array.shape) == len(expected) and all(want in (None, got) for want, got in zip(expected, array.shape))
    if not fits:
        raise ValueError(f"{name}: expected shape {expected}, got {array.shape}")


def with_bias(X_BD: Floats) -> Float64:
    """Append a column of ones: phi = [h; 1] for every row h, float64 [B, D1]."""
    phi = np.empty((len(X_BD), X_BD.shape[1] + 1))
    phi[:, :-1] = X_BD
    phi[:, -1] = 1.0
    return phi
