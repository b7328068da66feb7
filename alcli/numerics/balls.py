"""Greedy maximum coverage by balls: each pick is the row within whose radius lie most targets that no pick has covered.

Source: Yehuda, Dekel, Hacohen & Weinshall 2022, "Active learning through a covering lens" (ProbCover), Alg. 1, and its rule of purity.
Cost: 2 N M D flops for N rows and M targets; then every pair of a row and a target in its ball is looked at once. Memory: 8 bytes a pair,
of which there are at most 2^24 (20 bytes while they are found): where there would be more, the radius is lowered until there are not.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse

from alcli.arrays import Array, Float64, Floats, Int64
from alcli.numerics.blocks import BLOCK_ROWS, Spread, workers
from alcli.numerics.kcenter import nearest_centre
from alcli.numerics.rows import feature_rows, sq_norms

MOST_PAIRS = 1 << 24
_AT_ONCE = 4 * BLOCK_ROWS  # rows whose pairs are counted together
_CHUNK = 512


class Balls:
    """Which of M targets lie nearer than a radius to which of N rows.

    radius: what was asked for, or what it had to be lowered to. within_NM: sparse [N, M], one entry a pair.
    """

    def __init__(self, X_ND: Floats, targets_MD: Floats, radius: float) -> None:
        counts, columns, sq_gaps, limit = np.zeros(len(X_ND), np.int64), np.empty(0, np.int32), np.empty(0, np.float32), np.float32(radius**2)
        with workers() as spread:
            for a in range(0, len(X_ND), _AT_ONCE):
                more = _pairs(X_ND[a : a + _AT_ONCE], targets_MD, limit, spread)
                counts[a : a + _AT_ONCE] = more[0]
                columns, sq_gaps = np.append(columns, more[1]), np.append(sq_gaps, more[2])
                if len(columns) > MOST_PAIRS:
                    limit = np.partition(sq_gaps, MOST_PAIRS // 2)[MOST_PAIRS // 2]
                    near = sq_gaps < limit
                    counts = np.diff(np.append(0, np.cumsum(near))[np.append(0, np.cumsum(counts))])
                    columns, sq_gaps = columns[near], sq_gaps[near]
        self.radius = float(np.sqrt(limit)) if limit < np.float32(radius**2) else radius
        starts = np.append(0, np.cumsum(counts))
        self.within_NM = sparse.csr_array((np.ones(len(columns), np.int8), columns, starts), shape=(len(X_ND), len(targets_MD)))

    def cover(self, k: int, is_covered_M: Array) -> tuple[Int64, Int64]:
        """At most k rows, each with how many targets it covered first; fewer once all that can be covered are. Ties go to the lowest row."""
        rows_of = self.within_NM.tocsc()
        left_M = ~is_covered_M
        degrees_N = self.within_NM @ left_M.astype(np.int64)
        picks: list[int] = []
        covered: list[int] = []
        while len(picks) < k and degrees_N.max(initial=0) > 0:
            row = int(degrees_N.argmax())
            picks.append(row)
            covered.append(int(degrees_N[row]))
            ball = self.within_NM.indices[self.within_NM.indptr[row] : self.within_NM.indptr[row + 1]]
            new = ball[left_M[ball]]
            left_M[new] = False
            losers = [rows_of.indices[rows_of.indptr[i] : rows_of.indptr[i + 1]] for i in new]
            degrees_N -= np.bincount(np.concatenate(losers), minlength=len(degrees_N))
        return np.array(picks, np.int64), np.array(covered, np.int64)


def _pairs(X_ND: Floats, targets_MD: Floats, limit: np.float32, spread: Spread) -> tuple[Int64, Array, Array]:
    """(pairs of each row, their targets in order of the rows, squared distances as float32) below the limit."""
    sq_N, sq_M = sq_norms(X_ND), sq_norms(targets_MD).astype(X_ND.dtype)
    found: dict[int, tuple[Array, Array, Array]] = {}

    def work(first: int, last: int) -> None:
        for a in range(first, last, BLOCK_ROWS):
            b = min(a + BLOCK_ROWS, last)
            parts = []
            for c in range(0, len(targets_MD), _CHUNK):
                sq_BC = X_ND[a:b] @ targets_MD[c : c + _CHUNK].T
                sq_BC *= -2.0
                sq_BC += sq_N[a:b, None].astype(X_ND.dtype)
                sq_BC += sq_M[c : c + _CHUNK]
                places = np.flatnonzero(sq_BC.ravel() < limit)
                rows, columns = np.divmod(places, sq_BC.shape[1])
                parts.append((rows, (columns + c).astype(np.int32), np.maximum(sq_BC.ravel()[places], 0.0).astype(np.float32)))
            rows, columns, sq_gaps = (np.concatenate(p) for p in zip(*parts))
            order = np.argsort(rows, kind="stable")
            found[a] = np.bincount(rows, minlength=b - a), columns[order], sq_gaps[order]

    spread(len(X_ND), work)
    counts, columns, sq_gaps = zip(*(found[a] for a in sorted(found)))
    return np.concatenate(counts), np.concatenate(columns), np.concatenate(sq_gaps)


def are_within(targets_MD: Floats, centres_LD: Floats, radius: float) -> Array:
    """Which targets lie nearer than the radius to any of the centres, a mask [M]."""
    if not len(centres_LD):
        return np.zeros(len(targets_MD), bool)
    targets, centres = feature_rows(targets_MD, centres_LD)
    with workers() as spread:
        return np.sqrt(nearest_centre(targets, centres, spread)) * targets.scale < radius  # type: ignore[no-any-return]


def pure_radius(X_ND: Floats, labels_N: Int64, sample_S: Int64, purity: float) -> float:
    """The largest radius at which the balls of a share `purity` of the sampled rows hold rows of one cluster only; inf for one cluster.

    A ball is pure up to the distance of the nearest row of another cluster, so this is a quantile of these distances. Cost: 2 N S D flops.
    """
    sq_N, sq_S = sq_norms(X_ND), sq_norms(X_ND[sample_S])
    S_SD, labels_S = X_ND[sample_S], labels_N[sample_S]
    nearest_S = np.full(len(sample_S), np.inf)
    with workers() as spread:

        def work(first: int, last: int) -> None:
            for s in range(first, last, _CHUNK):
                part = slice(s, min(s + _CHUNK, last))
                for a in range(0, len(X_ND), BLOCK_ROWS):
                    sq_PB = sq_S[part, None] + sq_N[a : a + BLOCK_ROWS] - 2.0 * (S_SD[part] @ X_ND[a : a + BLOCK_ROWS].T)
                    sq_PB[labels_S[part, None] == labels_N[a : a + BLOCK_ROWS]] = np.inf
                    np.minimum(nearest_S[part], sq_PB.min(axis=1), out=nearest_S[part])

        spread(len(sample_S), work)
    gaps_S: Float64 = np.sort(np.sqrt(np.maximum(nearest_S, 0.0)))[::-1]
    return float(gaps_S[int(np.ceil(purity * len(gaps_S))) - 1])
