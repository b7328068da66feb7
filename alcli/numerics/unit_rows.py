"""Rows of length one, which most measures of coverage are made for.

Source: textbook. Cost: one pass; a copy of the rows, unless they have length one as they are.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Floats
from alcli.numerics.blocks import BLOCK_ROWS
from alcli.numerics.rows import sq_norms

_ROUNDINGS = 8  # lengths that differ from one by so many units of precision are one


def unit_rows(X_ND: Floats) -> Floats:
    """X_ND divided by the lengths of its rows, in its dtype; rows of zeros stay as they are. X_ND itself where all have length one."""
    sq_N = sq_norms(X_ND)
    if (np.abs(sq_N - 1.0) <= _ROUNDINGS * np.finfo(X_ND.dtype).eps).all():
        return X_ND
    lengths_N = np.sqrt(np.where(sq_N > 0.0, sq_N, 1.0))
    out_ND = np.empty_like(X_ND)
    for a in range(0, len(X_ND), BLOCK_ROWS):
        out_ND[a : a + BLOCK_ROWS] = X_ND[a : a + BLOCK_ROWS] / lengths_N[a : a + BLOCK_ROWS, None]
    return out_ND
