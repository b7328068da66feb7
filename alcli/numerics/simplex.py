"""The nearest probabilities to rows of any numbers.

Source: Held, Wolfe & Crowder 1974, "Validation of subgradient optimization", section 3 (by sorting).
Cost: one sort of each row.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Floats


def project(values_BK: Floats) -> Float64:
    """The point of the simplex that is nearest to each row (the last axis), float64, the shape of the input.

    The same for rows that differ by a constant.
    """
    values_BK = values_BK - values_BK.max(axis=-1, keepdims=True).astype(np.float64)  # the result is near 1 at most, and so is what it is cut from
    K = values_BK.shape[-1]
    sorted_BK = -np.sort(-values_BK, axis=-1)
    level_BK = (np.cumsum(sorted_BK, axis=-1) - 1.0) / np.arange(1, K + 1)
    support_B1 = (sorted_BK > level_BK).sum(axis=-1, keepdims=True)
    out: Float64 = np.maximum(values_BK - np.take_along_axis(level_BK, support_B1 - 1, axis=-1), 0.0)
    return out
