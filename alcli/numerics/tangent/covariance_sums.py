"""Sums over the covariance of a kernel regression, tile by tile, and rows that stand for its columns.

The covariance is symmetric, so only tiles on and above the diagonal are computed. R: columns of a factor G.
Source: own.
Cost: N^2 D1 flops for the tiles; 4 N D1^2 flops for square sums of a factored covariance.
Memory: a few tiles; `held` N^2 numbers, `columns` N^2 or N D1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import scipy.linalg

from alcli.arrays import Float64, Floats
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.tangent.covariance import Covariance, Factored, Held

# Rows and columns of a tile: it is computed and summed while it is in a cache.
_TILE = 512


def held(covariance: Covariance, n: int) -> Held:
    """Compute the whole covariance in float64, [N, N]; it is symmetric to the bit."""
    C_NN = np.empty((n, n))
    for a, b in _tiles(n):
        block = covariance.block(a, b)
        C_NN[a, b] = block
        C_NN[b, a] = block.T
    C_NN[np.diag_indices(n)] = covariance.variance_N
    return Held(C_NN, covariance.variance_N.copy(), covariance.scale)


def abs_sums(covariance: Covariance, n: int) -> Float64:
    """The sum over x of |c(x, x_j)| for each row j, float64 [N]. Cost: N^2 D1 flops."""
    return _tile_sums(covariance, n, np.abs)


def square_sums(covariance: Covariance, n: int) -> Float64:
    """The sum over x of c(x, x_j)^2 for each row j, float64 [N].

    For a factored covariance it is g_j^T (G^T G) g_j, at 4 N D1^2 flops in float64.
    """
    if not isinstance(covariance, Factored):
        return _tile_sums(covariance, n, np.square)
    with workers():
        M_RR = _products(covariance.G_NR)
        return np.concatenate([np.einsum("br,br->b", G_BR @ M_RR, G_BR) for G_BR in _float64_blocks(covariance.G_NR)])


def columns(covariance: Covariance, n: int) -> Floats:
    """Return N vectors with the same inner products as the columns of c.

    They are c itself, [N, N]; for c = G G^T, the rows of G (G^T G)^1/2, [N, D1], at 4 N D1^2 flops.
    """
    if not isinstance(covariance, Factored):
        return covariance.block(slice(None), slice(None))
    G_NR = covariance.G_NR
    with workers():
        squares_R, V_RR = scipy.linalg.eigh(_products(G_NR), check_finite=False)
        root_RR = V_RR * np.sqrt(np.maximum(squares_R, 0.0))
        out_NR = np.empty_like(G_NR)
        for i, G_BR in enumerate(_float64_blocks(G_NR)):
            out_NR[i * BLOCK_ROWS : (i + 1) * BLOCK_ROWS] = G_BR @ root_RR
    return out_NR


def _products(G_NR: Floats) -> Float64:
    """The product G^T G, float64 [R, R]."""
    M_RR = np.zeros((G_NR.shape[1],) * 2)
    for G_BR in _float64_blocks(G_NR):
        M_RR += G_BR.T @ G_BR
    return M_RR


def _float64_blocks(G_NR: Floats) -> Iterator[Float64]:
    return (G_NR[a : a + BLOCK_ROWS].astype(np.float64) for a in range(0, len(G_NR), BLOCK_ROWS))


def _tile_sums(covariance: Covariance, n: int, measure: Callable[..., Floats]) -> Float64:
    """Sum measure(c) over each row, float64 [N]. measure: a NumPy function with `out`."""
    tiles = list(_tiles(n))
    sums: list[tuple[Float64, Float64]] = [(np.empty(0), np.empty(0))] * len(tiles)

    def work(first: int, last: int) -> None:
        for i in range(first // BLOCK_ROWS, last // BLOCK_ROWS):
            block = covariance.block(*tiles[i])
            measure(block, out=block)
            sums[i] = block.sum(axis=1, dtype=np.float64), block.sum(axis=0, dtype=np.float64)

    with workers() as spread:
        spread(len(tiles) * BLOCK_ROWS, work)
    out_N = np.zeros(n)
    for (a, b), (by_row, by_column) in zip(tiles, sums):
        out_N[a] += by_row
        if a != b:
            out_N[b] += by_column
    return out_N


def _tiles(n: int) -> Iterator[tuple[slice, slice]]:
    """The (row slice, column slice) of each tile on and above the diagonal."""
    cuts = [slice(a, min(a + _TILE, n)) for a in range(0, n, _TILE)]
    return ((a, b) for i, a in enumerate(cuts) for b in cuts[i:])
