"""The nearest of some centres for each row.

Cost: 2 B L D flops in float64. Memory: a tile of B x 512 distances.
"""

from __future__ import annotations

import numpy as np

from alcli.arrays import Float64, Floats, Int64
from alcli.numerics.rows import sq_norms

_TILE = 512


def nearest_centres(X_BD: Floats, centres_LD: Floats) -> tuple[Int64, Float64]:
    """Find the nearest of L centres for each of B rows, the lowest number among equals.

    Returns numbers of centres, int64 [B], -1 where there is no centre, and Euclidean distances, float64 [B], inf where
    there is none. A distance below 1e-7 of the norms is 0: rounding hides smaller ones.
    """
    best_B, sq_B = np.full(len(X_BD), -1), np.full(len(X_BD), np.inf)
    X_BD = X_BD.astype(np.float64)
    own_B = sq_norms(X_BD)
    for first in range(0, len(centres_LD), _TILE):
        tile_CD = centres_LD[first : first + _TILE].astype(np.float64)
        norms_C = sq_norms(tile_CD)
        sq_BC = own_B[:, None] + norms_C - 2.0 * (X_BD @ tile_CD.T)
        sq_BC[sq_BC <= 1e-14 * (own_B[:, None] + norms_C)] = 0.0
        at_B = sq_BC.argmin(axis=1)
        found_B = sq_BC[np.arange(len(at_B)), at_B]
        is_nearer_B = found_B < sq_B
        best_B[is_nearer_B], sq_B[is_nearer_B] = first + at_B[is_nearer_B], found_B[is_nearer_B]
    return best_B, np.sqrt(sq_B)
