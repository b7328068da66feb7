"""Exact draws of k rows with probability proportional to the determinant of their Gram matrix: a k-DPP.

First k eigenvectors of the Gram matrix are chosen, by elementary symmetric polynomials of the eigenvalues, here in
logarithms. Then k rows are drawn one by one from the projection on the chosen eigenvectors. A Cholesky factorisation
updates the conditional probabilities of the rows. The dual form (the covariance in place of the Gram matrix) is used
where a row has fewer numbers than there are rows.

Letters: R positive eigenvalues, K chosen eigenvectors, M candidates of a round.
Source: Kulesza & Taskar 2012, "Determinantal point processes for machine learning", section 5.2 (choice of the
eigenvectors) and 3.3.3 (dual form).
Cost: r^3 flops for the eigenvectors, r = min(N, numbers in a row) <= 4096; O(r k) for their choice; N r^2 or N^2 D for
the matrix; N k^2 for the draws, 16 of which share a pass. Memory: N k + r^2 numbers, float64; rows are written out one
block at a time.
"""

from __future__ import annotations

import numpy as np
from scipy import linalg

from alcli.arrays import Array, Float64, Int64
from alcli.errors import DataError
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.diversity.columns import WIDTH
from alcli.numerics.diversity.kmeanspp import draw
from alcli.numerics.rows import Rows

MOST = 4096
_CANDIDATES = 16


def k_dpp(rows: Rows, k: int, rng: np.random.Generator) -> tuple[Int64, Float64, int]:
    """Draw k <= N rows.

    Returns picks int64 [k], the probability of each in its draw float64 [k], and the rank of the rows.
    If the rank is below k, all eigenvectors are chosen, and the remaining picks are drawn uniformly from the free rows.
    Raises DataError if there are more than 4096 rows of more than 4096 numbers, because the eigenvectors would cost too
    much.
    """
    if min(rows.width, rows.n) > MOST:
        raise DataError(
            f"an exact k-DPP of {rows.n:,} rows is out of reach: it takes at most {MOST:,}, or as many numbers a row",
            hint=f"draw from fewer rows with --candidates {MOST}, or choose another way",
        )
    with workers() as spread:
        values_R, V_NR = _spectrum(rows, k, rng, spread)
        picks, probabilities = _projection_draws(V_NR, rng, spread)
    free = np.setdiff1d(np.arange(rows.n), picks)
    rest = rng.permutation(free)[: k - len(picks)]
    shares = 1.0 / np.arange(len(free), len(free) - len(rest), -1)
    return np.append(picks, rest).astype(np.int64), np.append(probabilities, shares), len(values_R)


def choose_eigenvectors(values_R: Float64, k: int, rng: np.random.Generator) -> Array:
    """Draw k <= R of the eigenvalues with probability proportional to their product. All eigenvalues must be positive.

    Returns a boolean mask [R].
    """
    logs_R = np.log(values_R)
    sums_RK = log_elementary_symmetric(logs_R, k)
    is_chosen, left = np.zeros(len(values_R), bool), k
    uniforms_R = rng.random(len(values_R))
    for r in range(len(values_R), 0, -1):
        if left and np.log(uniforms_R[r - 1]) < logs_R[r - 1] + sums_RK[r - 1, left - 1] - sums_RK[r, left]:
            is_chosen[r - 1] = True
            left -= 1
    return is_chosen


def log_elementary_symmetric(logs_R: Float64, k: int) -> Float64:
    """Compute the log of the elementary symmetric polynomials of exp(logs_R), [R + 1, k + 1].

    Entry [r, j] is the polynomial of degree j in the first r numbers.
    """
    sums_RK = np.full((len(logs_R) + 1, k + 1), -np.inf)
    sums_RK[:, 0] = 0.0
    for r, log in enumerate(logs_R):
        np.logaddexp(sums_RK[r, 1:], log + sums_RK[r, :-1], out=sums_RK[r + 1, 1:])
    return sums_RK


def _spectrum(rows: Rows, k: int, rng: np.random.Generator, spread: Spread) -> tuple[Float64, Float64]:
    """Compute all positive eigenvalues, [R], and draw min(k, R) of their orthonormal eigenvectors, [N, min(k, R)]."""
    dual = rows.width < rows.n
    gram = _covariance(rows) if dual else _gram(rows, spread)
    precision = np.finfo(np.float64 if dual else gram.dtype).eps
    values, vectors = linalg.eigh(gram.astype(np.float64), overwrite_a=True, check_finite=False)
    positive = values > len(values) * precision * max(values[-1], 0.0)
    values_R, vectors = values[positive], vectors[:, positive]
    is_chosen = choose_eigenvectors(values_R, min(k, len(values_R)), rng)
    if not dual:
        return values_R, vectors[:, is_chosen]
    map_RK = vectors[:, is_chosen] / np.sqrt(values_R[is_chosen])
    V_NK = np.empty((rows.n, map_RK.shape[1]))
    for a in range(0, rows.n, BLOCK_ROWS):
        V_NK[a : a + BLOCK_ROWS] = rows.written_out(a, min(a + BLOCK_ROWS, rows.n)) @ map_RK
    return values_R, V_NK


def _covariance(rows: Rows) -> Float64:
    """Sum E^T E over blocks E of rows written out: the matrix of the dual form, [R, R] for R numbers in a row."""
    out = np.zeros((int(rows.width), int(rows.width)))
    for a in range(0, rows.n, BLOCK_ROWS):
        E_BR = rows.written_out(a, min(a + BLOCK_ROWS, rows.n))
        out += E_BR.T @ E_BR
    return out


def _gram(rows: Rows, spread: Spread) -> Array:
    """Compute all inner products in the dtype of the rows, and make the matrix exactly symmetric."""
    step = 8 * WIDTH
    parts = [rows.inner_with(rows, np.arange(i, min(i + step, rows.n)), spread) for i in range(0, rows.n, step)]
    gram_NN = np.concatenate(parts, axis=1)
    return (gram_NN + gram_NN.T) / 2


def _projection_draws(V_NK: Float64, rng: np.random.Generator, spread: Spread) -> tuple[Int64, Float64]:
    """Draw one row for each of the K orthonormal columns of V: the DPP with kernel V V^T. Cost: N K^2 flops.

    The probability of a row is proportional to its squared distance to the span of the earlier picks. As in
    `kmeanspp`, candidates are drawn by the distances at the start of a round, and accepted with probability
    (squared distance now) / (squared distance at the start). This is rejection sampling from the same distribution,
    and V is read once a round.
    Returns the picks and the probability of each in its draw.
    """
    K = V_NK.shape[1]
    Q_KK, left_N = np.zeros((K, K)), np.vecdot(V_NK, V_NK)
    picks: list[int] = []
    probabilities: list[float] = []
    while len(picks) < K and left_N.any():
        before, t = left_N.copy(), len(picks)
        candidates = draw(before, rng.random(min(_CANDIDATES, K - t)))
        W_MK = V_NK[candidates] - (V_NK[candidates] @ Q_KK[:t].T) @ Q_KK[:t]
        along_NM = _product(V_NK, W_MK, spread)
        columns: list[Float64] = []
        for m, (i, uniform) in enumerate(zip(candidates.tolist(), rng.random(len(candidates)))):
            if uniform * before[i] < left_N[i]:
                shares = Q_KK[t : len(picks)] @ W_MK[m]
                q_K = W_MK[m] - shares @ Q_KK[t : len(picks)]
                length = max(float(np.linalg.norm(q_K)), 1e-12)
                column_N = (along_NM[:, m] - sum(share * column for share, column in zip(shares, columns))) / length
                Q_KK[len(picks)] = q_K / length
                columns.append(column_N)
                probabilities.append(float(left_N[i] / left_N.sum()))
                picks.append(i)
                left_N = np.maximum(left_N - column_N**2, 0.0)
                left_N[picks] = 0.0
    return np.array(picks, np.int64), np.array(probabilities)


def _product(V_NK: Float64, W_MK: Float64, spread: Spread) -> Float64:
    """Compute V W^T by blocks of rows."""
    out_NM = np.empty((len(V_NK), len(W_MK)))

    def work(first: int, last: int) -> None:
        for a in range(first, last, BLOCK_ROWS):
            out_NM[a : min(a + BLOCK_ROWS, last)] = V_NK[a : min(a + BLOCK_ROWS, last)] @ W_MK.T

    spread(len(V_NK), work)
    return out_NM
