"""D^2 sampling: each pick is drawn with probability proportional to the squared distance to the nearest earlier pick.

Picks are drawn in rounds. At the start of a round, candidates are drawn from the distribution of that moment, by
the inverse of the cumulated squared distances in float64. Each candidate is accepted with probability (squared
distance now) / (squared distance at the start of the round). Distances only fall, so this is rejection sampling
from exactly the distribution above. One product with 16 columns, which costs about as much as four products with
one column, usually serves a dozen picks.

Source: Arthur & Vassilvitskii 2007, "k-means++: the advantages of careful seeding", section 2.2.
Cost: at most 16, usually 1.2, columns of 2 N D flops per pick; O(16 N) memory.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.numerics.blocks import workers
from alcli.numerics.rows import Rows, sq_distances
from alcli.remarks import steps

_WIDTH = 16


def k_means_pp(
    rows: Rows, k: int, first: int, rng: np.random.Generator, *, from_zero: bool = False
) -> tuple[Int64, Float64]:
    """Pick k <= N distinct rows, the first of them row `first`.

    from_zero: the zero vector counts as a pick before the first one, so that no row is drawn for its distance to the
    picks alone. Once all distances are 0, free rows are drawn uniformly.
    Returns picks int64 [k] and, for each, its distance to the nearest pick when it was drawn (the first: its norm).
    """
    picks, sq = [first], [float(rows.sq_norms[first])]
    with workers() as spread:
        nearest = _distances_to(rows, first, rows.inner(first, spread))
        if from_zero:
            np.minimum(nearest, rows.sq_norms, out=nearest)
        nearest[first] = 0.0

        def rounds() -> Iterator[int]:
            while len(picks) < k and nearest.any():
                yield len(picks)

        for _ in steps(rounds(), "picking", k, lambda n: len(picks) - n):
            before = nearest.copy()
            candidates = draw(before, rng.random(min(_WIDTH, k - len(picks))))
            inner_NM = rows.inner_with(rows, candidates, spread)
            for m, (i, uniform) in enumerate(zip(candidates.tolist(), rng.random(len(candidates)))):
                if uniform * before[i] < nearest[i]:
                    picks.append(i)
                    sq.append(float(nearest[i]))
                    np.minimum(nearest, _distances_to(rows, i, inner_NM[:, m]), out=nearest)
                    nearest[i] = 0.0
    rest = _any_others(rows.n, picks, k, rng)
    return np.append(picks, rest).astype(np.int64), np.sqrt(sq + [0.0] * len(rest)) * rows.scale


def greedy_k_means_pp(rows: Rows, k: int, rng: np.random.Generator) -> Int64:
    """Pick k <= N distinct rows, each the best of 2 + ln k draws: the one with the smallest sum of squared distances.

    The first pick is drawn uniformly. The sum runs over the distances of all rows to their nearest pick. k-means that
    starts at the picks ends nearer to its optimum.
    Source: the greedy variant in the last section of the paper.
    Cost: 2 N D (2 + ln k) flops a pick; O(N ln k) memory.
    """
    picks, n_draws = [int(rng.integers(rows.n))], 2 + int(np.log(k))
    with workers() as spread:
        nearest = _distances_to(rows, picks[0], rows.inner(picks[0], spread))
        nearest[picks[0]] = 0.0

        def rounds() -> Iterator[int]:
            while len(picks) < k and nearest.any():
                yield len(picks)

        for _ in steps(rounds(), "beginning clusters", k, lambda n: len(picks) - n):
            drawn = draw(nearest, rng.random(n_draws))
            inner_NM = rows.inner_with(rows, drawn, spread)
            left = [np.minimum(nearest, _distances_to(rows, int(i), inner_NM[:, m])) for m, i in enumerate(drawn)]
            best = int(np.argmin([left_N.sum() for left_N in left]))
            picks.append(int(drawn[best]))
            nearest = left[best]
            nearest[picks[-1]] = 0.0
    return np.append(picks, _any_others(rows.n, picks, k, rng)).astype(np.int64)


def _any_others(n: int, picks: list[int], k: int, rng: np.random.Generator) -> Int64:
    """Draw the rows that fill the picks up to k uniformly from the free rows."""
    return rng.permutation(np.setdiff1d(np.arange(n), picks))[: k - len(picks)]


def draw(weights_N: Float64, uniforms_M: Float64) -> Int64:
    """Draw one row for each uniform number, with probability proportional to the weights: the inverse of their sums.

    uniforms_M: M numbers in [0, 1). A row of weight 0 is never drawn.
    """
    cumulated = np.cumsum(weights_N)
    # Rounding may move a target to the total itself. The minimum then gives the last row with a positive weight.
    targets = np.minimum(uniforms_M * cumulated[-1], np.nextafter(cumulated[-1], 0.0))
    return np.searchsorted(cumulated, targets, side="right")


def _distances_to(rows: Rows, i: int, inner_N: Float64) -> Float64:
    """Compute the squared distances of all rows to row i from the inner products with row i."""
    return sq_distances(rows.sq_norms, inner_N, rows.sq_norms[i], float(inner_N[i]))
