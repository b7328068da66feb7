"""The table of selectors: ways to choose k rows of an embedding by their inner products.

A selector takes (rows, k, rng). It returns the picks, int64 [k] in the order in which they were made, and the score
of each pick at that moment, float64 [k].
Cost: see the file of each selector.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import numpy as np

from alcli.arrays import Float64, Int64
from alcli.numerics.diversity.kcenter import free_by_norm, k_center
from alcli.numerics.diversity.kdpp import k_dpp
from alcli.numerics.diversity.kmeans import central_rows
from alcli.numerics.diversity.kmeanspp import k_means_pp
from alcli.numerics.diversity.lcmd import lcmd
from alcli.numerics.diversity.maxdet import max_det, pivoted_cholesky
from alcli.numerics.factors import Factor
from alcli.numerics.rows import Rows

Selector: TypeAlias = Callable[[Rows, int, np.random.Generator], tuple[Int64, Float64]]

# The smallest number of coordinates in which rows that are products of factors are clustered.
_COORDINATES = 512


def largest_first_kmeanspp(rows: Rows, k: int, rng: np.random.Generator) -> tuple[Int64, Float64]:
    """Pick rows by D^2 sampling that starts with the row of largest norm."""
    return k_means_pp(rows, k, None, rng)


def top_norm(rows: Rows, k: int) -> tuple[Int64, Float64]:
    """Pick the k rows of largest norm; their scores are the norms. Ties go to the lowest row."""
    picks = free_by_norm(rows.sq_norms, np.empty(0, np.int64))[:k]
    return picks, np.sqrt(rows.sq_norms[picks]) * rows.scale


def nearest_to_means(rows: Rows, k: int, rng: np.random.Generator) -> tuple[Int64, Float64]:
    """Pick the row nearest to the centre of each of k clusters, the largest cluster first; the scores are the sizes.

    Rows that are products of factors are clustered by their coordinates in the span of max(k, 512) rows, which
    `pivoted_cholesky` chooses. The coordinates are exact if the rank of the rows is no larger.
    Memory: N max(k, 512) numbers for such rows.
    """
    is_plain = len(rows.factors) == 1 and isinstance(rows.factors[0], Factor)
    X_ND = rows.factors[0].F_ND if is_plain else pivoted_cholesky(rows, min(rows.n, max(k, _COORDINATES))).F_NR
    return central_rows(X_ND, k, rng)


SELECTORS: Mapping[str, Selector] = {
    "kcenter": lambda rows, k, rng: k_center(rows, k),
    "kdpp": lambda rows, k, rng: k_dpp(rows, k, rng)[:2],
    "kmeans": nearest_to_means,
    "kmeanspp": largest_first_kmeanspp,
    "lcmd": lambda rows, k, rng: lcmd(rows, k),
    "maxdet": lambda rows, k, rng: max_det(rows, k),
    "topnorm": lambda rows, k, rng: top_norm(rows, k),
}
