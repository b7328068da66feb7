"""Sums over the covariance of a kernel regression, tile by tile: it is symmetric, so half of the tiles do. And inner products of its columns.

Source: none of its own. Cost: N^2 D1 flops for tiles on and above the diagonal; 4 N D1^2 for squares of factored ones. Memory: a few tiles;
`held` N^2 numbers, `columns` N^2 or N D1.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import scipy.linalg

from alcli.arrays import Float64, Floats
from alcli.numerics.blocks import BLOCK_ROWS, workers
from alcli.numerics.tangent.covariance import Covariance, Factored, Held

_TILE = 512  # rows and columns of the covariance that are made and summed while they are in a cache


def held(covariance: Covariance, n: int) -> Held:
    """The whole covariance in float64; it stays symmetric to the bit."""
    C_NN = np.empty((n, n))
    for a, b in _tiles(n):
        block = covariance.block(a, b)
        C_NN[a, b] = block
        C_NN[b, a] = block.T
    C_NN[np.diag_indices(n)] = covariance.variance_N
    return Held(C_NN, covariance.variance_N.copy(), covariance.scale)


def abs_sums(covariance: Covariance, n: int) -> Float64:
    """sum over x of |c(x, x_j)|, [N]: tiles on and above the diagonal, N^2 D1 flops, sums in float64."""
    return _tile_sums(covariance, n, np.abs)


def square_sums(covariance: Covariance, n: int) -> Float64:
    """sum over x of c(x, x_j)^2, [N]: for factored ones g_j^T (G^T G) g_j, 4 N D1^2 flops in float64."""
    if not isinstance(covariance, Factored):
        return _tile_sums(covariance, n, np.square)
    with workers():
        M_RR = _products(covariance.G_NR)
        return np.concatenate([np.einsum("br,br->b", G_BR @ M_RR, G_BR) for G_BR in _float64_blocks(covariance.G_NR)])


def columns(covariance: Covariance, n: int) -> Floats:
    """Rows with the inner products of the columns of c: c itself, [N, N]; for c = G G^T the rows of G (G^T G)^1/2, [N, D1], 4 N D1^2 flops."""
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
    """G^T G."""
    M_RR = np.zeros((G_NR.shape[1],) * 2)
    for G_BR in _float64_blocks(G_NR):
        M_RR += G_BR.T @ G_BR
    return M_RR


def _float64_blocks(G_NR: Floats) -> Iterator[Float64]:
    return (G_NR[a : a + BLOCK_ROWS].astype(np.float64) for a in range(0, len(G_NR), BLOCK_ROWS))


def _tile_sums(covariance: Covariance, n: int, measure: Callable[..., Floats]) -> Float64:
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
    """Tiles of a symmetric matrix on and above its diagonal."""
    cuts = [slice(a, min(a + _TILE, n)) for a in range(0, n, _TILE)]
    return ((a, b) for i, a in enumerate(cuts) for b in cuts[i:])
